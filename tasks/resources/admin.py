"""Lists in the admin that stay quick however many rows there are (docs/api.md section 10)."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest

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


class OnlyFilters(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only to the type checker
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return FilteredChangeList


class KeysetAdmin(OnlyFilters):
    """Rows of all owners, searched by the whole id of one."""

    change_list_template = "admin/keyset_change_list.html"
    list_per_page = 100
    show_facets = admin.ShowFacets.NEVER  # they count
    sortable_by = ()
    search_fields = ["user_id"]
    search_help_text = "The whole id of an owner."

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetChangeList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a row has an owner, and no staff account can be one

    def save_model(self, request: HttpRequest, obj: models.Model, form: Any, change: bool) -> None:
        # What its owner has deleted meanwhile does not come back.
        obj.save(force_update=True)

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        return (queryset.filter(user_id=search_term) if search_term else queryset), False


class ReadOnlyAdmin(KeysetAdmin):
    """Rows to look at, and nothing more."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
