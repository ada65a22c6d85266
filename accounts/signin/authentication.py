"""The door for HTTP: `Authorization: Bearer <token>` in, a `CurrentUser` out (RFC 6750)."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.request import Request

from accounts.signin.conf import conf
from accounts.signin.errors import KeysUnavailable, TokenError
from accounts.signin.known_tokens import bearer_token, verify, verify_async
from accounts.signin.tokens import VerifiedToken
from accounts.users import CurrentUser


class TryAgainLater(APIException):
    """Nothing is known against the token, it just cannot be checked."""

    status_code = 503

    def __init__(self, error: KeysUnavailable) -> None:
        super().__init__(str(error), code="keys_unavailable")
        self.wait = error.retry_after  # REST framework makes `Retry-After` of it


class BearerAuthentication(BaseAuthentication):
    """Authenticate by a Better Auth token; no database row is read or written."""

    def authenticate(self, request: Request) -> tuple[CurrentUser, VerifiedToken] | None:
        """`None` when no bearer token was sent; `AuthenticationFailed` when it is no good."""
        try:
            header = request.META.get("HTTP_AUTHORIZATION", "")
            raw = bearer_token(header.encode("latin-1", "replace"))
            if raw is None:
                return None
            token = verify(raw)
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


async def settle_keys(scope: Mapping[str, Any]) -> None:
    """Wait on the event loop, not in a thread, until the keys that a request needs are cached."""
    if not conf.jwks_url:
        return  # shared secrets need no fetch
    for name, value in scope["headers"]:
        if name == b"authorization":
            with suppress(TokenError, KeysUnavailable):
                if raw := bearer_token(value):
                    await verify_async(raw)
