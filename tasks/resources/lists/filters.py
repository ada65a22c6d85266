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
            if isinstance(value, list):
                return [self.parameter.run_validation(each) for each in value]
            return self.parameter.run_validation(value)
        except serializers.ValidationError as error:
            detail: Any = error.detail
            raise forms.ValidationError([str(message) for message in detail]) from None


class _ListField(_ParameterField):
    widget = forms.MultipleHiddenInput  # asks for all values of a parameter


class ParameterFilter(django_filters.Filter):
    """Compares a column with a parameter, which is read by a field of REST framework's."""

    field_class = _ParameterField
    pure = False  # one that filters in its own way: by its parameter alone (`fast`)
    plain = False  # by more than that: a list with this parameter is read in the plain way

    def __init__(self, parameter: Any, *args: Any, **kwargs: Any) -> None:
        """`parameter` is the field; the other arguments are those of `Filter`."""
        super().__init__(*args, parameter=parameter, **kwargs)
        self.parameter = parameter


class RepeatableFilter(ParameterFilter):
    """One whose parameter may be given more than once: its value is a list."""

    field_class = _ListField


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
        for name, each in filterset.filters.items():
            if not isinstance(each, RepeatableFilter) and len(filterset.data.getlist(name)) > 1:
                raise BadParameter(f"{name}: Give it once.")
        if not filterset.is_valid():
            faults = (f"{name}: {' '.join(said)}" for name, said in filterset.errors.items())
            raise BadParameter(" ".join(faults))
        return filterset.qs


def columns_of(view: Any) -> dict[str, str]:
    """The columns behind the names of orderings, where they differ."""
    return getattr(view, "ordering_columns", {})


class StrictOrdering(OrderingFilter):
    """REST framework's ordering by one of `ordering_fields`; 400 for any other.

    What is sorted by another column than the one it is named after stands in `ordering_columns`.
    """

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
        if chosen is None:
            return self.get_default_ordering(view)
        sign, name = ("-", chosen[1:]) if chosen.startswith("-") else ("", chosen)
        return [sign + columns_of(view).get(name, name)]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        choices = self.choices(view.request, view.queryset, view)
        schema = {"type": "string", "enum": choices}
        said = "What they are sorted by; `-` before it is from the end."
        name = str(self.ordering_param)
        ordering = {"name": name, "in": "query", "description": said, "schema": schema}
        return [ordering] if choices else []
