"""The routes of this application: the viewsets register here."""

from django.conf import settings
from django.urls import re_path
from rest_framework.routers import SimpleRouter

from tasks.api.calendar import CalendarFeedView, CalendarView
from tasks.api.own import AdoptView, ExportView, ImportView, OwnView
from tasks.api.push import PushKeyView, PushSubscriptionViewSet
from tasks.api.trash import TrashViewSet
from tasks.api.views import (
    EventsView,
    LabelViewSet,
    NotificationViewSet,
    PreferencesViewSet,
    ProjectViewSet,
    TaskViewSet,
)


class OptionalSlashRouter(SimpleRouter):
    """Takes every path with and without a trailing slash; a redirect would lose the body."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


router = OptionalSlashRouter()
router.register("tasks", TaskViewSet, basename="task")
router.register("projects", ProjectViewSet, basename="project")
router.register("labels", LabelViewSet, basename="label")
router.register("notifications", NotificationViewSet, basename="notification")

_trash = {
    "trash": TrashViewSet.as_view({"get": "list", "delete": "empty"}, detail=False),
    "trash/(?P<pk>[^/]+)": TrashViewSet.as_view({"delete": "destroy"}, detail=True),
    "trash/(?P<pk>[^/]+)/restore": TrashViewSet.as_view({"post": "restore"}, detail=True),
}

urlpatterns = [
    *router.urls,
    *(re_path(f"^{route}/?$", view) for route, view in _trash.items()),
    re_path(r"^me/?$", OwnView.as_view(), name="me"),
    re_path(r"^me/adopt/?$", AdoptView.as_view(), name="adopt"),
    re_path(r"^calendar/?$", CalendarView.as_view(), name="calendar"),
    re_path(r"^calendar/(?P<secret>[^/]+)\.ics$", CalendarFeedView.as_view(), name="calendar-feed"),
    re_path(r"^export/?$", ExportView.as_view(), name="export"),
    re_path(r"^import/?$", ImportView.as_view(), name="import"),
    re_path(r"^events/?$", EventsView.as_view(), name="events"),
    re_path(
        r"^preferences/?$",
        PreferencesViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="preferences",
    ),
]

if settings.VAPID_PRIVATE_KEY:
    named = {"basename": "push-subscription"}
    many = PushSubscriptionViewSet.as_view(
        {"get": "list", "post": "subscribe"}, detail=False, **named
    )
    one = PushSubscriptionViewSet.as_view({"delete": "destroy"}, detail=True, **named)
    urlpatterns += [
        re_path(r"^push/key/?$", PushKeyView.as_view(), name="push-key"),
        re_path(r"^push/subscriptions/?$", many, name="push-subscription-list"),
        re_path(r"^push/subscriptions/(?P<pk>[^/]+)/?$", one, name="push-subscription-detail"),
    ]
