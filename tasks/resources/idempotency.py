"""`Idempotency-Key`: a creation that is repeated gets its first answer again (docs/api.md section 3).

All there is to call is `answered_once`, around a handler. A request without the header passes
straight through.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from django.db import connection
from django.http import HttpResponse
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.owned.acting import acting_as
from accounts.owned.databases import on_postgresql
from accounts.owned.ownership import owner_id
from tasks.resources.answers import KeptAnswer

_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_KEPT_HEADERS = ("Content-Type", "ETag", "Location")

Handler = Callable[..., HttpResponse]


class StillRunning(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "The first request with this Idempotency-Key is still running"
    default_code = "still_running"
    wait = 1  # seconds; REST framework makes `Retry-After` of it


class KeyOfAnotherBody(APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = "This Idempotency-Key came with another body before"
    default_code = "key_of_another_body"


def answered_once(view: APIView, create: Handler) -> Handler:
    """A handler that heeds `Idempotency-Key`: of what `create` answers with 201, repeats get a copy.

    The answer is kept in the transaction that creates, so there is never one without the other.
    """

    def create_once(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        header = request.META.get("HTTP_IDEMPOTENCY_KEY")
        if header is None:
            return create(request, *args, **kwargs)
        key, request_hash = _valid(header), _hash_of(request.data)
        with _alone(request.user, key):
            kept = KeptAnswer.objects.owned_by(request.user).filter(key=key).first()
            if kept is not None and kept.holds:
                if kept.request_hash != request_hash:
                    raise KeyOfAnotherBody
                return _again(kept)
            if kept is not None:
                kept.delete()
            response = create(request, *args, **kwargs)
            if response.status_code == status.HTTP_201_CREATED:
                # Rendered here and not later, as what is kept is what is sent.
                response = view.finalize_response(request, response, *args, **kwargs)
                if isinstance(response, Response):
                    response.render()
                KeptAnswer.objects.create(
                    key=key,
                    request_hash=request_hash,
                    headers={name: response[name] for name in _KEPT_HEADERS if name in response},
                    body=response.content.decode(),
                )
            return response

    return create_once


def _valid(header: str) -> str:
    """The key in a header. Blanks around it are not part of it (RFC 9110 section 5.5)."""
    key = header.strip(" \t")
    if not _KEY.fullmatch(key):
        raise ParseError("Idempotency-Key: Give it 1 to 255 printable ASCII characters.")
    return key


def _hash_of(body: Any) -> str:
    """The same for bodies that are the same as JSON values.

    The order of keys, blanks and escapes make no difference, nor does how a number is written: 1.0
    is 1. But `true` is not 1, and neither is "1".
    """
    # In C and from a shallower stack than the parser's, so no deeper nesting than it lets through.
    plain = json.loads(json.dumps(body), parse_float=_number)
    canonical = json.dumps(plain, sort_keys=True)
    return sha256(canonical.encode()).hexdigest()


def _number(text: str) -> float | int:
    number = float(text)
    return int(number) if number.is_integer() else number


def _again(kept: KeptAnswer) -> HttpResponse:
    """Byte for byte: nothing is rendered anew."""
    return HttpResponse(kept.body, status=status.HTTP_201_CREATED, headers=kept.headers)


_running: dict[str, object] = {}


@contextmanager
def _alone(user: object, key: str) -> Iterator[None]:
    """A transaction for changes of `user` that runs while no other one has this key; raises `StillRunning` at once.

    PostgreSQL knows of all processes. SQLite has one writer at a time, so there the transactions
    of other processes wait for each other, and then find the answer; only within this process can
    a repeat be told to come back rather than be kept waiting.
    """
    name = sha256(f"{key}\n{owner_id(user)}".encode()).digest()
    if on_postgresql():
        with acting_as(user, atomic=True):
            with connection.cursor() as cursor:
                number = int.from_bytes(name[:8], signed=True)
                cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
                if cursor.fetchone() != (True,):
                    raise StillRunning
            yield
        return
    me = object()
    if _running.setdefault(name.hex(), me) is not me:
        raise StillRunning
    try:
        with acting_as(user, atomic=True):
            yield
    finally:
        del _running[name.hex()]
