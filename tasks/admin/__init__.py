"""Inspection for staff: the one deliberate exception to isolation (docs/api.md section 10)."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from tasks.admin import people  # noqa: F401  registers itself
from tasks.models import Event, Label, Notification, Preferences, Project, Task
from tasks.resources.admin import KeysetAdmin, ReadOnlyAdmin
from tasks.resources.models import event_types


@admin.register(Task)
class TaskAdmin(KeysetAdmin):
    list_display = ["text", "user_id", "completed", "deadline", "created_at"]
    list_filter = ["completed", ("deadline", admin.EmptyFieldListFilter), "created_at"]
    search_help_text = "A whole id, of a task or of an owner, or words of a task."
    readonly_fields = [
        "id", "user_id", "version", "completed_at", "project", "label_names", "parent", "recurrence",
        "previous_id", "created_at", "updated_at",
    ]  # fmt: skip

    @admin.display(description="labels")
    def label_names(self, task: Task) -> str:
        return ", ".join(sorted(task.labels.values_list("name", flat=True))) or "-"

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with these tasks; that notifications are read-only does not keep them."""
        going, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return going, counts, lacking - {Notification._meta.verbose_name}, protected

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """A task by its id, an owner's tasks, else those with the words: no index serves all at once."""
        found, _ = super().get_search_results(request, queryset, search_term)
        if search_term and not found.exists():
            found = queryset.search(search_term)
        return found, False


@admin.register(Project)
class ProjectAdmin(KeysetAdmin):
    list_display = ["name", "user_id", "color", "archived", "created_at"]
    list_filter = ["archived", "created_at"]
    readonly_fields = ["id", "user_id", "version", "created_at", "updated_at"]


@admin.register(Label)
class LabelAdmin(KeysetAdmin):
    list_display = ["name", "user_id", "color", "created_at"]
    list_filter = ["created_at"]
    readonly_fields = ["id", "user_id", "version", "created_at", "updated_at"]


@admin.register(Preferences)
class PreferencesAdmin(ReadOnlyAdmin):
    list_display = ["user_id", "time_zone", "remind_at", "remind_before", "push"]
    fields = ["user_id", "time_zone", "remind_at", "remind_before", "push", "version", "updated_at"]


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ["title", "user_id", "type", "message", "read_at", "created_at"]
    list_filter = ["type", ("read_at", admin.EmptyFieldListFilter), "created_at"]
    fields = [
        "title",
        "message",
        "type",
        "user_id",
        "task_id",
        "deadline",
        "due_on",
        "read_at",
        "created_at",
    ]


class EventTypeFilter(admin.SimpleListFilter):
    """The types there can be; Django's own filter would ask every row for its type."""

    title = parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in event_types()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(type=self.value()) if self.value() else queryset


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ["type", "user_id", "seq", "at"]
    list_filter = [EventTypeFilter, "at"]
    fields = ["type", "user_id", "seq", "at", "data"]
