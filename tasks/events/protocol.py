"""What is said over the socket, each message declared once: it is sent, and described to clients, by this.

Fields say what they are by `Annotated`, in the words of JSON Schema.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, NamedTuple, Self
from urllib.parse import parse_qs

from tasks.rules.moments import as_text

PATH = "/ws/notifications"
MAX_FRAME_SIZE = 64 * 1024  # bytes of a message of a client

# One encoder for all: `json.dumps` with options makes one for each text.
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

NUMBER = "^[0-9]{1,18}$"
EPOCH = "8c1f0d6b5a2e4937b0c1d2e3f4a59687"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.…"  # noqa: S105  an example

Epoch = Annotated[
    str, {"description": "Names the history that the numbers belong to", "examples": [EPOCH]}
]
Expiry = Annotated[
    str,
    {
        "description": "Until when the token is good",
        "format": "date-time",
        "examples": ["2030-04-28T08:15:00Z"],
    },
]


class Message:
    """Anything that is said, told apart by its `type`."""

    type: ClassVar[str]

    @property
    def text(self) -> str:
        return encode({"type": self.type, **vars(self)})


@dataclass(frozen=True)
class SocketReady(Message):
    """The first message: where the client stands, and until when its token is good."""

    type = "ready"
    seq: Annotated[
        int,
        {
            "description": "The number of the last event that the client has: its own `since`, "
            "else that of the newest",
            "examples": [41],
        },
    ]
    expires_at: Expiry
    epoch: Epoch


@dataclass(frozen=True)
class Resync(Message):
    """Events are missing, or of another history: fetch the lists again, and go on from here."""

    type = "resync"
    seq: Annotated[int, {"description": "The number of the newest event", "examples": [97]}]
    epoch: Epoch


@dataclass(frozen=True)
class TokenExpiring(Message):
    """The token expires in a minute or less: send a new one, or the socket is closed then."""

    type = "auth.expiring"
    expires_at: Expiry


@dataclass(frozen=True)
class TokenRenewed(Message):
    """The new token is taken, and the socket lives on until that one expires."""

    type = "auth.ok"
    expires_at: Expiry


@dataclass(frozen=True)
class Pong(Message):
    """The answer to a `ping`."""

    type = "pong"


@dataclass(frozen=True)
class NotUnderstood(Message):
    """The answer to whatever is none of the messages of clients. The socket stays."""

    type = "error"
    detail: Annotated[
        str, {"description": "What could be sent, in one sentence, which may change"}
    ] = 'Send {"type": "ping"} or {"type": "auth", …}'


@dataclass(frozen=True)
class Ping(Message):
    """Asks whether the server is there, which answers with a `pong`."""

    type = "ping"


@dataclass(frozen=True)
class NewToken(Message):
    """A newer token of the same person. Any other one, or none, closes the socket."""

    type = "auth"
    token: Annotated[str, {"description": "As in the URL", "examples": [TOKEN]}]


class LiveEvent(NamedTuple):
    """A change of something of one's own, each once and in order."""

    seq: Annotated[
        int,
        {
            "description": "1, 2, 3, … for each person, without gaps, in the order of the commits",
            "examples": [42],
        },
    ]
    type: str
    at: Annotated[datetime, {"examples": ["2030-04-28T08:00:00.123456Z"]}]
    data: str  # JSON already, as a database may have written it

    @property
    def text(self) -> str:
        at = as_text(self.at)
        return f'{{"seq":{self.seq},"type":"{self.type}","at":"{at}","data":{self.data}}}'


# What the server says besides events, and what each message of a client is answered with.
SAID: tuple[type[Message], ...] = (
    *(SocketReady, Resync, TokenExpiring, TokenRenewed, Pong, NotUnderstood),
)
ANSWERS: dict[type[Message], type[Message]] = {Ping: Pong, NewToken: TokenRenewed}


@dataclass(frozen=True)
class Query:
    """Parameters of a socket's URL besides the token; of several of one name the last counts."""

    since: Annotated[
        str | None,
        {
            "pattern": NUMBER,
            "description": "The number of the last event that the client has: what came after it "
            "is sent first. Without it, events are sent from now on.",
            "examples": ["41"],
        },
    ] = None
    epoch: Annotated[
        str | None,
        {
            "description": "The history that `since` belongs to. Where there is another one, the "
            "second message is `resync`.",
            "examples": [EPOCH],
        },
    ] = None

    @classmethod
    def read(cls, query_string: bytes) -> Self:
        given: Any = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
        names = given.keys() & cls.__dataclass_fields__.keys()
        return cls(**{name: given[name][-1] for name in names})

    @property
    def number(self) -> int | None:
        """Of `since`; `None` where that is no number."""
        since = self.since or ""
        return int(since) if re.fullmatch(NUMBER, since) else None
