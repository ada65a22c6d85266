"""Moving: an order of one's own, for tasks, projects and labels (docs/api.md section 4)."""

from collections import Counter
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import ALICE, BOB
from tasks.models import Event, Label, Project, Task
from tasks.rules.position import is_key
from tasks.tests.calls import made

pytestmark = pytest.mark.django_db

KINDS = {"tasks": ("text", Task), "projects": ("name", Project), "labels": ("name", Label)}


def create(api: Any, names: str, kind: str = "tasks") -> dict[str, str]:
    """One of each letter, the last one at the top; their ids by their names."""
    return {
        name: api.post(f"/{kind}", {KINDS[kind][0]: name}).json()["id"] for name in reversed(names)
    }


def order(api: Any, kind: str = "tasks") -> str:
    rows = api.get(f"/{kind}?ordering=position").json()
    return "".join(row[KINDS[kind][0]] for row in rows)


def move(api: Any, row: str, kind: str = "tasks", **where: Any) -> dict[str, Any]:
    answer = api.post(f"/{kind}/{row}/move", where)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    assert found == api.get(f"/{kind}/{row}").json()
    assert answer["ETag"] == f'"{found["version"]}"'
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_moved_stands_where_it_was_put(alice_api, kind):
    ids = create(alice_api, "abcde", kind)
    assert order(alice_api, kind) == "abcde"
    for row, where, expected in [
        ("a", {"after": ids["c"]}, "bcade"),
        ("e", {"before": ids["b"]}, "ebcad"),
        ("a", {"to": "top"}, "aebcd"),
        ("e", {"to": "bottom"}, "abcde"),
        ("e", {"to": "bottom"}, "abcde"),
        ("b", {"after": ids["e"]}, "acdeb"),
        ("b", {"before": ids["a"]}, "bacde"),
        ("c", {"after": ids["a"]}, "bacde"),
    ]:
        before = KINDS[kind][1].objects.in_bulk()
        moved = move(alice_api, ids[row], kind, **where)
        assert order(alice_api, kind) == expected
        after = KINDS[kind][1].objects.in_bulk()
        assert [str(pk) for pk in after if after[pk].version != before[pk].version] == [ids[row]]
        event = Event.objects.filter(user_id=ALICE).latest("seq")
        assert (event.type, event.data) == (f"{kind[:-1]}.updated", moved)
    create(alice_api, "f", kind)
    assert order(alice_api, kind) == "fbacde"


def test_where_to_has_to_be_one_place_of_ones_own(alice_api, bob_api):
    ids = create(alice_api, "ab")
    theirs = made(bob_api)["id"]
    bad: list[tuple[dict[str, Any], str]] = [
        ({}, "non_field_errors"),
        ({"to": "top", "after": ids["b"]}, "non_field_errors"),
        ({"to": "middle"}, "to"),
        ({"to": None}, "to"),
        *(({name: value}, name) for name in ("after", "before")
          for value in (theirs, str(uuid4()), ids["a"], "x", "", 7, None, [ids["b"]])),
    ]  # fmt: skip
    said = set()
    for body, field in bad:
        answer = alice_api.post(f"/tasks/{ids['a']}/move", body)
        assert answer.status_code == 400 and list(answer.json()) == [field], body
        if field in ("after", "before") and body[field] in (theirs, ids["a"]):
            said.add(str(answer.json()[field]))
    assert len(said) == 1  # in the same words
    assert order(alice_api) == "ab"
    for row, status in ((theirs, 403), (uuid4(), 404)):
        assert alice_api.post(f"/tasks/{row}/move", {"to": "top"}).status_code == status
    assert not Event.objects.filter(user_id=BOB, type="task.updated").exists()


def test_a_move_heeds_if_match(alice_api):
    ids = create(alice_api, "ab")
    path = f"/tasks/{ids['b']}/move"
    refused = alice_api.post(path, {"to": "top"}, HTTP_IF_MATCH='"2"')
    assert refused.status_code == 412 and order(alice_api) == "ab"
    assert alice_api.post(path, {"to": "top"}, HTTP_IF_MATCH='"1"').json()["version"] == 2
    assert order(alice_api) == "ba"


@pytest.mark.parametrize(
    "positions", [["a0", "a0", "a0", "a0"], ["", "", "", ""], ["", "b", "!", "~"]]
)
def test_room_is_made_where_there_is_none(alice_api, positions):
    ids = create(alice_api, "abcd")
    rows = Task.objects.order_by("pk")
    for row, position in zip(rows, positions, strict=True):
        Task.objects.filter(pk=row.pk).update_unrecorded(position=position)
    first, second, third, fourth = list(order(alice_api))
    changed = Event.objects.filter(user_id=ALICE, type="task.updated")

    move(alice_api, ids[fourth], after=ids[first])
    assert order(alice_api) == first + fourth + second + third
    assert max(Counter(event.data["id"] for event in changed).values()) == 1
    assert changed.latest("seq").data["id"] == ids[fourth]
    assert len({task.position for task in Task.objects.all()}) == 4


def test_only_neighbours_are_moved_to_make_room(alice_api):
    Task.objects.bulk_create(Task(user_id=ALICE, text=str(n)) for n in range(100))
    tasks = list(Task.objects.order_by("position"))
    for row in tasks[40:43]:
        Task.objects.filter(pk=row.pk).update_unrecorded(position=tasks[40].position)
    tasks = list(Task.objects.order_by("position", "pk"))
    before = alice_api.get("/events").json()[-1]["seq"]

    move(alice_api, str(tasks[90].pk), after=str(tasks[41].pk))
    expected = [*tasks[:42], tasks[90], *tasks[42:90], *tasks[91:]]
    assert list(Task.objects.order_by("position", "pk")) == expected
    assert alice_api.get("/events").json()[-1]["seq"] - before <= 20


@settings(
    max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_many_moves_lose_nothing_and_keep_positions_short(alice_api, data):
    Task.objects.all().delete()
    ids = create(alice_api, "abcdef")
    expected = list("abcdef")
    # Beside one another again and again: what makes keys grow.
    for _ in range(30):
        name, other = data.draw(st.permutations("abcdef"))[:2]
        where = data.draw(st.sampled_from(["after", "before", "top"]))
        row = Task.objects.get(pk=ids[name])
        expected.remove(name)
        if where == "top":
            row.move_after(None)
            expected.insert(0, name)
        else:
            getattr(row, f"move_{where}")(Task.objects.get(pk=ids[other]))
            expected.insert(expected.index(other) + (where == "after"), name)
    assert order(alice_api) == "".join(expected)
    assert all(is_key(task.position) for task in Task.objects.all())


def test_positions_between_the_same_two_stay_short(alice_api):
    ids = create(alice_api, "abc")
    for name, last in zip("abc", "123", strict=True):  # as after many moves
        rows = Task.objects.filter(pk=ids[name])
        rows.update_unrecorded(position="a0" + 40 * "0" + last)
    for n in range(60):
        name = "bc"[n % 2]
        Task.objects.get(pk=ids[name]).move_after(Task.objects.get(pk=ids["a"]))
    assert order(alice_api) == "acb"
    assert all(len(task.position) <= 50 for task in Task.objects.all())


def test_subtasks_have_an_order_of_their_own(alice_api):
    ids = create(alice_api, "pq")
    below = {name: made(alice_api, name, parent_id=ids["p"])["id"] for name in "dcba"}
    assert alice_api.post(f"/tasks/{ids['q']}/move", {"after": below["a"]}).status_code == 400
    assert alice_api.post(f"/tasks/{below['a']}/move", {"after": ids["p"]}).status_code == 400
    move(alice_api, below["a"], after=below["c"])
    move(alice_api, below["d"], to="top")
    rows = alice_api.get("/tasks", {"ordering": "position", "parent": ids["p"]}).json()
    assert [row["text"] for row in rows] == ["d", "b", "c", "a"]
