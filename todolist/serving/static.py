"""Which static files there are, and where, as pages link to them."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import AppDirectoriesFinder
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.urls import get_script_prefix

SWAGGER = "drf_spectacular_sidecar/swagger-ui-dist"
OF_DOCS = {f"{SWAGGER}/swagger-ui{kind}" for kind in (".css", "-bundle.js")}
OF_DOCS |= {f"{SWAGGER}/favicon-32x32.png"}
# What no page of ours asks for, though it comes with what we use: megabytes, for whoever likes to
# download them again and again.
UNUSED = ("*.map", "drf_spectacular_sidecar/*", "rest_framework/*")
VENDOR = "admin/js/vendor/*.js"  # the admin loads the readable form with DEBUG alone


class FilesOfPages(AppDirectoriesFinder):
    """Django's finder for the folders of apps, past what no page uses."""

    def list(self, ignore_patterns: Any) -> Iterator[Any]:
        for path, storage in super().list(ignore_patterns):
            if is_used(path):
                yield path, storage

    def find(self, path: str, *args: Any, **kwargs: Any) -> Any:
        return super().find(path, *args, **kwargs) if is_used(path) else []


def is_used(path: str) -> bool:
    path = path.replace("\\", "/")
    if fnmatchcase(path, VENDOR) and not settings.DEBUG:
        return path.endswith(".min.js") or "/i18n/" in path
    return path in OF_DOCS or not any(fnmatchcase(path, unused) for unused in UNUSED)


class StaticFilesBelowPrefix(StaticFilesStorage):
    """Links carry the prefix of the request: Django adds the one of the first request, and keeps it."""

    def url(self, name: str | None) -> str:
        return get_script_prefix().rstrip("/") + super().url(name)
