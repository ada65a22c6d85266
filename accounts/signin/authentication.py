"""The door for HTTP: `Authorization: Bearer <token>` in, a `CurrentUser` out (RFC 6750)."""

from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, cast

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.request import Request

from accounts.signin.conf import conf
from accounts.signin.errors import InvalidToken, KeysUnavailable, TokenError
from accounts.signin.known_tokens import bearer_token, verify, verify_async
from accounts.signin.tokens import VerifiedToken
from accounts.users import CurrentUser

SETTLED = "accounts.signin.settled"  # key of an ASGI scope


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
            token = _settled(request, raw)
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


async def settle_keys(scope: MutableMapping[str, Any]) -> None:
    """Verify a request's token on the event loop, which is where to wait for published keys.

    What comes of it stands in the scope, and `BearerAuthentication` goes by it.
    """
    headers = [value for name, value in scope["headers"] if name == b"authorization"]
    # Shared secrets need no fetch. And several headers, which Django joins, are never a token.
    if not conf.jwks_url or len(headers) != 1:
        return
    with suppress(InvalidToken):  # which `BearerAuthentication` finds as well
        if (raw := bearer_token(headers[0])) is not None:
            try:
                scope[SETTLED] = raw, await verify_async(raw)
            except (TokenError, KeysUnavailable) as error:
                scope[SETTLED] = raw, error.with_traceback(None)


def _settled(request: Request, raw: str) -> VerifiedToken:
    """The token of a request as `settle_keys` has found it, or verified by now."""
    settled, outcome = getattr(request, "scope", {}).pop(SETTLED, (None, None))
    if settled != raw:
        return verify(raw)
    if isinstance(outcome, Exception):
        raise outcome
    return cast("VerifiedToken", outcome)
