"""What Django's admin log is told: what changed from what to what, and whose it is.

Messages are in the JSON form that Django reads: `fields` are words for the page of its history, `from` and
`to` hold the same for programs, in full.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.utils.text import Truncator

from tasks.rules.moments import as_text

SHOWN = 60  # characters of a value in words


def as_changed(
    owner: str, before: Mapping[str, Any], after: Mapping[str, Any], labels: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """That columns of something of `owner` changed; those with labels are named in words as well."""
    then, now = _plain(before), _plain(after)
    fields = [
        f"{labels[name]} from {_in_words(then[name])} to {_in_words(now[name])}"
        for name in labels
        if name in now
    ]
    return [{"changed": {"fields": fields, "owner": owner, "from": then, "to": now}}]


def as_deleted(row: Any, held: Mapping[str, Any]) -> list[dict[str, Any]]:
    """That a row was deleted which held this."""
    said = {"name": str(row._meta.verbose_name), "object": Truncator(row).chars(SHOWN)}
    return [{"deleted": {**said, "owner": row.user_id, "from": _plain(held)}}]


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has them."""
    return {name: _as_json(value) for name, value in values.items()}


def _as_json(value: Any) -> Any:
    match value:
        case datetime():
            return as_text(value)
        case date():
            return value.isoformat()
        case None | bool() | int() | float() | list() | dict():
            return value
    return str(value)


def _in_words(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = Truncator(value).chars(SHOWN)
    return f"“{text}”" if isinstance(value, str) else text
