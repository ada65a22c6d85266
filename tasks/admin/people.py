"""A page for each person, by their id: how much they have, and what staff may do about them."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.formats import date_format
from django.utils.html import format_html

from accounts.signin.errors import InvalidToken
from accounts.signin.tokens import check_user_id
from accounts.signout import moment_of, sign_out
from tasks.events.hub import sockets_open
from tasks.models import (
    Event,
    Label,
    Notification,
    Person,
    Project,
    PushSubscription,
    Task,
    TrashedTask,
)
from tasks.own.erasing import erase, record_erasure
from tasks.own.export import answer
from tasks.resources.admin import ReadOnlyAdmin
from tasks.resources.audit import as_changed

# What staff may do, and what the page is called that asks whether it is meant.
ACTIONS = {
    "sign_out": "Sign a person out",
    "export": "Export all of a person",
    "erase": "Erase all of a person",
}


@admin.register(Person)
class PersonAdmin(ReadOnlyAdmin):
    """What is looked at, and what is done, is recorded in Django's admin log."""

    list_display = ["user_id", "newest_event"]
    search_help_text = "The whole id of a person. Whoever has no events yet is found as well."
    readonly_fields = [
        *("user_id", "open_tasks", "completed_tasks", "deleted_tasks", "projects", "labels"),
        *("unread_notifications", "notifications", "push_subscriptions"),
        *("events", "newest_event", "open_sockets", "signed_out"),
    ]
    fields = [*readonly_fields]

    def get_urls(self) -> list[Any]:
        views = {
            "sign_out": self.sign_out_view, "export": self.export_view, "erase": self.erase_view,
        }  # fmt: skip
        own = [
            path(
                f"<path:object_id>/{name.replace('_', '-')}/",
                self.admin_site.admin_view(view),
                name=f"tasks_person_{name}",
            )
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def get_list_filter(self, request: HttpRequest) -> Any:
        return []

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Anybody there may be; of whom nothing is known here, there is nothing to show."""
        try:
            user_id = check_user_id(object_id)
        except InvalidToken:
            return None
        return super().get_object(request, user_id) or Person(user_id=user_id, last_seq=0)

    def may(self, request: HttpRequest, what: str) -> bool:
        """Whether who asks may sign out, export or erase people."""
        permitted = request.user.has_perm(f"tasks.{what}_person")
        return permitted and self.has_view_permission(request)

    # Pages

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """A search leads to the page of that person."""
        if (wanted := request.GET.get("q")) and self.has_view_permission(request):
            try:
                return HttpResponseRedirect(self._page(check_user_id(wanted)))
            except InvalidToken:
                self.message_user(request, "No person has such an id.", messages.ERROR)
        return super().changelist_view(request, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = {"may": [what for what in ACTIONS if self.may(request, what)]}
        context |= extra_context or {}
        response = super().change_view(request, object_id, form_url, context)
        if response.status_code == 200:
            self.log_change(request, self.get_object(request, unquote(object_id)), "Viewed.")
        return response

    def sign_out_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask whether it is meant, and do it when that is sent back."""
        person = self._person(request, object_id, "sign_out")
        if request.method != "POST":
            return self._question(request, person, "sign_out")
        before, after = map(_moment, sign_out(person.pk))
        told = {"signed_out": before}, {"signed_out": after}, {"signed_out": "Signed out"}
        self.log_change(request, person, as_changed(person.pk, *told))
        says = "Signed out: what tokens they had are refused, and their sockets are closed."
        self.message_user(request, says, messages.SUCCESS)
        return HttpResponseRedirect(self._page(person.pk))

    def export_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The same; the answer is everything of theirs."""
        person = self._person(request, object_id, "export")
        if request.method != "POST":
            return self._question(request, person, "export")
        response = answer(person.pk)
        self.log_change(request, person, "Exported.")
        return response

    def erase_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The same; staff write the id out, and what they did is recorded without it."""
        person = self._person(request, object_id, "erase")
        if request.method != "POST":
            return self._question(request, person, "erase")
        if request.POST.get("confirm") != person.pk:
            says = "Not erased: write out the whole id of this person."
            self.message_user(request, says, messages.ERROR)
            return self._question(request, person, "erase")
        erase(person.pk)
        record_erasure(request.user, person.pk)
        self.message_user(request, "Erased: nothing of them is left here.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:tasks_person_changelist"))

    def _person(self, request: HttpRequest, object_id: str, what: str) -> Person:
        """Whom it is about. Raises `PermissionDenied`, and `Http404` for who can have no token."""
        if not self.may(request, what):
            raise PermissionDenied
        person: Person | None = self.get_object(request, unquote(object_id))
        if person is None:
            raise Http404
        return person

    def _question(self, request: HttpRequest, person: Person, what: str) -> HttpResponse:
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": ACTIONS[what],
            "subtitle": str(person),
            "opts": self.opts,
            "person": person,
            "page": self._page(person.pk),
        }
        return TemplateResponse(request, f"admin/tasks/person/{what}.html", context)

    # What is shown

    @admin.display(description="open tasks")
    def open_tasks(self, person: Person) -> str:
        return self._counted(Task, person, completed=False)

    @admin.display(description="completed tasks")
    def completed_tasks(self, person: Person) -> str:
        return self._counted(Task, person, completed=True)

    @admin.display(description="deleted tasks in the trash")
    def deleted_tasks(self, person: Person) -> int:
        return TrashedTask.objects.filter(user_id=person.pk).count()

    @admin.display(description="projects")
    def projects(self, person: Person) -> str:
        return self._counted(Project, person)

    @admin.display(description="labels")
    def labels(self, person: Person) -> str:
        return self._counted(Label, person)

    @admin.display(description="unread notifications")
    def unread_notifications(self, person: Person) -> str:
        return self._counted(Notification, person, read_at__isempty=True)

    @admin.display(description="all notifications")
    def notifications(self, person: Person) -> str:
        return self._counted(Notification, person)

    @admin.display(description="push subscriptions")
    def push_subscriptions(self, person: Person) -> int:
        return PushSubscription.objects.filter(user_id=person.pk).count()

    @admin.display(description="events on record")
    def events(self, person: Person) -> str:
        return self._counted(Event, person)

    @admin.display(description="number of the newest event")
    def newest_event(self, person: Person) -> int:
        return person.last_seq

    @admin.display(description="open sockets at this server process")
    def open_sockets(self, person: Person) -> int:
        return sockets_open(person.pk)

    @admin.display(description="signed out")
    def signed_out(self, person: Person) -> str:
        moment = _moment(moment_of(person.pk))
        return "never" if moment is None else date_format(moment, "DATETIME_FORMAT")

    def _page(self, user_id: str) -> str:
        return reverse("admin:tasks_person_change", args=[quote(user_id)])

    def _counted(self, model: Any, person: Person, **filters: bool) -> str:
        """How many rows of theirs a list shows when filtered by this, and the way there."""
        rows = model.objects.filter(user_id=person.pk)
        for name, value in filters.items():
            rows = rows.filter(**{name.replace("isempty", "isnull"): value})
        shown = {
            name if "__" in name else f"{name}__exact": int(on) for name, on in filters.items()
        }
        query = urlencode({"owner": person.pk, **shown})
        url = reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_changelist")
        return format_html('<a href="{}?{}">{}</a>', url, query, rows.count())


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
