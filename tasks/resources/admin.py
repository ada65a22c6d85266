"""Pages for staff: lists that stay quick however many rows there are, and forms that overwrite nothing
of what the owner has changed meanwhile (docs/api.md section 10).
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ChangeList
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts.owned.viewsets import UUID_TEXT
from tasks.resources.audit import as_changed, as_deleted
from tasks.resources.forms import OPENED, RecordedForm
from tasks.resources.models import RecordedModel

AFTER_VAR = "after"


class FilteredChangeList(ChangeList):
    """A list that is narrowed by its filters and its search, and by nothing else.

    Django allows every lookup of every field in the address: patterns that a database chokes on,
    years that no calendar has, comparisons for which there is no index.
    """

    def get_filters(self, request: HttpRequest) -> Any:
        filters = super().get_filters(request)
        if unread := filters[2]:
            raise DisallowedModelAdminLookup(f"No filter reads {', '.join(unread)}")
        return filters


class KeysetChangeList(FilteredChangeList):
    """A list that counts nothing and skips nothing: newest first, a page at a time by key.

    Primary keys are UUIDv7 or serial numbers, so their own index is the list in order of creation.
    """

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        kept: dict[str, Any] = super().get_filters_params(params)
        kept.pop(AFTER_VAR, None)
        return kept

    def get_ordering(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> list[Any]:
        return ["-pk"]

    def get_results(self, request: HttpRequest) -> None:
        rows = self.queryset
        after = self.as_key(request.GET.get(AFTER_VAR))
        if after is not None:
            rows = rows.filter(pk__lt=after)
        found = list(rows[: self.list_per_page + 1])
        self.result_list = found[: self.list_per_page]
        self.older_url = ""
        if len(found) > self.list_per_page:
            self.older_url = self.get_query_string({AFTER_VAR: self.result_list[-1].pk})
        self.newest_url = "" if after is None else self.get_query_string(remove=[AFTER_VAR])
        # What Django's templates ask; equal counts keep them from claiming a total.
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = False
        self.show_admin_actions = bool(self.result_list)
        self.can_show_all = False
        self.multi_page = False
        self.paginator = self.model_admin.get_paginator(request, self.result_list, 100)

    def as_key(self, text: str | None) -> Any:
        """The primary key that `text` spells; `None` if it spells none."""
        try:
            return self.model._meta.pk.to_python(text)
        except ValidationError:
            return None


class OwnerFilter(admin.SimpleListFilter):
    """The rows of one person, whose id is in the address; there are too many people to offer."""

    title = parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(owner, owner)] if (owner := self.value()) else []

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(user_id=self.value()) if self.value() else queryset


class OnlyFilters(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only to the type checker
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return FilteredChangeList

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Moments say their zone; those that are only shown do so by `DATETIME_FORMAT`."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(db_field, models.DateTimeField):
            field.help_text = field.help_text or f"In {timezone.get_current_timezone_name()}."
        return field


class KeysetAdmin(OnlyFilters):
    """Rows of all owners, searched by their id, or by the whole id of an owner.

    Those of a `RecordedModel` are changed by a `RecordedForm`, whatever the class says of its form.
    """

    # Texts may have several lines.
    formfield_overrides = {models.CharField: {"widget": forms.Textarea(attrs={"rows": 3})}}
    change_list_template = "admin/keyset_change_list.html"
    list_per_page = 100
    show_facets = admin.ShowFacets.NEVER  # they count
    sortable_by = ()
    search_fields = ["user_id"]
    search_help_text = "A whole id, of a row or of an owner."

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetChangeList

    def get_list_filter(self, request: HttpRequest) -> Any:
        return [OwnerFilter, *super().get_list_filter(request)]

    def get_list_display(self, request: HttpRequest) -> Any:
        """Owners lead to their pages, where whoever looks may see those."""
        first, *others = super().get_list_display(request)
        may = request.user.has_perm("tasks.view_person")
        return [first, *("owner" if may and name == "user_id" else name for name in others)]

    @admin.display(description="owner")
    def owner(self, row: Any) -> str:
        if not row.user_id:  # which SQL alone can write
            return self.get_empty_value_display()
        url = reverse("admin:tasks_person_change", args=[quote(row.user_id)])
        return format_html('<a href="{}">{}</a>', url, row.user_id)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a row has an owner, and no staff account can be one

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Django's, and that nothing is changed past `RecordedForm`."""
        messages = super().check(**kwargs)
        inlines = [inline for inline in self.inlines if issubclass(inline.model, RecordedModel)]
        if self.list_editable or inlines:
            messages.append(
                Error(
                    f"{type(self).__name__} would overwrite what an owner has changed meanwhile.",
                    hint="Leave out list_editable, and inlines of recorded models: a row is changed "
                    "on a page of its own, which knows the version that it shows.",
                    obj=type(self),
                    id="tasks.E003",
                )
            )
        return messages

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = kwargs.pop("form", self.form)
        if issubclass(self.model, RecordedModel) and not issubclass(form, RecordedForm):
            form = type(form.__name__, (RecordedForm, form), {})
        return super().get_form(request, obj, change, form=form, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [name for name in super().get_fields(request, obj) if name != OPENED]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """With the hidden version, whatever fields the class declares."""
        shown = context["adminform"]
        if OPENED in shown.form.fields:
            shown.fieldsets = [
                *shown.fieldsets,
                (None, {"fields": [OPENED], "classes": ["hidden"]}),
            ]
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: models.Model, form: Any, change: bool) -> None:
        """Save what differs from the row as it was loaded. What its owner has deleted stays deleted."""
        if not isinstance(form, RecordedForm):
            obj.save(force_update=True)
        elif names := form.names_changed(obj):
            obj.save(update_fields=names)

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """Django's, with whose it is and what changed from what to what."""
        message = super().construct_change_message(request, form, formsets, add)
        row: Any = form.instance
        if isinstance(form, RecordedForm) and message:
            told = {*form.fields, *self.get_readonly_fields(request, row)}
            names = [name for name in form.names_changed(row) if name in told]
            before, after = form.loaded(names), {name: getattr(row, name) for name in names}
            labels = {name: form.fields[name].label for name in form.changed_data}
            return as_changed(row.user_id, before, after, labels)
        if isinstance(form, RecordedForm):  # which Django reads as nothing
            return [{"unchanged": {"owner": row.user_id}}]
        return message

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Django's, with whose they were and what they held."""
        staff: Any = request.user
        names = [field.attname for field in self.opts.concrete_fields if field.attname != "user_id"]
        return [
            LogEntry.objects.log_actions(
                user_id=staff.pk,
                queryset=[row],
                action_flag=DELETION,
                change_message=as_deleted(row, {name: getattr(row, name) for name in names}),
                single_object=True,
            )
            for row in queryset
        ]

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """The row with that key, else the rows of that owner."""
        if not search_term:
            return queryset, False
        if isinstance(self.model._meta.pk, models.UUIDField) and UUID_TEXT.fullmatch(search_term):
            row = queryset.filter(pk=search_term)
            if row.exists():
                return row, False
        return queryset.filter(user_id=search_term), False


class ReadOnlyAdmin(KeysetAdmin):
    """Rows to look at, and nothing more."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
