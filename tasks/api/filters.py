"""What lists can be narrowed by (docs/api.md section 4)."""

from typing import Any

from django_filters import FilterSet
from rest_framework import serializers

from accounts.users import owner_id
from tasks.api.serializers import MAX_LABELS
from tasks.models.agenda import DUE, Day
from tasks.resources.fields import TimestampField
from tasks.resources.lists.filters import ParameterFilter, RepeatableFilter, SearchFilter
from tasks.resources.lists.query import FlagParameter, KeyParameter, WholeNumberParameter
from tasks.rules.search import MAX_TERM

SEARCH = serializers.CharField(allow_blank=True, max_length=MAX_TERM)


class OwnKeyFilter(ParameterFilter):
    """By the id of another row; `none` is for those without. An id that is not one's own finds nothing."""

    pure = True

    def filter(self, qs: Any, value: Any) -> Any:
        if value is None:
            return qs
        none = {f"{self.field_name}__isnull": True}
        return qs.filter(**none) if value == "none" else super().filter(qs, value)


class AllOfFilter(RepeatableFilter):
    """By ids, each of which the rows have to have; no row has more than `most`."""

    pure = True

    def __init__(self, *args: Any, most: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.most = most

    def filter(self, qs: Any, value: Any) -> Any:
        each_once = dict.fromkeys(value or ())
        for each in [*each_once][: self.most + 1]:  # a join for each; one too many finds nothing
            qs = qs.filter(**{str(self.field_name): each})
        return qs


class AnyOfFilter(RepeatableFilter):
    """By values, one of which the rows have to have."""

    pure = True

    def filter(self, qs: Any, value: Any) -> Any:
        return qs.filter(**{f"{self.field_name}__in": value}) if value else qs


class DueFilter(ParameterFilter):
    """Open tasks by the clock and the calendar of who asks."""

    plain = True

    def filter(self, qs: Any, value: Any) -> Any:
        if value is None:
            return qs
        filterset: Any = self.parent  # type: ignore[attr-defined]
        user = filterset.request.user
        return qs.due(value, user, Day.of(owner_id(user)))


class TaskFilters(FilterSet):
    completed = ParameterFilter(FlagParameter())
    search = SearchFilter(
        SEARCH, help_text="Only those with each of these words in text or description, in any case."
    )
    deadline_before = ParameterFilter(TimestampField(), "due_at", "lt")
    deadline_after = ParameterFilter(TimestampField(), "due_at", "gt")
    due = DueFilter(
        serializers.ChoiceField(list(DUE)),
        help_text="Open tasks of projects that are not archived, by the caller's time zone.",
    )
    updated_since = ParameterFilter(TimestampField(), "updated_at", "gte")
    project = OwnKeyFilter(
        KeyParameter(or_none=True), help_text="Of this project; `none`: of no project."
    )
    parent = OwnKeyFilter(
        KeyParameter(or_none=True), help_text="Subtasks of this task; `none`: all that are none."
    )
    label = AllOfFilter(
        KeyParameter(),
        "labels",
        most=MAX_LABELS,
        help_text="With this label; repeated, with all of them.",
    )
    priority = AnyOfFilter(
        WholeNumberParameter(min_value=0, max_value=4), help_text="Repeated: any of them."
    )


class ProjectFilters(FilterSet):
    archived = ParameterFilter(FlagParameter())


class UnreadFilter(ParameterFilter):
    pure = True

    def filter(self, qs: Any, value: Any) -> Any:
        return qs.unread() if value else qs


class NotificationFilters(FilterSet):
    status = UnreadFilter(
        serializers.ChoiceField(["unread"]), help_text="`unread`, for those alone."
    )
