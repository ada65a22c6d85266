"""Where static files are, as pages link to them."""

from django.contrib.staticfiles.storage import StaticFilesStorage
from django.urls import get_script_prefix


class StaticFilesBelowPrefix(StaticFilesStorage):
    """Links carry the prefix of the request: Django adds the one of the first request, and keeps it."""

    def url(self, name: str | None) -> str:
        return get_script_prefix().rstrip("/") + super().url(name)
