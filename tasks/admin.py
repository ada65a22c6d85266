"""Inspection for staff: everybody's tasks, quickly, however many there are (contract section 5).

Staff are Django accounts, a different kind of people than the owners of tasks: here is the one
deliberate exception to isolation.
"""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.http import HttpRequest

from tasks.models import Task, TaskQuerySet

if TYPE_CHECKING:  # generic only to the type checker
    TaskModelForm = forms.ModelForm[Task]
    TaskModelAdmin = admin.ModelAdmin[Task]
else:
    TaskModelForm = forms.ModelForm
    TaskModelAdmin = admin.ModelAdmin

AFTER_VAR = "after"


class KeysetChangeList(ChangeList):
    """A list that counts nothing and skips nothing: newest first, a page at a time by key.

    Ids are UUIDv7, so the primary key's own index is the list in order of creation.
    """

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        kept: dict[str, Any] = super().get_filters_params(params)
        kept.pop(AFTER_VAR, None)
        return kept

    def get_ordering(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> list[Any]:
        return ["-pk"]

    def get_results(self, request: HttpRequest) -> None:
        rows = self.queryset
        if after := as_uuid(request.GET.get(AFTER_VAR, "")):
            rows = rows.filter(pk__lt=after)
        found = list(rows[: self.list_per_page + 1])
        self.result_list = found[: self.list_per_page]
        self.older_url = ""
        if len(found) > self.list_per_page:
            self.older_url = self.get_query_string({AFTER_VAR: self.result_list[-1].pk})
        self.newest_url = self.get_query_string(remove=[AFTER_VAR]) if after else ""
        # What Django's templates ask; equal counts keep them from claiming a total.
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = False
        self.show_admin_actions = bool(self.result_list)
        self.can_show_all = False
        self.multi_page = False
        self.paginator = self.model_admin.get_paginator(request, self.result_list, 100)


class TaskForm(TaskModelForm):
    class Meta:
        widgets = {"text": forms.TextInput(attrs={"size": 80}), "description": forms.Textarea}


@admin.register(Task)
class TaskAdmin(TaskModelAdmin):
    form = TaskForm
    change_list_template = "admin/keyset_change_list.html"
    list_display = ["text", "user_id", "completed", "deadline", "created_at"]
    list_filter = ["completed", ("deadline", admin.EmptyFieldListFilter), "created_at"]
    list_per_page = 100
    show_facets = admin.ShowFacets.NEVER  # they count
    sortable_by = ()
    search_fields = ["text"]
    search_help_text = "The whole id of an owner, or words of a task."
    fields = [
        "id",
        "user_id",
        "text",
        "description",
        "completed",
        "completed_at",
        "deadline",
        "order",
        "created_at",
        "updated_at",
    ]
    readonly_fields = ["id", "user_id", "completed_at", "created_at", "updated_at"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetChangeList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a task has an owner, and no staff account can be one

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Task], search_term: str
    ) -> tuple[models.QuerySet[Task], bool]:
        """Somebody's tasks when the term is their id, else the tasks that contain it.

        Not both at once: no index serves "this owner's or containing that".
        """
        if not search_term:
            return queryset, False
        theirs = queryset.filter(user_id=search_term)
        if theirs.exists():
            return theirs, False
        assert isinstance(queryset, TaskQuerySet)  # noqa: S101  it is the model's own
        return queryset.search(search_term), False


def as_uuid(text: str) -> UUID | None:
    """The UUID that `text` spells, if it does."""
    try:
        return UUID(text)
    except ValueError:
        return None
