"""All that is somebody's as one JSON document, written piece by piece (docs/api.md section 8)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import Any, NamedTuple

from django.apps import apps
from django.db import connection, transaction
from django.http import FileResponse

from accounts.owned.acting import acting_as
from accounts.owned.databases import on_postgresql
from accounts.users import CurrentUser
from tasks.api.serializers import TrashedTaskSerializer
from tasks.events.protocol import encode
from tasks.models import Preferences, TrashedTask
from tasks.resources.lists.keyset import keys_of, segments
from tasks.resources.models import RecordedModel
from tasks.resources.wire import form_of, row_as_json, shown
from tasks.rules.moments import as_text, now

FORMAT, VERSION = "todolist", 1
BATCH = 1000  # rows in memory
IN_MEMORY = 1024 * 1024  # bytes of a document; what is larger is written to a file first


class Kind(NamedTuple):
    """Rows of one kind, under a name of the document: how they are shown, and in which order."""

    name: str
    model: Any
    form: Any
    ordering: str = "created_at"


def kinds() -> Iterator[Kind]:
    """Whatever its owner is told of by events, and the trash."""
    for model in apps.get_models():
        if issubclass(model, RecordedModel) and model.event_names and model is not Preferences:
            name = str(model._meta.verbose_name_plural).replace(" ", "_")
            yield Kind(name, model, form_of(model))
    yield Kind("trash", TrashedTask, TrashedTaskSerializer, "deleted_at")


def write_document(user_id: str, write: Callable[[str], object]) -> None:
    """Write the document in pieces, all as of one moment; on SQLite each batch of rows is of its own.

    Acts for that person. No piece is larger than the rows of a batch.
    """
    with _snapshot(), acting_as(CurrentUser(user_id)):
        preferences = shown(Preferences.read(user_id))
        write(
            f'{{"format":"{FORMAT}","version":{VERSION},"exported_at":"{as_text(now())}",'
            f'"preferences":{encode(preferences)}'
        )
        for kind in kinds():
            write(f',\n"{kind.name}":[')
            for place, text in enumerate(_rows(kind, user_id)):
                write(f"{',' if place else ''}\n{text}")
            write("]")
        write("}\n")


def as_file(user_id: str) -> Any:
    """The document, to be read and closed: through a file, where it is large.

    So whoever reads it slowly keeps neither a thread nor a transaction, and where something goes wrong,
    there is an error, and not a document that ends in the middle.
    """
    document: Any = SpooledTemporaryFile(IN_MEMORY, "w+b")  # noqa: SIM115  closed by who reads it
    write_document(user_id, lambda text: document.write(text.encode()))
    document.seek(0)
    return document


def answer(user_id: str) -> FileResponse:
    """The document as a file to be saved."""
    named = {"filename": f"{FORMAT}.json", "content_type": "application/json"}
    return FileResponse(as_file(user_id), as_attachment=True, **named)


@contextmanager
def _snapshot() -> Iterator[None]:
    """A transaction that sees one moment. In one that has begun already, whatever that sees."""
    if connection.in_atomic_block or not on_postgresql():
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _rows(kind: Kind, user_id: str) -> Iterator[str]:
    """Somebody's rows of a kind, the oldest first, as JSON: batches of pages by key."""
    rows = kind.model.objects.filter(user_id=user_id).order_by(kind.ordering)
    keys = keys_of(rows, ())
    many = [field.name for field in kind.model._meta.many_to_many]
    as_json = row_as_json(kind.form) if on_postgresql() else None
    last: list[Any] | None = None
    more = True
    while more:
        batch: list[Any] = []
        for part in segments(rows, keys, last):
            names = [key.name for key in keys]
            if as_json is not None:
                batch += part.values_list(*names, as_json)[:BATCH]
            else:
                found = part.prefetch_related(*many)[:BATCH]
                batch += [
                    (*(getattr(row, name) for name in names), encode(kind.form(row).data))
                    for row in found
                ]
        for *place, text in batch:
            yield text
            last = place
        more = len(batch) == BATCH
