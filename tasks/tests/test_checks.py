"""What a recorded resource lacks is told when the server starts, not by its first request."""

from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Length
from django.urls import path

from tasks.api.views import TaskViewSet
from tasks.models import Task
from tasks.resources import wire
from tasks.resources.checks import check_orders_have_columns, check_rows_can_be_shown


def test_the_project_gives_no_cause_for_complaint():
    assert [*check_rows_can_be_shown(), *check_orders_have_columns()] == []


def test_a_recorded_model_that_no_serializer_shows_is_told(monkeypatch):
    monkeypatch.delitem(wire._forms, Task)
    (message,) = check_rows_can_be_shown()
    assert (message.id, message.obj) == ("tasks.E001", Task)
    assert "how Task is shown" in message.msg and message.hint


class ByLength(TaskViewSet):
    queryset = Task.objects.annotate(length=Length("text"))
    ordering_fields = ["created_at", "length"]


class LongestFirst(TaskViewSet):
    queryset = Task.objects.annotate(length=Length("text")).order_by("-length")


class ByExpression(TaskViewSet):
    queryset = Task.objects.order_by(F("order").desc(), Length("text"))


@pytest.mark.parametrize("view", [ByLength, LongestFirst, ByExpression])
def test_an_order_that_a_cursor_cannot_name_is_told(settings, view):
    routes: list[Any] = [path("things", view.as_view({"get": "list"}))]
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": routes})
    messages = list(check_orders_have_columns())
    assert {message.id for message in messages} == {"tasks.E002"}
    assert all(view.__name__ in message.msg and message.hint for message in messages)


class ByTwo(TaskViewSet):
    queryset = Task.objects.order_by(F("order").desc(), "deadline")


def test_an_order_by_columns_is_fine(settings):
    routes: list[Any] = [path("things", ByTwo.as_view({"get": "list"}))]
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": routes})
    assert list(check_orders_have_columns()) == []
