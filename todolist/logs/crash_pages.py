"""Django's crash pages (DEBUG) and error reports, without the secrets that they would show."""

import re

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
    """A report without the credentials of the request, wherever they stand in the finished page."""

    def get_traceback_html(self) -> SafeString:
        return SafeString(redact(super().get_traceback_html(), *self.credentials()))

    def get_traceback_text(self) -> SafeString:
        return SafeString(redact(super().get_traceback_text(), *self.credentials()))

    def credentials(self) -> list[str]:
        """What this request was signed in with, or tried to."""
        if self.request is None:
            return []
        sent = self.request.META.get("HTTP_AUTHORIZATION", "").split()
        offered = re.split(r"[\s,]+", self.request.META.get("HTTP_SEC_WEBSOCKET_PROTOCOL", ""))
        asked = [
            value
            for name, values in self.request.GET.lists()
            if SecretsFilter.hidden_settings.search(name)
            for value in values
        ]
        return [*sent, *offered, *asked, *self.request.COOKIES.values()]
