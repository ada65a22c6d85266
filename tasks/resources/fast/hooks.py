"""Whether a viewset has left every documented hook as it came: then the fast way is its equal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db.models.expressions import RawSQL
from django.db.models.signals import post_save, pre_save
from django_filters import FilterSet
from rest_framework import serializers
from rest_framework.permissions import BasePermission

from accounts.owned.permissions import IsOwner
from tasks.resources.fields import OwnedKeyField, OwnedKeysField, RecordedSerializer
from tasks.resources.lists.filters import ParameterFilter, StrictFilters, StrictOrdering
from tasks.resources.lists.paging import KeysetPagination
from tasks.resources.models import RecordedModel
from tasks.resources.wire import form_of, row_as_json

VIEW_HOOKS = """
    list create retrieve update partial_update perform_create perform_update
    get_queryset get_object filter_queryset paginate_queryset paginator get_paginated_response
    get_serializer get_serializer_class get_serializer_context get_success_headers
    get_permissions check_object_permissions permission_denied
    get_renderers renderer_classes perform_content_negotiation finalize_response
    lookup_field lookup_url_kwarg prepare initial dispatch initialize_request
""".split()
# Declarations that may be made in a class and are looked into, but are arguments of `as_view` otherwise.
DECLARATIONS = """
    queryset serializer_class permission_classes filter_backends pagination_class
    filterset_class filterset_fields ordering_fields ordering
""".split()
PAGING_HOOKS = ("paginate_queryset", "plan", "get_paginated_response", "limit_field")
FORM_HOOKS = """
    __init__ to_internal_value to_representation run_validation validate run_validators
    create update save is_valid data fields get_fields get_initial validated_data errors
    get_field_names get_extra_kwargs build_field include_extra_kwargs get_validators get_value
    get_default
""".split()
FILTERSET_HOOKS = "__init__ qs filter_queryset is_valid errors form get_form_class".split()
MODEL_HOOKS = """
    save save_base _save_table full_clean stamp settle record_event from_db require_owner
""".split()

HOOKS_OF_INSTANCES = frozenset([*VIEW_HOOKS, *DECLARATIONS]) - {"finalize_response"}
# A field of any other module may ask the context for who sends the body.
FIELDS = ("rest_framework.", RecordedSerializer.__module__)
REFERENCES = OwnedKeyField | OwnedKeysField


@dataclass(frozen=True, eq=False, slots=True)  # looked up by identity: its parts are slow to hash
class Fast:
    """What the fast way needs to know of a viewset."""

    model: type[RecordedModel]
    json: RawSQL  # a row as REST shows it
    # They validate everybody's bodies; `None` where only the plain way can.
    new: serializers.BaseSerializer[Any] | None
    whole: serializers.BaseSerializer[Any] | None
    part: serializers.BaseSerializer[Any] | None
    # Fields that refer to other rows: a body that has some is validated in the plain way.
    references: tuple[str, ...]
    many: tuple[str, ...]  # those of them to many
    deletes: bool  # whether rows are deleted by nothing but the model and its queryset


@cache
def fast_of(view_class: Any, base: Any) -> Fast | None:
    """The fast way of a viewset; `None` where it overrides a hook, or only Python can show its rows."""
    queryset, form = view_class.queryset, view_class.serializer_class
    if (
        not unchanged(view_class, base, VIEW_HOOKS)
        or queryset is None
        or form is None
        or not issubclass(queryset.model, RecordedModel)
        or not {*view_class.filter_backends} <= {StrictFilters, StrictOrdering}
        or not _pure_filters(view_class)
        or not all(map(_asks_no_object, view_class.permission_classes))
        or not issubclass(view_class.pagination_class or object, KeysetPagination)
        or not unchanged(view_class.pagination_class, KeysetPagination, PAGING_HOOKS)
        or not issubclass(form, RecordedSerializer)
        or not _form_unchanged(form)
        or (as_json := row_as_json(form)) is None
        or not unchanged(queryset.model, RecordedModel, MODEL_HOOKS)
    ):
        return None
    stored = queryset.model()  # whichever: a form of one does not take what is new
    new, whole, part = form(), form(stored), form(stored, partial=True)
    writes = _validates_by_itself(new) and form_of(queryset.model) is form
    references = tuple(name for name, field in new.fields.items() if isinstance(field, REFERENCES))
    many = tuple(name for name in references if isinstance(new.fields[name], OwnedKeysField))
    for each in (new, whole, part):  # validation goes through all of them several times
        each.fields = {
            name: field
            for name, field in each.fields.items()
            if not field.read_only and name not in many
        }
    if not writes:
        new = whole = part = None
    deletes = unchanged(view_class, base, ("destroy", "perform_destroy"))
    return Fast(queryset.model, as_json, new, whole, part, references, many, deletes)


def may_write(fast: Fast) -> bool:
    return (
        fast.new is not None
        and {"created", "updated"} <= fast.model.event_names.keys()
        and not pre_save.has_listeners(fast.model)
        and not post_save.has_listeners(fast.model)
    )


def unchanged(changed: type[Any], base: type[Any], names: Sequence[str]) -> bool:
    return all(
        _function(getattr(changed, name)) is _function(getattr(base, name, None))
        for name in names
        if hasattr(changed, name)
    )


def _form_unchanged(form: type[Any]) -> bool:
    names = [name for name in FORM_HOOKS if not getattr(getattr(form, name, None), "pure", False)]
    return unchanged(form, RecordedSerializer, names)


def _function(hook: Any) -> Any:
    """A hook as it was written: a class method is bound anew each time it is looked up."""
    return getattr(hook, "__func__", hook)


def _pure_filters(view_class: type[Any]) -> bool:
    """Whether what is filtered depends on nothing but parameters."""
    filterset_class = getattr(view_class, "filterset_class", None)
    if getattr(view_class, "filterset_fields", None) is not None:
        return False
    return filterset_class is None or (
        issubclass(filterset_class, FilterSet)
        and unchanged(filterset_class, FilterSet, FILTERSET_HOOKS)
        and all(
            # One that filters in its own way has to say so by itself.
            each.method is None
            and (
                type(each).filter is ParameterFilter.filter
                or vars(type(each)).get("pure")
                or vars(type(each)).get("plain")
            )
            for each in filterset_class.base_filters.values()
        )
    )


def plain_parameters(view_class: type[Any]) -> Iterator[str]:
    """The parameters of lists that are filtered by more than parameters."""
    filterset_class = getattr(view_class, "filterset_class", None)
    filters = {} if filterset_class is None else filterset_class.base_filters
    return (name for name, each in filters.items() if getattr(each, "plain", False))


def _asks_no_object(permission: Any) -> bool:
    asks = getattr(permission, "has_object_permission", None)
    return asks in (BasePermission.has_object_permission, IsOwner.has_object_permission)


def _validates_by_itself(form: Any) -> bool:
    """Whether one serializer can validate everybody's bodies: it looks at nothing but the body."""
    return not form.validators and not any(
        hasattr(form, f"validate_{name}")
        or (
            isinstance(field, serializers.RelatedField | serializers.ManyRelatedField)
            and not isinstance(field, OwnedKeyField)
        )
        or not type(field).__module__.startswith(FIELDS)
        or any(getattr(each, "requires_context", False) for each in field.validators)
        or getattr(field.default, "requires_context", False)
        for name, field in form.fields.items()
        if not field.read_only
    )
