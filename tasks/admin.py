"""Inspection for staff: everybody's tasks, notifications and events (docs/api.md section 10).

Staff are Django accounts, a different kind of people than the owners of tasks: here is the one
deliberate exception to isolation.
"""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from tasks.models import Event, Notification, Task, TaskQuerySet
from tasks.resources.admin import KeysetAdmin, ReadOnlyAdmin
from tasks.resources.models import event_types

if TYPE_CHECKING:  # generic only to the type checker
    TaskModelForm = forms.ModelForm[Task]
else:
    TaskModelForm = forms.ModelForm


class TaskForm(TaskModelForm):
    class Meta:
        widgets = {"text": forms.TextInput(attrs={"size": 80}), "description": forms.Textarea}


@admin.register(Task)
class TaskAdmin(KeysetAdmin[Task]):
    form = TaskForm
    list_display = ["text", "user_id", "completed", "deadline", "created_at"]
    list_filter = ["completed", ("deadline", admin.EmptyFieldListFilter), "created_at"]
    search_fields = ["text"]
    search_help_text = "The whole id of an owner, or words of a task."
    fields = [
        "id",
        "user_id",
        "version",
        "text",
        "description",
        "completed",
        "completed_at",
        "deadline",
        "order",
        "created_at",
        "updated_at",
    ]
    readonly_fields = ["id", "user_id", "version", "completed_at", "created_at", "updated_at"]

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[Any, Any], set[Any], list[Any]]:
        """What goes with these tasks; that notifications are read-only does not keep them."""
        going, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return going, counts, lacking - {Notification._meta.verbose_name}, protected

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


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin[Notification]):
    list_display = ["title", "user_id", "type", "message", "read_at", "created_at"]
    list_filter = ["type", ("read_at", admin.EmptyFieldListFilter), "created_at"]
    fields = [
        "id",
        "user_id",
        "task_id",
        "type",
        "title",
        "message",
        "deadline",
        "read_at",
        "created_at",
    ]


class EventTypeFilter(admin.SimpleListFilter):
    """The types there can be; Django's own filter would ask every row for its type."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in event_types()]

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Event]
    ) -> models.QuerySet[Event]:
        return queryset.filter(type=self.value()) if self.value() else queryset


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin[Event]):
    list_display = ["type", "user_id", "seq", "at"]
    list_filter = [EventTypeFilter, "at"]
    fields = ["user_id", "seq", "type", "at", "data"]
