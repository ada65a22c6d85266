"""Checks of owned models: their rows have an owner, a policy and an index by owner."""

from collections.abc import Iterator
from typing import Any, cast

from django.apps import apps
from django.core.checks import CheckMessage, Error, register
from django.db.models import F, Model
from django.db.models.expressions import OrderBy

from accounts.checks.narrowing import OWNER
from accounts.owned.models import OwnedModel
from accounts.owned.row_security import OwnerPolicy


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


@register
def check_rows_have_policies(**kwargs: Any) -> Iterator[CheckMessage]:
    """Else PostgreSQL shows and changes the rows of everybody, whoever asks."""
    for model in apps.get_models():
        if issubclass(model, OwnedModel) and not any(
            isinstance(constraint, OwnerPolicy) for constraint in model._meta.constraints
        ):
            yield Error(
                f"The table of {model.__name__} has no policy for row-level security.",
                hint="Let its Meta inherit OwnedModel.Meta, begin its constraints with "
                "*OwnedModel.Meta.constraints, and run makemigrations.",
                obj=model,
                id="accounts.E117",
            )


@register
def check_relations_have_owners(**kwargs: Any) -> Iterator[CheckMessage]:
    """The rows of a many-to-many relation between owned models tell who has what, so they are owned."""
    for model in apps.get_models():
        for field in model._meta.local_many_to_many:
            through: Any = field.remote_field.through
            between_owned = {
                issubclass(model, OwnedModel),
                issubclass(field.related_model, OwnedModel),
            }
            if between_owned == {True} and not issubclass(through, OwnedModel):
                yield Error(
                    f"The rows of {model.__name__}.{field.name} belong to nobody: its table has "
                    "neither owner nor policy.",
                    hint="Write the model of the relation, as a subclass of OwnedModel with two "
                    "foreign keys, and name it in through=.",
                    obj=model,
                    id="accounts.E116",
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
