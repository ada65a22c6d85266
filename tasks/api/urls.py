"""The routes of this application: the viewsets register here."""

from django.urls import re_path
from rest_framework.routers import SimpleRouter

from tasks.api.views import EventsView, NotificationViewSet, TaskViewSet


class OptionalSlashRouter(SimpleRouter):
    """Takes every path with and without a trailing slash; a redirect would lose the body."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


router = OptionalSlashRouter()
router.register("tasks", TaskViewSet, basename="task")
router.register("notifications", NotificationViewSet, basename="notification")

urlpatterns = [*router.urls, re_path(r"^events/?$", EventsView.as_view(), name="events")]
