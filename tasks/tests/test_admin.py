"""Inspection by staff (docs/api.md section 10)."""

import re
import time

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conftest import ALICE, BOB
from tasks.admin import TaskAdmin
from tasks.models import Task

pytestmark = pytest.mark.django_db

LIST = "/admin/tasks/task/"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


def add(text: str, user_id: str = ALICE, **fields) -> Task:
    task = Task(user_id=user_id, text=text, **fields)
    task.save()
    return task


def shown(staff: Client, path: str = LIST, **parameters) -> list[Task]:
    """The tasks on one page of the list."""
    response = staff.get(path, parameters)
    assert response.status_code == 200
    tasks: list[Task] = response.context["cl"].result_list
    return tasks


def test_the_list_shows_everybodys_tasks_newest_first(staff):
    older = add("older")
    time.sleep(0.002)  # ids sort by their millisecond
    newer = add("newer", BOB)
    assert shown(staff) == [newer, older]
    page = staff.get(LIST).content.decode()
    for text in ("older", "newer", ALICE, BOB, "Text", "Owner", "Completed", "Deadline", "Created"):
        assert text in page
    assert "2 tasks" in page


def test_nobody_else_gets_in(client, alice_api):
    assert client.get(LIST).status_code == 302  # to the sign-in page
    assert alice_api.get(LIST).status_code == 302  # a token is no staff account
    client.force_login(User.objects.create_user("visitor", is_staff=True))
    assert client.get(LIST).status_code == 403


def test_search_by_text_in_any_case(staff):
    found = add("Crème BRÛLÉE")
    add("something else", description="crème")
    assert shown(staff, q="brûlée") == [found]
    assert shown(staff, q="%") == []


def test_search_by_the_whole_id_of_an_owner(staff):
    theirs = add("one", BOB)
    add(f"mentions {BOB}", ALICE)
    assert shown(staff, q=BOB) == [theirs]
    assert shown(staff, q=BOB[:-1]) == [Task.objects.get(user_id=ALICE)]


def test_search_for_nonsense_is_no_error(staff):
    add("one")
    for term in ("\x00", "'; --", "x" * 5000, "\ud800"):
        assert staff.get(LIST, {"q": term.encode("utf-8", "surrogatepass")}).status_code == 200


def test_filters(staff):
    done = add("done", completed=True)
    due = add("due", deadline="2030-01-01T00:00:00Z")
    assert shown(staff, completed__exact="1") == [done]
    assert shown(staff, deadline__isempty="0") == [due]


def test_following_older_shows_every_task_once(staff, monkeypatch):
    monkeypatch.setattr(TaskAdmin, "list_per_page", 3)
    tasks = [add(f"task {number}") for number in range(8)]
    expected = sorted(tasks, key=lambda task: task.pk, reverse=True)
    seen, parameters, pages = [], "?q=task", 0
    while parameters:
        response = staff.get(LIST + parameters)
        changelist = response.context["cl"]
        seen += changelist.result_list
        parameters, pages = changelist.older_url, pages + 1
        assert ("Older" in response.content.decode()) is bool(parameters)
        assert ("Newest" in response.content.decode()) is (pages > 1)
    assert seen == expected and pages == 3


@pytest.mark.parametrize("after", ["nonsense", "", "\x00"])
def test_a_page_that_nobody_linked_to_is_the_first(staff, after):
    assert shown(staff, after=after) == []


def test_the_list_counts_nothing_and_skips_nothing(staff, monkeypatch):
    monkeypatch.setattr(TaskAdmin, "list_per_page", 3)
    for number in range(8):
        add(f"task {number}")
    after = shown(staff)[-1].pk
    for parameters in ({}, {"q": ALICE}, {"q": "task"}, {"after": after, "o": "1.-3"}):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            shown(staff, **parameters)
        statements = [query["sql"] for query in queries if "tasks_task" in query["sql"]]
        assert 1 <= len(statements) <= 2  # the list, and for a search: is it an owner?
        for sql in statements:
            assert not re.search(r"COUNT\(|OFFSET", sql, re.IGNORECASE)
            assert "ORDER BY" not in sql or 'ORDER BY "tasks_task"."id" DESC' in sql


def change_page(task: Task) -> str:
    return f"{LIST}{task.pk}/change/"


def test_staff_correct_a_task(staff):
    task = add("mispelt")
    form = {"text": "  misspelt ", "description": "", "completed": "on", "order": "3"}
    assert staff.post(change_page(task), form).status_code == 302
    task.refresh_from_db()
    assert (task.text, task.completed, task.order) == ("misspelt", True, 3)
    assert task.completed_at is not None


def test_nobody_may_change_the_owner_or_what_the_server_sets(staff):
    task = add("keep")
    page = staff.get(change_page(task)).content.decode()
    assert ALICE in page and 'name="user_id"' not in page
    before = Task.objects.values().get()
    form = {"text": "keep", "order": "0", "user_id": BOB, "created_at": "2020-01-01"}
    assert staff.post(change_page(task), form).status_code == 302
    after = Task.objects.values().get()
    assert after["version"] == before["version"] + 1
    same = {"updated_at": None, "version": None}
    assert before | same == after | same


@pytest.mark.parametrize("text", ["", "   ", "x" * 501, "\ufeff", " \u200b\u3164"])
def test_what_the_api_refuses_the_admin_refuses(staff, text):
    task = add("keep")
    response = staff.post(change_page(task), {"text": text, "order": "0"})
    assert response.status_code == 200 and response.context["adminform"].errors
    task.refresh_from_db()
    assert task.text == "keep"


def test_nobody_may_add_a_task(staff):
    assert staff.get(f"{LIST}add/").status_code == 403


def test_staff_delete_a_task(staff):
    task, other = add("gone"), add("stays")
    assert staff.post(f"{LIST}{task.pk}/delete/", {"post": "yes"}).status_code == 302
    assert list(Task.objects.all()) == [other]


def test_staff_without_the_permission_only_look(client):
    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_task"))
    client.force_login(looker)
    task = add("keep")
    assert client.get(change_page(task)).status_code == 200
    assert client.post(change_page(task), {"text": "x", "order": "0"}).status_code == 403
    assert client.post(f"{LIST}{task.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_admin_without_a_slash_leads_there(client):
    assert client.get("/admin").headers["Location"] == "/admin/"
