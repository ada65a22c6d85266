"""What is left when guards are taken away, one by one (`make mutants`) or all together."""

from importlib import import_module
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from accounts.mixins import OwnedViewMixin
from accounts.ownership import OwnedQuerySet
from accounts.permissions import IsOwner
from conftest import ALICE, BOB, client_with, sign
from todolist.tests.people import furnish

mutants: Any = import_module("scripts.mutants")


def test_every_guard_can_still_be_taken_away():
    """A mutant that the code has outgrown would prove nothing, and nobody would notice."""
    with mutants.copied_tree() as tree:
        for mutant in mutants.MUTANTS:
            with mutants.mutated(tree, mutant):
                assert (tree / mutant.path).read_text() != (mutants.ROOT / mutant.path).read_text()


@pytest.mark.skipif(
    not getattr(django_settings, "DATABASE_RLS", False) or connection.vendor != "postgresql",
    reason="needs DATABASE_RLS (row-level security on PostgreSQL), which is not switched on",
)
@pytest.mark.django_db(transaction=True)
def test_without_any_of_them_postgresql_hands_out_no_foreign_row(monkeypatch):
    """The second line: filter, permission and mixin are gone, and the database refuses."""
    theirs = furnish(ALICE)
    monkeypatch.setattr(OwnedQuerySet, "owned_by", lambda self, user: self.all())
    monkeypatch.setattr(IsOwner, "has_object_permission", lambda *args: True)
    monkeypatch.setattr(
        OwnedViewMixin, "get_queryset", lambda self: super(OwnedViewMixin, self).get_queryset()
    )
    bob = client_with(sign(BOB))

    paths = ["/tasks", "/notifications", "/notifications/unread-count", "/events"]
    paths += [f"/tasks/{row.pk}" for row in theirs.rows.values()]
    for path in paths:
        answer = bob.get(path)
        assert answer.status_code < 500
        assert [mark for mark in theirs.marks if mark in answer.content.decode()] == []
    for row in theirs.rows.values():
        for method in (bob.put, bob.patch, bob.delete):
            assert method(f"/tasks/{row.pk}", {"text": "changed"}).status_code in (403, 404)
    assert bob.get("/notifications/unread-count").json() == {"count": 0}
    assert client_with(sign(ALICE)).get("/notifications/unread-count").json() == {"count": 1}
