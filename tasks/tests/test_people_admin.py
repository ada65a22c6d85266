"""The page per person, and what of the work of staff is recorded (docs/api.md section 10)."""

import json
import re
from datetime import timedelta
from html import unescape
from secrets import randbelow, token_hex
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.test import Client

from accounts.erasures import names_of
from conftest import ALICE, BOB, client_with, sign
from tasks.due import send_due
from tasks.models import Event, Label, Notification, Person, Project, PushSubscription, Task
from tasks.rules.moments import now
from tasks.tests.browser import form_in, saved

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)

PEOPLE = "/admin/tasks/person/"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    LogEntry.objects.all().delete()
    return client


def staff_with(client: Client, *permissions: str) -> Client:
    user = User.objects.create_user("visitor", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    LogEntry.objects.all().delete()
    return client


def page_of(user_id: str, tail: str = "change") -> str:
    return f"{PEOPLE}{quote(user_id)}/{tail}/"


def add(text: str, user_id: str = ALICE, **fields) -> Task:
    task = Task(user_id=user_id, text=text, **fields)
    task.save()
    return task


def shown(staff: Client, user_id: str) -> dict[str, str]:
    """What the page of a person shows, by its labels."""
    response = staff.get(page_of(user_id))
    assert response.status_code == 200
    page = response.content.decode()
    rows = re.findall(
        r'<label>([^<]+):</label>\s*<div class="readonly">(.*?)</div>', page, re.DOTALL
    )
    assert rows
    return {label: re.sub(r"<[^>]+>", "", value).strip() for label, value in rows}


def recorded() -> list[str]:
    """What staff did, as their pages of history tell it, oldest first."""
    return [
        f"{entry.object_repr}: {entry.get_change_message()}"
        for entry in LogEntry.objects.order_by("action_time", "pk")
    ]


def test_it_counts_what_a_person_has(staff):
    add("open")
    add("done", completed=True)
    add("due", deadline=now() - timedelta(minutes=1))
    add("another's", BOB)
    add("dropped").delete()
    for name in ("one", "two"):
        Project.objects.create(user_id=ALICE, name=name)
    Label.objects.create(user_id=ALICE, name="one")
    keys = {"endpoint_digest": "d", "p256dh": "p", "auth": "a"}
    PushSubscription.objects.create(user_id=ALICE, endpoint="https://example.com", **keys)
    assert sum(send_due(now())) == 1
    seq = Event.objects.filter(user_id=ALICE).count()

    assert shown(staff, ALICE) == {
        "Owner": ALICE,
        "Open tasks": "2",
        "Completed tasks": "1",
        "Deleted tasks in the trash": "1",
        "Projects": "2",
        "Labels": "1",
        "Unread notifications": "1",
        "All notifications": "1",
        "Push subscriptions": "1",
        "Events on record": str(seq),
        "Number of the newest event": str(seq),
        "Open sockets at this server process": "0",
        "Signed out": "never",
    }


def test_its_numbers_lead_to_what_they_count(staff):
    mine = [add("open"), add("done", completed=True)]
    add("another's", BOB)
    Notification.objects.create(
        user_id=ALICE, task=mine[0], type="deadline_reached", title="x", message="x", deadline=now()
    )
    Project.objects.create(user_id=ALICE, name="mine")
    Label.objects.create(user_id=BOB, name="theirs")
    page = staff.get(page_of(ALICE)).content.decode()
    links = [unescape(link) for link in re.findall(r'readonly"><a href="([^"]+)">', page)]
    found = {}
    for link in links:
        results = staff.get(link).context["cl"].result_list
        assert all(row.user_id == ALICE for row in results)
        found[link.partition("&")[2] or link.split("/")[3]] = len(results)
    assert found == {
        "completed__exact=0": 1,
        "completed__exact=1": 1,
        "read_at__isempty=1": 1,
        "notification": 1,
        "project": 1,
        "label": 0,
        "event": Event.objects.filter(user_id=ALICE).count(),
    }


@pytest.mark.parametrize(
    "user_id", ["nobody-yet", "a/b?c#d%2F_&é", " blanks ", "x" * 255, "☕" * 200, "<b>'\"", "add"]
)
def test_whoever_may_have_a_token_has_a_page(staff, user_id):
    found = staff.get(PEOPLE, {"q": user_id})
    assert found.status_code == 302
    page = staff.get(found["Location"])
    assert page.status_code == 200
    assert page.context["original"].pk == user_id
    assert "<b>'" not in page.content.decode()
    assert staff.get(page_of(user_id, "history")).status_code == 200
    assert staff.get(page_of(user_id, "sign-out")).context["person"].pk == user_id
    assert not Person.objects.exists()


@pytest.mark.parametrize("user_id", [" ", "a\0b", "x" * 256, "\x85"])
def test_who_can_have_no_token_has_none(staff, user_id):
    assert "No person has such an id" in staff.get(PEOPLE, {"q": user_id}).content.decode()
    assert staff.get(page_of(user_id)).status_code == 302
    assert staff.post(page_of(user_id, "sign-out")).status_code == 404
    assert recorded() == []


def test_owners_in_lists_lead_to_their_pages(staff):
    add("mine", deadline=now() - timedelta(minutes=1))
    list(send_due(now()))
    for model in ("task", "notification", "event"):
        page = staff.get(f"/admin/tasks/{model}/").content.decode()
        assert f'<td class="field-owner"><a href="{page_of(ALICE)}">{ALICE}</a></td>' in page
    assert staff.get(PEOPLE).context["cl"].result_list == [Person(user_id=ALICE)]


def test_owners_lead_nowhere_for_who_may_not_see_people(client):
    add("mine")
    page = staff_with(client, "view_task").get("/admin/tasks/task/").content.decode()
    assert ALICE in page and page_of(ALICE) not in page


def test_who_may_see_it(client):
    visitor = staff_with(client, "view_task")
    for tail in ("change", "history", "sign-out"):
        assert visitor.get(page_of(ALICE, tail)).status_code == 403
    assert visitor.get(PEOPLE, {"q": ALICE}).status_code == 403
    assert recorded() == []


def test_who_may_see_it_may_not_sign_anybody_out(client):
    visitor = staff_with(client, "view_person")
    page = visitor.get(page_of(ALICE))
    assert page.status_code == 200
    assert "Sign out" not in page.content.decode()
    for send in (visitor.get, visitor.post):
        assert send(page_of(ALICE, "sign-out")).status_code == 403
    assert recorded() == [f"{ALICE}: Viewed."]


def test_nothing_of_a_person_is_changed_there(staff):
    add("x")
    assert staff.post(page_of(ALICE), {"last_seq": 0}).status_code == 403
    assert staff.get(f"{PEOPLE}add/").status_code == 403
    assert staff.post(page_of(ALICE, "delete"), {"post": "yes"}).status_code == 403


def test_that_it_was_looked_at_is_recorded(staff):
    shown(staff, ALICE)
    shown(staff, BOB)
    assert recorded() == [f"{ALICE}: Viewed.", f"{BOB}: Viewed."]
    assert {entry.user.get_username() for entry in LogEntry.objects.all()} == {"staff"}
    history = staff.get(page_of(ALICE, "history")).content.decode()
    assert history.count("Viewed.") == 1


# Signing out


@committed
def test_signing_out_is_asked_for_done_and_recorded(staff):
    token = sign(ALICE)
    assert "Sign out…" in staff.get(page_of(ALICE)).content.decode()

    question = staff.get(page_of(ALICE, "sign-out"))
    assert f"Refuse every token that “{ALICE}” has now" in question.content.decode()
    assert client_with(token).get("/tasks").status_code == 200  # not by looking

    done = staff.post(page_of(ALICE, "sign-out"), form_in(question), follow=True)
    assert done.redirect_chain == [(page_of(ALICE), 302)]
    assert "Signed out: what tokens they had are refused" in done.content.decode()
    assert client_with(token).get("/tasks").json()["code"] == "signed_out"
    assert client_with(sign(ALICE)).get("/tasks").status_code == 200
    assert " UTC" in shown(staff, ALICE)["Signed out"]

    staff.post(page_of(ALICE, "sign-out"))
    messages = [
        json.loads(entry.change_message)[0]["changed"]
        for entry in LogEntry.objects.order_by("pk")
        if entry.change_message.startswith("[")
    ]
    first, second = messages
    assert (first["owner"], first["from"]) == (ALICE, {"signed_out": None})
    assert second["from"] == first["to"]
    assert second["to"]["signed_out"] > first["to"]["signed_out"]
    assert re.fullmatch(
        r"alice\S+: Changed Signed out from nothing to “2\S+Z”\.",
        next(said for said in recorded() if "Signed" in said),
    )


@pytest.mark.parametrize("action", ["sign-out", "export", "erase"])
def test_a_form_of_another_page_does_nothing(staff, action):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = staff.cookies
    assert strict.post(page_of(ALICE, action), {"confirm": ALICE}).status_code == 403
    assert recorded() == []


# Exporting and erasing


def test_exporting_is_asked_for_done_and_recorded(staff):
    add("mine")
    add("another's", BOB)
    assert "Export…" in staff.get(page_of(ALICE)).content.decode()
    question = staff.get(page_of(ALICE, "export"))
    done = staff.post(page_of(ALICE, "export"), form_in(question))
    assert done["Content-Disposition"] == 'attachment; filename="todolist.json"'
    document = json.loads(done.getvalue())
    assert [task["text"] for task in document["tasks"]] == ["mine"]
    assert recorded() == [f"{ALICE}: Viewed.", f"{ALICE}: Exported."]


def test_erasing_is_asked_for_done_and_recorded_without_the_id(staff):
    task, other = add("Buy milk"), add("another's", BOB)
    saved(staff, f"/admin/tasks/task/{task.pk}/change/", text="Buy oat milk")
    saved(staff, f"/admin/tasks/task/{task.pk}/change/")
    assert recorded()[-1] == "Buy oat milk: No fields changed."
    assert "Erase…" in staff.get(page_of(ALICE)).content.decode()
    question = staff.get(page_of(ALICE, "erase"))
    for wrong in ({}, {"confirm": ""}, {"confirm": BOB}):
        refused = staff.post(page_of(ALICE, "erase"), form_in(question) | wrong)
        assert "write out the whole id" in refused.content.decode()
        assert Task.objects.filter(user_id=ALICE).exists()

    form = form_in(question) | {"confirm": ALICE}
    done = staff.post(page_of(ALICE, "erase"), form, follow=True)

    assert done.redirect_chain == [(PEOPLE, 302)]
    assert "Erased: nothing of them is left here." in done.content.decode()
    assert list(Task.objects.all()) == [other]
    assert recorded()[-1] == "erased: Erased."
    assert not any(word in line for line in recorded() for word in (ALICE, "milk"))
    last = LogEntry.objects.order_by("pk").last()
    assert last is not None and last.object_id == names_of(ALICE)


@pytest.mark.parametrize("what", ["export", "erase"])
def test_each_takes_a_permission_of_its_own(client, what):
    others = {"sign_out", "export", "erase"} - {what}
    visitor = staff_with(client, "view_person", *(f"{other}_person" for other in others))
    add("mine")
    assert f"{what.capitalize()}…" not in visitor.get(page_of(ALICE)).content.decode()
    for send in (visitor.get, visitor.post):
        assert send(page_of(ALICE, what), {"confirm": ALICE}).status_code == 403
    assert recorded() == [f"{ALICE}: Viewed."]
    assert Task.objects.exists()


# What staff change


def test_changes_are_recorded_with_what_was_and_what_is(staff):
    task = add("Buy milk", description="x" * 500)
    version = task.version
    path = f"/admin/tasks/task/{task.pk}/change/"
    assert saved(staff, path, text="Buy {oat} milk", completed="on").status_code == 302

    (said,) = recorded()
    assert said == (
        "Buy {oat} milk: Changed Text from “Buy milk” to “Buy {oat} milk” and Completed from no to yes."
    )
    (message,) = json.loads(LogEntry.objects.get().change_message)
    told = message["changed"]
    assert told["owner"] == ALICE
    was, became = told["from"], told["to"]
    assert (was["text"], became["text"]) == ("Buy milk", "Buy {oat} milk")
    assert (was["completed"], became["completed"]) == (False, True)
    assert (was["completed_at"], was["version"]) == (None, version)
    assert became["completed_at"].endswith("Z") and became["version"] == version + 1
    assert "description" not in became
    assert said.partition(": ")[2] in unescape(
        staff.get(f"/admin/tasks/task/{task.pk}/history/").content.decode()
    )


def test_moments_are_recorded_to_the_microsecond(staff):
    task = add("x", deadline="2030-01-01T00:00:00.123456Z")
    path = f"/admin/tasks/task/{task.pk}/change/"
    saved(staff, path, deadline_0="", deadline_1="")
    told = json.loads(LogEntry.objects.get().change_message)[0]["changed"]
    assert (told["from"]["deadline"], told["to"]["deadline"]) == (
        "2030-01-01T00:00:00.123456Z",
        None,
    )
    assert recorded() == ["x: Changed Deadline from “2030-01-01T00:00:00.123456Z” to nothing."]


def test_a_form_saved_untouched_changes_nothing(staff):
    task = add("x")
    assert saved(staff, f"/admin/tasks/task/{task.pk}/change/").status_code == 302
    assert recorded() == ["x: No fields changed."]


def test_deletions_are_recorded_with_what_was_deleted(staff):
    one, two, three = (add(text) for text in ("one", "two {}", "three"))
    staff.post(f"/admin/tasks/task/{one.pk}/delete/", {"post": "yes"})
    selected = [str(two.pk), str(three.pk)]
    form = {"action": "delete_selected", "_selected_action": selected, "post": "yes"}
    staff.post("/admin/tasks/task/", form)
    assert not Task.objects.exists()

    assert sorted(recorded()) == sorted(
        f"{text}: Deleted task “{text}”." for text in ("one", "two {}", "three")
    )
    for entry in LogEntry.objects.all():
        told = json.loads(entry.change_message)[0]["deleted"]
        assert (told["owner"], told["from"]["text"]) == (ALICE, entry.object_repr)
        assert told["from"]["id"] == entry.object_id


# Who signs in


def test_sign_ins_are_recorded_with_the_wrong_tries_before():
    name, address = f"staff-{token_hex(8)}", f"127.{randbelow(255)}.{randbelow(255)}.9"
    user = User.objects.create_superuser(name, password="the-right-one-0123")

    def try_with(password: str) -> Any:
        form = {"username": name, "password": password}
        return Client().post("/admin/login/", form, REMOTE_ADDR=address)

    for _ in range(2):
        assert try_with("a-wrong-one").status_code == 200
    assert LogEntry.objects.count() == 0
    assert try_with("the-right-one-0123").status_code == 302
    assert try_with("the-right-one-0123").status_code == 302
    tries = "wrong tries of this name or address before"
    assert recorded() == [
        f"{name}: Signed in from {address}, {tries}: 2.",
        f"{name}: Signed in from {address}, {tries}: 0.",
    ]
    assert {entry.user for entry in LogEntry.objects.all()} == {user}
