"""What lists can be narrowed by (docs/api.md section 4)."""

from typing import Any

from django_filters import FilterSet
from rest_framework import serializers

from tasks.resources.fields import TimestampField
from tasks.resources.lists.filters import ParameterFilter, SearchFilter
from tasks.resources.lists.query import FlagParameter
from tasks.rules.search import MAX_TERM

SEARCH = serializers.CharField(allow_blank=True, max_length=MAX_TERM)


class TaskFilters(FilterSet):
    completed = ParameterFilter(FlagParameter())
    search = SearchFilter(
        SEARCH, help_text="Only those with each of these words in text or description, in any case."
    )
    deadline_before = ParameterFilter(TimestampField(), "deadline", "lt")
    deadline_after = ParameterFilter(TimestampField(), "deadline", "gt")


class UnreadFilter(ParameterFilter):
    pure = True

    def filter(self, qs: Any, value: Any) -> Any:
        return qs.unread() if value else qs


class NotificationFilters(FilterSet):
    status = UnreadFilter(
        serializers.ChoiceField(["unread"]), help_text="`unread`, for those alone."
    )
