"""Routes and connections, as the handler keeps them."""

from typing import Any

import pytest
from django.db import connection
from django.http import Http404
from django.test import RequestFactory
from django.urls import resolve

from todolist.handler import OneHopHandler
from todolist.tests.test_http import PATHS


def test_every_path_leads_where_the_urlconf_says():
    handler = OneHopHandler()
    request: Any = RequestFactory().get("/")
    for path in [*PATHS, "/", "/me/x", "//me", "/ME", "/admin/login"]:
        for spelling in (path, f"{path.rstrip('/')}/"):
            request.path_info = spelling
            try:
                expected = resolve(spelling)
            except Http404:
                with pytest.raises(Http404):
                    handler.resolve_request(request)
                continue
            found = handler.resolve_request(request)
            assert request.resolver_match is found
            assert (found.func, found.kwargs) == (expected.func, expected.kwargs), spelling


def test_only_views_that_say_so_are_answered_on_the_event_loop():
    assert OneHopHandler()._at_once == {"/me", "/me/", "/health/live", "/health/live/"}


@pytest.mark.django_db(transaction=True)
def test_a_thread_gives_up_a_connection_that_is_too_old():
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/health/live",
        "headers": [(b"host", b"testserver")],
    }
    connection.ensure_connection()
    connection.close_at = 0

    status, _, _ = OneHopHandler()._answer_on_thread(scope, b"")

    assert status == 200
    assert connection.connection is None
