"""Checks of models with an owner: their rows have an owner, a policy and an index by owner."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, register
from django.db.models import Model

from accounts.checks.asking import OWNER
from accounts.owned.models import OwnedModel
from accounts.owned.row_security import OwnerPolicy


@register
def check_models(**kwargs: Any) -> Iterator[CheckMessage]:
    for model in apps.get_models():
        if model._meta.proxy:
            continue  # its table is that of another model
        if issubclass(model, OwnedModel):
            yield from _check_owned_model(model)
        if any(field.column == OWNER and not field.is_relation for field in model._meta.fields):
            yield from _check_policy(model)
        for field in model._meta.local_many_to_many:
            # The rows of a relation between owned models tell who has what, so they are owned.
            sides: Any = (model, field.related_model, field.remote_field.through)
            if [issubclass(side, OwnedModel) for side in sides] == [True, True, False]:
                yield Error(
                    f"The rows of {model.__name__}.{field.name} belong to nobody.",
                    hint="Name a subclass of OwnedModel with two foreign keys in through=.",
                    obj=model,
                    id="accounts.E116",
                )


def _check_owned_model(model: type[OwnedModel]) -> Iterator[CheckMessage]:
    if OWNER not in _leading_columns(model):
        # Every list would read everybody's rows, in a time that others' rows determine.
        yield Error(
            f"{model.__name__} has no index that begins with its owner.",
            hint=f'Add models.Index(fields=["{OWNER}", ...]) for the order it is listed in.',
            obj=model,
            id="accounts.E109",
        )


def _check_policy(model: type[Model]) -> Iterator[CheckMessage]:
    if not any(isinstance(each, OwnerPolicy) for each in model._meta.constraints):
        # PostgreSQL would show and change the rows of everybody, whoever asks.
        yield Error(
            f"The table of {model.__name__} has no policy for row-level security.",
            hint="Let its Meta inherit OwnedModel.Meta, with its constraints, or name an OwnerPolicy "
            "among its own; run makemigrations.",
            obj=model,
            id="accounts.E117",
        )


def _leading_columns(model: type[Model]) -> set[str]:
    """The columns by which all rows of a table can be looked up."""
    meta: Any = model._meta
    leading = {field.name for field in meta.fields if field.unique or field.db_index}
    leading |= {fields[0] for fields in meta.unique_together if fields}
    for index in (*meta.indexes, *meta.constraints):
        if getattr(index, "condition", None) is not None:
            continue  # holds only some of the rows
        for first in (*getattr(index, "expressions", ()), *getattr(index, "fields", ()))[:1]:
            column = getattr(first, "expression", first)  # of an `OrderBy`
            leading.add(str(getattr(column, "name", column)))  # of an `F`
    return {name.removeprefix("-") for name in leading}
