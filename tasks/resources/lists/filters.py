"""Filters and orderings of lists, strict about what they are given (docs/api.md section 3)."""

from typing import Any

import django_filters
from django import forms
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request

from tasks.resources.lists.query import BadParameter, parameter, parameters_of


class _ParameterField(forms.Field):
    """A form field that leaves validation to one of REST framework's fields."""

    def __init__(self, *, parameter: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parameter = parameter

    def clean(self, value: Any) -> Any:
        if value is None:
            return None
        try:
            return self.parameter.run_validation(value)
        except serializers.ValidationError as error:
            detail: Any = error.detail
            raise forms.ValidationError([str(message) for message in detail]) from None


class ParameterFilter(django_filters.Filter):
    """Compares a column with a parameter, which is read by a field of REST framework's."""

    field_class = _ParameterField

    def __init__(self, parameter: Any, *args: Any, **kwargs: Any) -> None:
        """`parameter` is the field; the other arguments are those of `Filter`."""
        super().__init__(*args, parameter=parameter, **kwargs)
        self.parameter = parameter


class SearchFilter(ParameterFilter):
    """Leaves the search to the `search` method of the queryset."""

    pure = True  # depends on its parameter alone: the statement may be compiled once (`fast`)

    def filter(self, qs: Any, value: Any) -> Any:
        return qs.search(value) if value else qs


class StrictFilters(DjangoFilterBackend):
    """django-filter's backend for lists; 400 names the parameter, as for every other.

    The row that a URL names is not filtered by parameters of a list.
    """

    def get_filterset_kwargs(self, request: Any, queryset: Any, view: Any) -> dict[str, Any]:
        kwargs: dict[str, Any] = super().get_filterset_kwargs(request, queryset, view)
        return kwargs | {"data": parameters_of(request)}

    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        if getattr(view, "detail", False):
            return queryset
        filterset: Any = self.get_filterset(request, queryset, view)
        if filterset is None:
            return queryset
        for name in filterset.filters:
            if len(filterset.data.getlist(name)) > 1:
                raise BadParameter(f"{name}: Give it once.")
        if not filterset.is_valid():
            faults = (f"{name}: {' '.join(said)}" for name, said in filterset.errors.items())
            raise BadParameter(" ".join(faults))
        return filterset.qs


class StrictOrdering(OrderingFilter):
    """REST framework's ordering by one of `ordering_fields`; 400 for any other."""

    def choices(self, request: Any, queryset: Any, view: Any) -> list[str]:
        if getattr(view, "ordering_fields", None) is None:
            return []  # REST framework's own would take every field that is shown
        names = [name for name, _ in self.get_valid_fields(queryset, view, {"request": request})]
        return [sign + name for name in names for sign in ("", "-")]

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> Any:
        names = self.choices(request, queryset, view)
        if not names:
            return self.get_default_ordering(view)
        choices = serializers.ChoiceField(names)
        chosen = parameter(parameters_of(request), str(self.ordering_param), choices)
        return self.get_default_ordering(view) if chosen is None else [chosen]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        choices = self.choices(view.request, view.queryset, view)
        schema = {"type": "string", "enum": choices}
        said = "What they are sorted by; `-` before it is from the end."
        name = str(self.ordering_param)
        ordering = {"name": name, "in": "query", "description": said, "schema": schema}
        return [ordering] if choices else []
