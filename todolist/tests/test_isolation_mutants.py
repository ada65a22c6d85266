"""What is left when guards are taken away, one by one (`make mutants`) or all together."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from accounts.owned.models import OwnedQuerySet
from accounts.owned.permissions import IsOwner
from accounts.owned.viewsets import OwnedViewMixin
from conftest import ALICE, BOB, client_with, sign
from tasks.models import Notification, Task
from todolist.tests import mutants
from todolist.tests.people import furnish, keep_no_statements, secret_of


def test_every_guard_can_still_be_taken_away():
    """A mutant that the code has outgrown would prove nothing, and nobody would notice."""
    with mutants.copied_tree() as tree:
        for mutant in mutants.MUTANTS:
            with mutants.mutated(tree, mutant):
                assert (tree / mutant.path).read_text() != (mutants.ROOT / mutant.path).read_text()


@pytest.fixture
def bound_role() -> Callable[[], None]:
    """Go on, to the end of the test, as a role that row-level security binds; superusers it does not."""

    def bind() -> None:
        with connection.cursor() as cursor:
            cursor.execute("CREATE ROLE bound_by_policies NOSUPERUSER NOBYPASSRLS NOLOGIN")
            for kind in ("TABLES", "SEQUENCES"):
                cursor.execute(f"GRANT ALL ON ALL {kind} IN SCHEMA public TO bound_by_policies")
            cursor.execute("SET LOCAL ROLE bound_by_policies")

    return bind


@pytest.mark.skipif(
    connection.vendor != "postgresql" or not django_settings.DATABASE_RLS,
    reason="needs PostgreSQL with DATABASE_RLS (row-level security)",
)
@pytest.mark.django_db
def test_without_any_of_them_postgresql_hands_out_no_foreign_row(monkeypatch, bound_role):
    """The last line: filters, permission and mixin are gone, and the database refuses."""
    theirs, mine = furnish(ALICE), furnish(BOB)
    bob = client_with(sign(BOB))
    monkeypatch.setattr(OwnedQuerySet, "owned_by", lambda self, user: self.all())
    monkeypatch.setattr(IsOwner, "has_object_permission", lambda *args: True)
    monkeypatch.setattr(
        OwnedViewMixin, "get_queryset", lambda self: super(OwnedViewMixin, self).get_queryset()
    )
    keep_no_statements(monkeypatch)

    def leaks(path: str) -> list[str]:
        answer = bob.get(path)
        assert answer.status_code < 500, answer.content
        return [mark for mark in theirs.marks if mark in answer.content.decode()]

    task: Any = theirs.rows[Task]
    paths = ["/tasks", f"/tasks/{task.pk}", "/notifications"]
    if unbound():
        assert all(leaks(path) for path in paths), "a test that could not fail"
        bound_role()

    assert [leak for path in [*paths, "/events"] for leak in leaks(path)] == []
    assert bob.get("/notifications/unread-count").json() == {"count": 1}
    assert secret_of(BOB) in bob.get(f"/tasks/{mine.rows[Task].pk}").content.decode()
    for method in (bob.put, bob.patch, bob.delete):
        assert method(f"/tasks/{task.pk}", {"text": "changed"}).status_code == 403
    assert bob.post(f"/notifications/{theirs.rows[Notification].pk}/read").status_code == 403
    assert bob.post("/notifications/read-all").json() == {"updated": 1}
    task.refresh_from_db()
    assert task.text == secret_of(ALICE)
    assert not Notification.objects.filter(user_id=ALICE, read_at__isnull=False).exists()


def unbound() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
        return bool(cursor.fetchone()[0])
