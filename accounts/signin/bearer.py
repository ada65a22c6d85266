"""The value of an `Authorization` header (RFC 6750 section 2.1), as both doors read it."""

from accounts.signin.errors import InvalidToken


def bearer_token(header: bytes) -> str | None:
    """The token in the value of an `Authorization` header; `None` for none or another scheme.

    Raises `InvalidToken` when the scheme is ours and what follows is not one token.
    """
    parts = header.split()
    if not parts or parts[0].lower() != b"bearer":
        return None
    if len(parts) != 2:
        raise InvalidToken("not one token after Bearer")
    return parts[1].decode("latin-1")
