"""Why a socket is closed: by these codes and reasons, of which clients are told in the AsyncAPI document."""

from enum import Enum
from typing import NamedTuple

from accounts.signin.errors import ExpiredToken, SignedOut

FREE_CODES = 3000  # and above: what RFC 6455 section 7.4.2 leaves to others


class Closing(NamedTuple):
    """A code with its reason, what happened, and what a client does about it."""

    code: int
    reason: str
    happened: str
    remedy: str

    def code_at(self, spec_version: str) -> int:
        """The code that is sent: by servers older than ASGI 2.3, such as daphne, without a reason.

        They send none but those that are free.
        """
        return (
            self.code + FREE_CODES if self.code < FREE_CODES and spec_version < "2.3" else self.code
        )


class Close(Closing, Enum):
    """Every way in which the application closes a socket."""

    UNAUTHORIZED = (
        *(4001, "Unauthorized", "no token, or one that REST would refuse"),
        "get a new token; if there is none, sign in again",
    )
    TOKEN_EXPIRED = (
        *(4001, str(ExpiredToken()), "it has, before or after the socket was opened"),
        "the same",
    )
    SIGNED_OUT = (
        *(4001, str(SignedOut())),
        "staff signed this person out, before or after the socket was opened",
        "ask the person to sign in again",
    )
    TOO_MANY = (
        *(4008, "Too many sockets"),
        "this person has as many of them open at this server process as `SOCKETS_PER_USER` says",
        "close one",
    )
    TRY_AGAIN_LATER = (
        *(4503, "Try again later", "where REST would answer 503"),
        "wait, then reconnect with `since`",
    )
    ERASED = (
        *(4001, "Erased", "this person's data were erased while the socket was open"),
        "forget what was kept of them, and begin anew",
    )
    TOO_BIG = (
        *(1009, "Message too big"),
        "a message of more than 64 KiB; the server may say it in words of its own",
        "send less",
    )
    TOO_SLOW = (
        *(1013, "Too slow", "the client has not read for 10 s"),
        "reconnect with `since`",
    )


# What servers close with by themselves.
CLOSES_OF_SERVERS = {
    1001: "the server goes away: reconnect with `since`",
    1002: "a frame breaks the protocol",
    1007: "a message is not UTF-8",
    1011: "a ping of the protocol was left unanswered for 20 seconds: reconnect with `since`",
    1012: "the server restarts: reconnect with `since`",
}
