"""`Idempotency-Key`: a creation that is repeated gets its first answer again (docs/api.md section 3)."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Context, Decimal
from hashlib import sha256
from typing import Any, ClassVar

from django.db import connection, models, transaction
from django.http import HttpResponse
from django.utils import timezone
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.owned.acting import acting_as
from accounts.owned.databases import on_postgresql
from accounts.owned.models import OwnedModel, OwnedQuerySet
from accounts.users import owner_id

KEPT_FOR = timedelta(hours=24)
PRUNE_BATCH = 1000

SHORT = 15  # digits of an integer that is written as it is

# Strings are matched so that no number is found in them. Other integers have one way to be written.
_STRING_OR_NUMBER = re.compile(
    rf'"(?:[^"\\]|\\.)*+"|-?[0-9]++(?:[.e][0-9.e+-]*+|(?<=[0-9]{{{SHORT}}}))'
)
_EXACT = Context(prec=sys.int_info.default_max_str_digits)  # Python reads no longer integer

_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_KEPT_HEADERS = ("Content-Type", "ETag", "Location")

Handler = Callable[..., HttpResponse]


class BadKey(ParseError):
    default_detail = "Idempotency-Key: Give it 1 to 255 printable ASCII characters."
    default_code = "bad_header"


class StillRunning(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "The first request with this Idempotency-Key is still running"
    default_code = "still_running"
    wait = 1  # seconds; REST framework makes `Retry-After` of it


class KeyOfAnotherBody(APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = "This Idempotency-Key came with another body before"
    default_code = "key_of_another_body"


class KeptAnswer(OwnedModel):
    """What one person's key was first answered with. Committed with what it created, or not at all."""

    key = models.CharField(max_length=255)
    path = models.CharField(max_length=255, db_default="")  # "" of answers kept before it was
    request_hash = models.CharField(max_length=64)
    status = models.SmallIntegerField(db_default=status.HTTP_201_CREATED)
    headers = models.JSONField()
    body = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[OwnedQuerySet["KeptAnswer"]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta(OwnedModel.Meta):
        constraints = [
            *OwnedModel.Meta.constraints,
            models.UniqueConstraint(fields=["user_id", "key"], name="kept_answer_key"),
        ]
        indexes = [models.Index(fields=["created_at"], name="kept_answer_created")]  # for `prune`

    def __str__(self) -> str:
        return f"{self.user_id} {self.key}"


def answered_once(view: Any, create: Handler) -> Handler:
    """A handler that heeds `Idempotency-Key`: of what `create` answers with 2xx, repeats get a copy.

    The answer is kept in the transaction that creates, so there is never one without the other.
    """

    def create_once(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        header = request.META.get("HTTP_IDEMPOTENCY_KEY")
        if header is None:
            return create(request, *args, **kwargs)
        key = header.strip(" \t")  # no part of it (RFC 9110 section 5.5)
        if not _KEY.fullmatch(key):
            raise BadKey
        request_hash, path = _hash_of(request.data), request.path.rstrip("/")
        with _alone(request.user, key):
            kept = KeptAnswer.objects.owned_by(request.user).filter(key=key).first()
            if kept is not None and timezone.now() - kept.created_at < KEPT_FOR:
                if kept.request_hash != request_hash or kept.path not in ("", path):
                    raise KeyOfAnotherBody
                return HttpResponse(kept.body, status=kept.status, headers=kept.headers)
            if kept is not None:
                kept.delete()
            response = create(request, *args, **kwargs)
            if status.is_success(response.status_code):
                # Rendered here and not later, as what is kept is what is sent.
                response = view.finalize_response(request, response, *args, **kwargs)
                if isinstance(response, Response):
                    response.render()
                KeptAnswer.objects.create(
                    key=key,
                    path=path,
                    request_hash=request_hash,
                    status=response.status_code,
                    headers={name: response[name] for name in _KEPT_HEADERS if name in response},
                    body=response.content.decode(),
                )
            return response

    return create_once


def prune(now: datetime) -> Iterator[int]:
    """Drop answers whose keys are free again, in batches; yields how many each one dropped.

    Neither waits nor keeps anybody waiting: passes over rows that are locked.
    """
    skip = connection.features.has_select_for_update_skip_locked
    old = KeptAnswer.objects.filter(created_at__lte=now - KEPT_FOR).order_by("created_at")
    while True:
        with transaction.atomic():
            batch = old.select_for_update(skip_locked=skip).values_list("pk", flat=True)
            ids = list(batch[:PRUNE_BATCH])
            KeptAnswer.objects.filter(pk__in=ids).delete()
        if not ids:
            return
        yield len(ids)


def _hash_of(body: Any) -> str:
    """The same for bodies that are the same as JSON: 1.0 is 1, but neither `true` nor "1" is."""
    # In C and from a shallower stack than the parser's, so no deeper nesting than it lets through.
    text = json.dumps(body, sort_keys=True)
    return sha256(_STRING_OR_NUMBER.sub(_written_once, text).encode()).hexdigest()


def _written_once(match: re.Match[str]) -> str:
    """A string as it is, a number in the one way that its value has: `1E+308` is no longer than that."""
    text = match[0]
    if text.startswith('"'):
        return text
    number = _EXACT.normalize(Decimal(text))
    is_short = number.adjusted() < SHORT and number == number.to_integral_value()
    return str(int(number) if is_short else number)


_running: dict[bytes, object] = {}


@contextmanager
def _alone(user: object, key: str) -> Iterator[None]:
    """A transaction for changes of `user`, while no other one has this key; else `StillRunning` at once.

    PostgreSQL knows of all processes. On SQLite those of other processes wait for each other, and then
    find the answer.
    """
    name = sha256(f"{key}\n{owner_id(user)}".encode()).digest()
    if on_postgresql():
        with acting_as(user, atomic=True), connection.cursor() as cursor:
            number = int.from_bytes(name[:8], signed=True)
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
            if cursor.fetchone() != (True,):
                raise StillRunning
            yield
        return
    me = object()
    if _running.setdefault(name, me) is not me:
        raise StillRunning
    try:
        with acting_as(user, atomic=True):
            yield
    finally:
        del _running[name]
