"""Takes the guards of isolation away, one at a time, and shows which tests turn red.

    .venv/bin/python -m todolist.tests.mutants [part of a name ...]

Works on a copy of the tree, on SQLite. Ends with 1 when a mutant survives, can no longer be made
because the code has changed, or breaks more than it takes away.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
COPIED = ("accounts", "tasks", "todolist")
FILES = ("conftest.py", "pytest.ini", "pyproject.toml", "manage.py", ".env.example", "Makefile")

CHECKS = (
    "todolist/tests/test_isolation_checks.py"
    "::test_the_project_as_it_is_gives_no_cause_for_complaint"
)
MATRIX = "todolist/tests/test_isolation_matrix.py"
SOCKETS = "todolist/tests/test_isolation_sockets.py"
MODEL = "todolist/tests/test_isolation_model.py"
OWNERSHIP = "tasks/tests/test_ownership.py"
SETTINGS = "todolist/tests/test_settings.py::test_without_any_way_to_verify_tokens_no_server_starts"
SHOWN = 3  # of the tests of one file that turned red


class Mutant(NamedTuple):
    """One guard taken away: the text that stands in a file once, and what stands there instead."""

    name: str
    path: str
    before: str
    after: str
    tests: tuple[str, ...]


OWNERS = "accounts/owned/models.py"
OWNERSHIP_RULE = "accounts/users.py"
MIXIN = "accounts/owned/viewsets.py"
VIEWS = "tasks/api/views.py"
ASGI = "todolist/asgi.py"
STACK = "OriginMiddleware(TokenMiddleware(URLRouter(websocket_urlpatterns)))"

MUTANTS = (
    Mutant(
        "the owner filter",
        OWNERS,
        "return self.filter(user_id=owner) if owner else self.none()",
        "return self.all()",
        (CHECKS, MATRIX, MODEL),
    ),
    Mutant(
        "the permission",
        "accounts/owned/permissions.py",
        "return isinstance(obj, OwnedModel) and obj.is_owned_by(request.user)",
        "return True",
        (CHECKS, MATRIX),
    ),
    Mutant(
        "the mixin",
        VIEWS,
        "class TaskViewSet(BulkViewSet[Task]):",
        "from rest_framework.viewsets import ModelViewSet\n\n\nclass TaskViewSet(ModelViewSet):",
        (CHECKS, MATRIX),
    ),
    Mutant(
        "IsOwner in the mixin",
        MIXIN,
        "    permission_classes = [IsOwner]\n",
        "    permission_classes = [IsOwner.__base__]\n",
        (CHECKS, MATRIX),
    ),
    Mutant(
        "case in the comparison of owners",
        OWNERS,
        "self.filter(user_id=owner)",
        "self.filter(user_id__iexact=owner)",
        (MODEL, OWNERSHIP),
    ),
    Mutant(
        "the end in the comparison of owners",
        OWNERS,
        "self.filter(user_id=owner)",
        "self.filter(user_id__startswith=owner)",
        (MODEL, OWNERSHIP),
    ),
    Mutant(
        "that only a CurrentUser owns anything",
        OWNERSHIP_RULE,
        'return user.id if isinstance(user, CurrentUser) else ""',
        'return str(getattr(user, "id", None) or "")',
        (CHECKS, OWNERSHIP),
    ),
    Mutant(
        "the owner from the look-up of an object",
        MIXIN,
        "        return everyones.owned_by(self.request.user)\n",
        "        return everyones if self.detail else everyones.owned_by(self.request.user)\n",
        (MATRIX,),
    ),
    Mutant(
        "the difference of 403 and 404",
        MIXIN,
        "raise PermissionDenied(IsOwner.message, IsOwner.code) from None",
        "self._refuse_unknown()",
        (MATRIX,),
    ),
    Mutant(
        "the look-up before OPTIONS",
        MIXIN,
        "        if (self.lookup_url_kwarg or self.lookup_field) in self.kwargs:\n",
        "        if False:\n",
        (MATRIX,),
    ),
    Mutant(
        "the caller from a new row",
        MIXIN,
        "serializer.save(user_id=owner_id(self.request.user))",
        'serializer.save(user_id=self.request.data.get("user_id", owner_id(self.request.user)))',
        (MATRIX, MODEL),
    ),
    Mutant(
        "read-only from the owner",
        "tasks/api/serializers.py",
        "class TaskSerializer(RecordedSerializer):\n",
        "class TaskSerializer(RecordedSerializer):\n    from rest_framework import serializers\n\n"
        "    user_id = serializers.CharField(required=False)\n\n",
        (CHECKS, MATRIX),
    ),
    Mutant(
        "get_object from an action",
        VIEWS,
        "notification = self.get_object()",
        'notification = Notification.objects.get(pk=self.kwargs["pk"])',
        (MATRIX,),
    ),
    Mutant(
        "get_queryset from a count",
        VIEWS,
        "self._own().unread().count()",
        "Notification.objects.unread().count()",
        (MATRIX,),
    ),
    Mutant(
        "get_queryset from a change of many",
        VIEWS,
        "self._own().mark_read()",
        "Notification.objects.mark_read()",
        (MATRIX,),
    ),
    Mutant(
        "the owner from the record of events",
        "tasks/events/record.py",
        "Event.objects.filter(user_id=user_id, seq__gt=last)",
        "Event.objects.filter(seq__gt=last)",
        (MATRIX, SOCKETS),
    ),
    Mutant(
        "bearer tokens from before sessions",
        "todolist/settings.py",
        '["accounts.signin.authentication.BearerAuthentication"]',
        '["rest_framework.authentication.SessionAuthentication", '
        '"accounts.signin.authentication.BearerAuthentication"]',
        (CHECKS, MATRIX),
    ),
    Mutant(
        "the token middleware",
        ASGI,
        STACK,
        "OriginMiddleware(URLRouter(websocket_urlpatterns))",
        (CHECKS, SOCKETS),
    ),
    Mutant(
        "the origin middleware",
        ASGI,
        STACK,
        "TokenMiddleware(URLRouter(websocket_urlpatterns))",
        (CHECKS, SOCKETS),
    ),
    Mutant(
        "the origin rule",
        "accounts/signin/websocket.py",
        "if all(origin in settings.CORS_ORIGINS or is_own(origin, scope) for origin in origins):",
        "if origins is not None:",
        (SOCKETS,),
    ),
    Mutant(
        "the order of origin and token",
        ASGI,
        STACK,
        "TokenMiddleware(OriginMiddleware(URLRouter(websocket_urlpatterns)))",
        (SOCKETS,),
    ),
    Mutant(
        "the refusal to start",
        ASGI,
        "\nrefuse_to_start_while_wrong()",
        "\nbool()",
        (SETTINGS,),
    ),
    Mutant(
        "the owner from the front of an index",
        "tasks/events/models.py",
        'fields=["user_id", "seq"]',
        'fields=["seq", "user_id"]',
        (CHECKS,),
    ),
)


@contextmanager
def copied_tree() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder)
        for name in COPIED:
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in FILES:
            shutil.copy(ROOT / name, copy / name)
        yield copy


@contextmanager
def mutated(tree: Path, mutant: Mutant) -> Iterator[None]:
    """The tree without that guard. Raises `ValueError` where the guard is not found once."""
    path = tree / mutant.path
    source = path.read_text()
    if source.count(mutant.before) != 1:
        raise ValueError(
            f"{mutant.path} holds {source.count(mutant.before)} times: {mutant.before}"
        )
    path.write_text(source.replace(mutant.before, mutant.after))
    try:
        yield
    finally:
        path.write_text(source)


def run_tests(tree: Path, tests: Iterable[str]) -> tuple[int, list[str], str]:
    """Exit code of pytest, the tests that failed, the output. The admin has none of these guards."""
    options = ("-q", "-rf", "--tb=no", "-p", "no:cacheprovider", "-k", "not admin")
    on_sqlite = {"DATABASE_URL": "", "REDIS_URL": "", "PYTHONDONTWRITEBYTECODE": "1"}
    finished = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=tree,
        env={**os.environ, **on_sqlite, "ISOLATION_AS_FOUND": "1"},
        capture_output=True,
        text=True,
    )
    red = re.findall(r"^FAILED (\S+?::\S.*?)(?: - .*)?$", finished.stdout, re.MULTILINE)
    return finished.returncode, red, finished.stdout + finished.stderr


def told(mutant: Mutant, tree: Path) -> Iterator[str]:
    """Which tests notice. Each group has to, by tests that fail, not by anything else."""
    try:
        with mutated(tree, mutant):
            code, failed, output = run_tests(tree, mutant.tests)
    except ValueError as error:
        yield f"**CANNOT BE MADE**: {error}"
        return
    if code != 1:
        yield f"**pytest ended with {code}**: {output[-300:]!r}"
    for group in mutant.tests:
        red = [test.partition("/tests/")[2] for test in failed if test.startswith(group)]
        yield from red[:SHOWN] or [f"**NONE of {group}**"]
        if len(red) > SHOWN:
            yield f"and {len(red) - SHOWN} more"


def main(wanted: list[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if not wanted or any(w in mutant.name for w in wanted)]
    unnoticed = 0
    with copied_tree() as tree:
        code, _, output = run_tests(tree, sorted({test for one in chosen for test in one.tests}))
        if code != 0:
            print(output, "\nNothing was taken away, and yet the tests are not green.")
            return 1
        print("| Taken away | Tests that turned red |\n|---|---|", flush=True)
        for mutant in chosen:
            noticed = list(told(mutant, tree))
            unnoticed += any(line.startswith("**") for line in noticed)
            print(f"| {mutant.name} | {'<br>'.join(noticed)} |", flush=True)
    print(f"\n{len(chosen)} guards taken away, {unnoticed} of them not noticed as they should be")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
