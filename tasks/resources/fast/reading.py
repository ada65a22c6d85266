"""Lists and rows by one statement each, which the ORM compiles out of the plain way's querysets."""

import json
from functools import cache, lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request

from accounts import erasures
from accounts.owned.acting import condition, fetch_acting
from accounts.owned.databases import fetch_again
from accounts.owned.viewsets import UUID_TEXT
from accounts.users import CurrentUser, owner_id
from tasks.events.record import POSITION, Position
from tasks.resources.etags import etag, knows
from tasks.resources.fast.hooks import Fast, plain_parameters
from tasks.resources.fields import RecordedSerializer
from tasks.resources.lists.keyset import cursor_of, ordering_of
from tasks.resources.lists.paging import SHORT, link_to_next
from tasks.resources.lists.query import parameters_of, query_of
from tasks.resources.wire import row_as_json

# Placeholders in statements that are compiled once: no id holds a NUL, no key is this one.
OWNER = CurrentUser("\x00owner")
KEY = UUID(int=(1 << 128) - 1)


class Statement(NamedTuple):
    """SQL that was compiled once, and its values, some of which are placeholders."""

    sql: str
    values: tuple[Any, ...]

    def for_owner(self, owner: str, key: str | None = None) -> list[Any]:
        stand_for = {OWNER.id: owner, KEY: key}
        return [stand_for.get(value, value) for value in self.values]


def for_its_owner(rows: models.QuerySet[Any]) -> Statement:
    """A statement that acts for the owner whose rows it reads."""
    return compiled(rows.filter(condition(OWNER.id)))


def compiled(rows: models.QuerySet[Any]) -> Statement:
    """What a queryset would execute, placeholders and all."""
    sql, values = rows.query.sql_with_params()
    return Statement(sql, values)


# A row's JSON as `answer` sends it.
_ESCAPED = r"replace(replace(text, chr(8232), '\u2028'), chr(8233), '\u2029')"


def answer(text: str, status: int = 200, **headers: str) -> HttpResponse:
    """JSON that the database wrote, with the two escapes that REST framework's renderer makes on top.

    JavaScript took them for ends of lines once.
    """
    body = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode()
    return HttpResponse(body, "application/json", status, headers=headers)


class ListStatement(NamedTuple):
    """Two statements, the second for pages that would be too large.

    The first reads the rows as JSON with commas between them (`None`: too large), whether more follow,
    the last one, what it is sorted by beside what it shows, and the position of the record at that
    moment, which takes its values (`POSITION`) before those of the rows. The second reads, row by row, as
    many as fit, each with the number of all rows.
    """

    statement: Statement
    cut_short: str
    ordering: str
    keys: list[str]  # what the rows are sorted by
    hidden: bool  # whether they do not show all of it


def list_page(view: Any, fast: Fast, request: Request) -> HttpResponse | None:
    query = query_of(request)
    # Kept where the query has no cursor and no long words.
    kept = _kept_list if len(query) <= SHORT else _list_statement
    view_class: Any = type(view)
    found = kept(view_class, query)
    if found is None:
        return None
    owner = owner_id(request.user)
    values = found.statement.for_owner(owner)
    values[:0] = [owner, owner, erasures.names_of(owner)]  # of the position
    ((*position, text, more, last, unseen),) = fetch_acting(
        owner, found.statement.sql, values, fetch_again
    )
    response = None if text is None else answer(f"[{text}]")
    if (
        response is None or len(response.content) > settings.MAX_PAGE_SIZE
    ):  # the escapes made it larger
        if found.hidden:
            return None
        rows = fetch_acting(owner, found.cut_short, values[3:], fetch_again)
        more, last = rows[0][1] > len(rows), rows[-1][0]
        response = answer(f"[{','.join(text for text, _ in rows)}]")
    Position(*position).tell(response)
    if more:
        row = json.loads(last) | json.loads(unseen or "{}")
        cursor = cursor_of(found.ordering, [row[name] for name in found.keys])
        response["Link"] = link_to_next(request, "cursor", cursor)
    return response


def _list_statement(view_class: Any, query: str) -> ListStatement | None:
    """Depends on the class and the query alone; `None` where what the list holds does not, and where the
    plain way has to say whether anything knows all parameters.

    Raises what filters and paginator raise.
    """
    http = HttpRequest()
    http.META["QUERY_STRING"] = query
    view = view_class()
    view.request, view.args, view.kwargs, view.format_kwarg = Request(http), (), {}, None
    view.action, view.detail = "list", False
    if any(name in parameters_of(view.request) for name in plain_parameters(view_class)):
        return None
    rows = view.filter_queryset(owned_rows(view))
    limit, keys, parts = view.paginator.plan(rows, view.request)
    shown = view_class.serializer_class().fields
    if parameters_of(view.request).unknown:
        return None
    hidden = [key.name for key in keys if key.name not in shown]
    read: list[Statement] = []
    for part in parts:
        acting = part.filter(condition(OWNER.id))
        as_json = acting.values_list(row_as_json(view_class.serializer_class), flat=True)
        read.append(compiled(as_json[: limit + 1]))
    # Without OFFSET the rows would be read once for each column.
    arrays = " || ".join(f"ARRAY({one.sql})" for one in read)
    # The array of JSON is a little larger than the page: its size tells for nothing which page fits.
    sql = (
        f"SELECT {POSITION}, CASE WHEN pg_column_size(own.rows) <= {settings.MAX_PAGE_SIZE}"  # noqa: S608  compiled
        f" THEN array_to_string(own.rows[:{limit}], ',') END, cardinality(own.rows) > {limit},"
        f" own.rows[{limit}], {_unseen(rows.model, hidden)} FROM (SELECT *, CASE WHEN cardinality(rows)"
        f" > {limit} THEN (rows[{limit}]::json ->> 'id')::uuid END AS last FROM"
        f" (SELECT {arrays} AS rows OFFSET 0) AS read OFFSET 0) AS own"
    )
    cut_short = (
        "SELECT text, all_rows FROM (SELECT text, place, count(*) OVER () AS all_rows,"  # noqa: S608  compiled
        f" sum(octet_length({_ESCAPED}) + 1) OVER (ORDER BY place) AS size"
        f" FROM unnest({arrays}) WITH ORDINALITY AS own(text, place)) AS sized"
        f" WHERE place = 1 OR (place <= {limit} AND size < {settings.MAX_PAGE_SIZE}) ORDER BY place"
    )
    statement = Statement(sql, tuple(value for one in read for value in one.values))
    names = [key.name for key in keys]
    return ListStatement(statement, cut_short, ordering_of(keys), names, bool(hidden))


def _unseen(model: Any, hidden: list[str]) -> str:
    """SQL of what the last row of a page is sorted by and does not show, as JSON; of the same moment.

    It is found by a plain column: by what functions make of one, row-level security allows no index.
    """
    if not hidden:
        return "NULL"
    meta = type("Meta", (), {"model": model, "fields": hidden})
    as_json: Any = row_as_json(type("Keys", (RecordedSerializer,), {"Meta": meta}))
    table = model._meta
    return f'(SELECT {as_json.sql} FROM "{table.db_table}" WHERE "{table.pk.column}" = own.last)'  # noqa: S608


_kept_list = lru_cache(maxsize=256)(_list_statement)


def owned_rows(view: Any) -> Any:
    """What `get_queryset` of the ownership mixin answers to the placeholder."""
    rows: Any = GenericAPIView.get_queryset(view)
    return rows.owned_by(OWNER)


def retrieve(view: Any, fast: Fast, request: Request) -> HttpResponse | None:
    key = key_of(view)
    if key is None:
        return None
    view_class: Any = type(view)
    statement = row_statement(view_class, as_json=True)
    owner = owner_id(request.user)
    values = statement.for_owner(owner, key)
    found = fetch_acting(owner, statement.sql, values, fetch_again)
    if not found:
        return None  # whether it is another's or nobody's, the plain way says
    ((text, version),) = found
    current = etag(version)
    if knows(request, current):
        return HttpResponseNotModified(headers={"ETag": current})
    return answer(text, ETag=current)


@cache
def row_statement(view_class: Any, *, as_json: bool) -> Statement:
    """Reads the row with a key: its JSON and its version, or its columns."""
    rows = owned_rows(view_class()).filter(condition(OWNER.id), pk=KEY).order_by()
    columns = attributes(view_class.queryset.model)
    json_and_version = (row_as_json(view_class.serializer_class), "version")
    return compiled(rows.values_list(*(json_and_version if as_json else columns)))


@cache
def attributes(model: Any) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def key_of(view: Any) -> str | None:
    """The key that the URL names, if it is one."""
    text: str = view._lookup_value
    return text if UUID_TEXT.fullmatch(text) else None
