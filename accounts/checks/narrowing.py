"""Whether a queryset is narrowed to one owner, told by its conditions alone.

Django documents no way of reading a queryset's conditions: this module alone looks into
`QuerySet.query`. What it does not understand counts as not narrowed.
"""

from typing import Any

from django.db.models import QuerySet
from django.db.models.expressions import Col
from django.db.models.lookups import Exact
from django.db.models.sql.where import AND, NothingNode, WhereNode

OWNER = "user_id"  # the column of `OwnedModel`


def is_empty(rows: QuerySet[Any] | None) -> bool:
    """Whether a queryset, if there is one, finds nothing, whatever the table holds (`none()`)."""
    return rows is None or rows.query.is_empty()


def is_narrowed_to(owner: str, rows: QuerySet[Any] | None) -> bool:
    """Whether a queryset, if there is one, finds nothing but rows of `owner`."""
    return rows is None or _finds_only(owner, rows.query)


def _finds_only(owner: str, query: Any) -> bool:
    if query.combinator:  # a union and the like
        return all(_finds_only(owner, part) for part in query.combined_queries)
    return query.is_empty() or _demands(owner, query.where, query.base_table)


def _demands(owner: str, condition: Any, table: str | None) -> bool:
    """Whether a condition lets through nothing but rows of `owner`."""
    if isinstance(condition, WhereNode):
        if condition.negated or not condition.children:
            return False
        enough = any if condition.connector == AND else all
        return enough(_demands(owner, child, table) for child in condition.children)
    return isinstance(condition, NothingNode) or (
        isinstance(condition, Exact)
        and isinstance(condition.lhs, Col)
        and condition.lhs.alias == table
        and condition.lhs.target.name == OWNER
        and condition.rhs == owner
    )
