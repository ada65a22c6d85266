"""Django's crash pages (DEBUG) and error reports, without the secrets that they would show."""

import re
from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from todolist.logs.formatters import redact


class SecretsFilter(SafeExceptionReporterFilter):
    """Hides more settings and request headers than Django's own, and with DEBUG on as well."""

    hidden_settings = re.compile(
        f"{SafeExceptionReporterFilter.hidden_settings.pattern}"
        "|QUERY_STRING|REDIS_URL|CHANNEL_LAYERS|CACHES|PROTOCOL",  # subprotocols hold a token
        re.IGNORECASE,
    )

    def is_active(self, request: HttpRequest | None) -> bool:
        return True  # passwords of a sign-in form are as secret on a developer's machine


class SecretsReporter(ExceptionReporter):
    """A report without the credentials of the request, wherever they stand in it.

    Local variables in the traceback may hold a token under any name, so the finished page is
    redacted.
    """

    def get_traceback_data(self) -> dict[str, Any]:
        data = super().get_traceback_data()
        if "request_GET_items" in data:
            data["request_GET_items"] = [
                (name, self.filter.cleanse_setting(name, value))
                for name, value in data["request_GET_items"]
            ]
        return data

    def get_traceback_html(self) -> SafeString:
        return SafeString(redact(super().get_traceback_html(), *self.credentials()))

    def get_traceback_text(self) -> SafeString:
        return SafeString(redact(super().get_traceback_text(), *self.credentials()))

    def credentials(self) -> tuple[str, ...]:
        """What this request was signed in with, or tried to."""
        if self.request is None:
            return ()
        sent = self.request.META.get("HTTP_AUTHORIZATION", "")
        offered = self.request.META.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "")
        return (
            *sent.split(),
            *offered.replace(",", " ").split(),
            *self.request.GET.getlist("token"),
            *self.request.COOKIES.values(),
        )
