"""All routes: the API without trailing slashes (with one they work too), and the admin."""

from django.conf import settings
from django.contrib import admin
from django.urls import path, re_path

import tasks.api.urls
from todolist.docs.views import DocsView, EventsSchemaView, SchemaView
from todolist.health.views import LiveView, ReadyView
from todolist.rest import errors

urlpatterns = [
    # Not by `include`, whose every level would be a search of its own for each request.
    *tasks.api.urls.urlpatterns,
    re_path(r"^health/live/?$", LiveView.as_view(), name="health-live"),
    re_path(r"^health/ready/?$", ReadyView.as_view(), name="health-ready"),
    re_path(r"^schema/?$", SchemaView.as_view(), name="schema"),
    re_path(r"^schema/events/?$", EventsSchemaView.as_view(), name="schema-events"),
    re_path(r"^docs/?$", DocsView.as_view(), name="docs"),
    path("admin/", admin.site.urls),
    # JSON for every other path, with DEBUG on as well; below /admin Django's own pages.
    re_path(r"^(?!admin(?:/|$))", errors.not_found),
]

if settings.METRICS:
    from todolist.observing.views import MetricsView

    urlpatterns.insert(0, re_path(r"^metrics/?$", MetricsView.as_view(), name="metrics"))

# Below /admin these two are Django's own.
handler404 = errors.page_not_found
handler403 = errors.permission_denied
handler400 = errors.bad_request
handler500 = errors.server_error
