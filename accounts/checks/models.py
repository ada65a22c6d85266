"""Checks of owned models: their rows can be found by their owner."""

from collections.abc import Iterator
from typing import Any, cast

from django.apps import apps
from django.core.checks import CheckMessage, Error, register
from django.db.models import F, Model
from django.db.models.expressions import OrderBy

from accounts.checks.narrowing import OWNER
from accounts.owned.ownership import OwnedModel


@register
def check_owners_are_indexed(**kwargs: Any) -> Iterator[CheckMessage]:
    """Else every list reads everybody's rows, and takes time that others' rows determine."""
    for model in apps.get_models():
        if issubclass(model, OwnedModel) and OWNER not in _leading_columns(model):
            yield Error(
                f"{model.__name__} has no index that begins with its owner.",
                hint=f'Add models.Index(fields=["{OWNER}", ...]) for the order it is listed in.',
                obj=model,
                id="accounts.E109",
            )


def _leading_columns(model: type[Model]) -> set[str]:
    """The columns by which all rows of a table can be looked up."""
    meta = model._meta
    leading = {
        field.name for field in meta.fields if field.unique or getattr(field, "db_index", False)
    }
    leading |= {fields[0] for fields in meta.unique_together if fields}
    leading |= {field.name for field in meta.pk_fields[:1]}
    for index in (*meta.indexes, *meta.constraints):
        if getattr(index, "condition", None) is not None:
            continue  # holds only some of the rows
        expressions = list(getattr(index, "expressions", ()))
        first: Any = expressions[0] if expressions else None
        first = first.expression if isinstance(first, OrderBy) else first
        if isinstance(first, F):
            leading.add(cast("Any", first).name)
        leading.update(list(getattr(index, "fields", ()))[:1])
    return {name.removeprefix("-") for name in leading}
