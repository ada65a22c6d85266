"""Why a token is not accepted. The texts are fit for the caller to see."""


class TokenError(Exception):
    """A token that cannot be accepted. `code` tells clients the kind of reason."""

    code = "token_invalid"


class InvalidToken(TokenError):
    """The token is wrong; it will not become right by trying again."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Invalid token: {reason}")
        self.reason = reason


class NoKeyFits(InvalidToken):
    """No published key on hand has signed the token: one that is fetched now might have.

    `kid` is the id of the key that the token names; `fetches` have ended before it was checked.
    """

    def __init__(self, reason: str, kid: str | None, fetches: int) -> None:
        super().__init__(reason)
        self.kid, self.fetches = kid, fetches


class ExpiredToken(TokenError):
    """The token was good until its `exp` passed."""

    code = "token_expired"

    def __init__(self) -> None:
        super().__init__("Token has expired")


class SignedOut(TokenError):
    """The token was issued before its person was signed out by staff."""

    code = "signed_out"

    def __init__(self) -> None:
        super().__init__("Signed out")


class KeysUnavailable(Exception):
    """No key can be had: none was ever fetched, or so long ago that it is too stale to use.

    `fetches` have ended before that was found.
    """

    kid = None

    def __init__(self, retry_after: float, fetches: int = 0) -> None:
        super().__init__("The keys to check tokens with cannot be had at the moment")
        self.fetches = fetches
        self.retry_after = max(1, round(retry_after + 0.5))  # whole seconds


class FetchError(Exception):
    """The key server did not answer with a key set. The text says why, on one line."""
