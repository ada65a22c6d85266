"""Django's crash pages (DEBUG) and error reports, without the secrets that they would show."""

import re
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qsl

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, parse_cookie
from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from todolist.logs.redaction import SHORTEST, redact


class SecretsFilter(SafeExceptionReporterFilter):
    """Hides more settings and request headers than Django's own, and with DEBUG on as well."""

    hidden_settings = re.compile(
        f"{SafeExceptionReporterFilter.hidden_settings.pattern}"
        "|QUERY_STRING|REDIS_URL|CHANNEL_LAYERS|CACHES|PROTOCOL",  # subprotocols hold a token
        re.IGNORECASE,
    )

    def is_active(self, request: HttpRequest | None) -> bool:
        return True  # passwords of a sign-in form are as secret on a developer's machine


MOST = 100  # credentials of a request that a page is searched for


class SecretsReporter(ExceptionReporter):
    """A report without the credentials of the request, wherever they stand in the finished page."""

    def get_traceback_html(self) -> SafeString:
        return self._without_credentials(super().get_traceback_html)

    def get_traceback_text(self) -> SafeString:
        return self._without_credentials(super().get_traceback_text)

    def _without_credentials(self, make: Callable[[], str]) -> SafeString:
        with suppress(SuspiciousOperation):  # of a request that Django itself refuses to read
            if not self._is_costly() and len(hidden := self.credentials()) <= MOST:
                return SafeString(redact(make(), hidden))
        return SafeString("Not shown: the request holds too much that would have to be hidden.")

    def _is_costly(self) -> bool:
        """Whether it takes long to read what the request was sent with."""
        sent = {} if self.request is None else self.request.META
        # Escaped cookies take Python before 3.11.10 the square of their number.
        escapes = sent.get("HTTP_COOKIE", "").count("\\")
        return bool(escapes + sent.get("QUERY_STRING", "").count("&") > MOST)

    def credentials(self) -> set[str]:
        """What this request was signed in with, or tried to."""
        if self.request is None:
            return set()
        sent = self.request.META.get("HTTP_AUTHORIZATION", "").split()
        offered = re.split(r"[\s,]+", self.request.META.get("HTTP_SEC_WEBSOCKET_PROTOCOL", ""))
        asked = [
            value
            for name, value in parse_qsl(self.request.META.get("QUERY_STRING", ""))
            if SecretsFilter.hidden_settings.search(name)
        ]
        cookies = parse_cookie(self.request.META.get("HTTP_COOKIE", "")).values()
        return {value for value in (*sent, *offered, *asked, *cookies) if len(value) >= SHORTEST}
