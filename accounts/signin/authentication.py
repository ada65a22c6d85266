"""The door for HTTP: `Authorization: Bearer <token>` in, a `CurrentUser` out (RFC 6750)."""

import time
from collections.abc import MutableMapping
from typing import Any, NamedTuple

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.request import Request

from accounts.signin.errors import ExpiredToken, KeysUnavailable, TokenError
from accounts.signin.known_tokens import bearer_token, verify, verify_async
from accounts.signin.tokens import VerifiedToken
from accounts.users import CurrentUser

SEEN = "todolist.authorization"  # of an ASGI scope


class TryAgainLater(APIException):
    """Nothing is known against the token, it just cannot be checked."""

    status_code = 503

    def __init__(self, error: KeysUnavailable) -> None:
        super().__init__(str(error), code="keys_unavailable")
        self.wait = error.retry_after  # REST framework makes `Retry-After` of it


class Seen(NamedTuple):
    """An `Authorization` header that was looked at already, and what was found."""

    header: bytes
    found: VerifiedToken | TokenError | KeysUnavailable | None

    def outcome(self) -> VerifiedToken | None:
        """As `verify`: meanwhile it may have expired."""
        if isinstance(self.found, Exception):
            raise self.found
        if self.found is not None and time.time() >= self.found.expires_at:
            raise ExpiredToken
        return self.found


class BearerAuthentication(BaseAuthentication):
    """Authenticate by a Better Auth token; no database row is read or written."""

    def authenticate(self, request: Request) -> tuple[CurrentUser, VerifiedToken] | None:
        """`None` when no bearer token was sent; `AuthenticationFailed` when it is no good."""
        try:
            header = request.META.get("HTTP_AUTHORIZATION", "").encode("latin-1", "replace")
            # Once: an error that was raised refers to the request.
            seen: Seen | None = getattr(request._request, "scope", {}).pop(SEEN, None)
            if seen is not None and seen.header == header:
                token = seen.outcome()
            else:
                raw = bearer_token(header)
                token = None if raw is None else verify(raw)
            if token is None:
                return None
        except KeysUnavailable as error:
            raise TryAgainLater(error) from error
        except TokenError as error:
            # `authenticate_header` is asked later, of another instance, with this same request.
            request.bearer_error = str(error)  # type: ignore[attr-defined]
            raise AuthenticationFailed(str(error), error.code) from error
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """The challenge of a 401: RFC 6750 section 3, without an error when nothing was sent."""
        error = getattr(request, "bearer_error", None)
        if error is None:
            return "Bearer"
        return f'Bearer error="invalid_token", error_description="{error}"'


async def who_asks(scope: MutableMapping[str, Any]) -> CurrentUser | None:
    """Whose token an ASGI request came with: `None` without a good one.

    For the event loop, where it waits for keys that have to be fetched. What was found is kept in the
    scope, for `BearerAuthentication`, which tells why a token is refused. Several headers are none
    that is good, and are not looked at.
    """
    headers = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(headers) != 1:
        return None
    found: VerifiedToken | TokenError | KeysUnavailable | None
    try:
        raw = bearer_token(headers[0])
        found = None if raw is None else await verify_async(raw)
    except (TokenError, KeysUnavailable) as error:
        found = error.with_traceback(None)
    scope[SEEN] = Seen(headers[0], found)
    return found.user if isinstance(found, VerifiedToken) else None
