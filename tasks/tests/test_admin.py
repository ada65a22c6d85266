"""Inspection by staff (docs/api.md section 10)."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from conftest import ALICE, BOB
from tasks.admin import TaskAdmin
from tasks.due import send_due
from tasks.models import Event, Notification, Task
from tasks.rules.ids import uuid7
from tasks.rules.moments import as_text, now
from tasks.tests.browser import form_in, opened, saved
from tasks.tests.notes.models import Note

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


def test_search_by_the_whole_id_of_a_task(staff):
    wanted, other = add("one"), add("two", str(uuid7()))
    add(f"mentions {other.user_id}")
    assert shown(staff, q=str(wanted.pk)) == [wanted]
    assert shown(staff, q=str(wanted.pk).upper()) == [wanted]
    assert shown(staff, q=other.user_id) == [other]  # an owner's id may look alike
    assert shown(staff, q=str(uuid7())) == []


def test_search_for_nonsense_is_no_error(staff):
    add("one")
    add("x" * 500)
    assert len(shown(staff, q="x" * 200)) == 1
    assert shown(staff, q="x" * 201) == []  # as long as REST refuses it
    for term in ("\x00", "'; --", "x" * 5000, "x" * 60_000, "\ud800"):
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


def stored(task: Task) -> dict[str, Any]:
    values: Any = Task.objects.filter(pk=task.pk).values().get()
    return dict(values)


def types() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("type", flat=True))


def test_staff_correct_a_task(staff):
    task = add("mispelt")
    assert saved(staff, change_page(task), text="  misspelt ", completed="on", order="3")
    task.refresh_from_db()
    assert (task.text, task.completed, task.order) == ("misspelt", True, 3)
    assert task.completed_at is not None and task.version == 2
    assert types() == ["task.created", "task.updated"]


def test_nobody_may_change_the_owner_or_what_the_server_sets(staff):
    task = add("keep")
    page = staff.get(change_page(task)).content.decode()
    assert ALICE in page and 'name="user_id"' not in page
    before = stored(task)
    forbidden = {"user_id": BOB, "created_at": "2020-01-01", "version": "7", "id": str(uuid7())}
    assert saved(staff, change_page(task), **forbidden).status_code == 302
    assert stored(task) == before


@pytest.mark.parametrize("text", ["", "   ", "x" * 501, "\u200b\ufeff", "\u2800", "\x00"])
def test_what_the_api_refuses_the_admin_refuses(staff, text):
    task = add("keep")
    response = saved(staff, change_page(task), text=text)
    assert response.status_code == 200 and response.context["adminform"].errors
    task.refresh_from_db()
    assert task.text == "keep"


@pytest.mark.parametrize("order", ["2147483648", "-2147483649", "9" * 30, "1.5", "x"])
def test_an_order_that_no_column_holds_is_refused_on_either_database(staff, order):
    task = add("keep", order=5)
    response = saved(staff, change_page(task), order=order)
    assert response.status_code == 200 and "order" in response.context["adminform"].form.errors
    assert Task.objects.get().order == 5


TEXTS = [
    *(
        "line1\nline2",
        "line1\r\nline2",
        "a\rb",
        "a\n\n\nb",
        "a\tb",
        "a\x0bb\x0cc",
        "\u2028x\u2029y\x85z",
    ),
    *(
        "&lt;b&gt; & <textarea></textarea>",
        "e\u0301 \u00e9",
        "\ufeffx",
        "\u202ex",
        "x" * 500,
        "\x1f",
    ),
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("description", ["", "  two\n  lines  \n", "\n\nx", "\r\n", "   "])
def test_a_form_saved_untouched_writes_nothing(staff, text, description):
    deadline = datetime(2030, 5, 1, 12, 0, 0, 500_001, UTC)
    task = add(text, description=description, deadline=deadline, order=-3)
    before = stored(task)
    assert saved(staff, change_page(task)).status_code == 302
    assert stored(task) == before
    assert types() == ["task.created"]


MOMENTS = [
    *(None, datetime(1, 1, 1, tzinfo=UTC), datetime(999, 12, 31, 23, 59, 59, 999_999, UTC)),
    *(datetime.max.replace(tzinfo=UTC), datetime(2030, 1, 1, 0, 0, 0, 1, UTC)),
]


@pytest.mark.parametrize("deadline", MOMENTS)
def test_only_what_staff_changed_is_written(staff, deadline):
    task = add("a\r\nb", description=" c\nd ", deadline=deadline, order=7)
    before = stored(task)
    assert saved(staff, change_page(task), order="8").status_code == 302
    own = {"order": 8, "version": 2, "updated_at": stored(task)["updated_at"]}
    assert stored(task) == before | own
    assert Event.objects.order_by("-pk")[0].data["deadline"] == (deadline and as_text(deadline))


def test_another_moment_is_written_as_it_was_entered(staff):
    task = add("x", deadline="2030-05-01T12:00:00.500001Z")
    saved(staff, change_page(task), deadline_1="12:00:01")
    assert Task.objects.get().deadline == datetime(2030, 5, 1, 12, 0, 1, tzinfo=UTC)
    saved(staff, change_page(task), deadline_0="", deadline_1="")
    assert Task.objects.get().deadline is None
    saved(staff, change_page(task), deadline_0="2031-01-01", deadline_1="00:00:00.25")
    assert Task.objects.get().deadline == datetime(2031, 1, 1, 0, 0, 0, 250_000, UTC)


def test_a_date_that_does_not_suit_the_rule_of_a_task_is_refused(staff):
    deadline = datetime(2030, 5, 1, 12, tzinfo=UTC)
    task = add("weekly", deadline=deadline, recurrence="FREQ=WEEKLY;UNTIL=20300601T000000Z")
    response = saved(staff, change_page(task), deadline_0="2031-05-01", deadline_1="12:00:00")
    assert response.status_code == 200
    assert response.context["adminform"].form.non_field_errors()
    task.refresh_from_db()
    assert (task.deadline, task.version) == (deadline, 1)


def test_a_deadline_that_staff_did_not_touch_brings_nothing_a_second_time(staff):
    deadline = now() - timedelta(days=1)
    task = add("late", deadline=deadline.replace(microsecond=500_000))
    assert sum(send_due(now())) == 1
    saved(staff, change_page(task))
    saved(staff, change_page(task), text="late still")
    assert sum(send_due(now())) == 0
    assert Notification.objects.get().type == "task_overdue"


def test_what_staff_changed_has_newlines_and_blanks_as_they_entered_them(staff):
    task = add("x")
    entered = {"text": " one\r\ntwo  \r\n", "description": "  one \r\n\r\n two\r\n"}
    saved(staff, change_page(task), **entered)
    task.refresh_from_db()
    assert task.text == "one\ntwo"  # trimmed as over REST
    assert task.description == "  one \n\n two\n"


def test_lines_count_as_they_are_stored(staff):
    task = add("x")
    text = "y\r\n" * 249 + "zz"
    assert saved(staff, change_page(task), text=text).status_code == 302
    assert len(Task.objects.get().text) == 500


def test_a_form_that_was_opened_before_the_owner_changed_it_is_refused(staff, alice_api):
    task = add("milk", description="theirs", deadline="2030-01-01T00:00:00Z")
    form = opened(staff, change_page(task))
    alice_api.patch(f"/tasks/{task.pk}", {"text": "bread", "completed": True})
    before = stored(task)

    response = staff.post(change_page(task), {**form, "description": "line1\r\nline2"})

    assert response.status_code == 200
    page = response.content.decode()
    assert "this task has been changed since the form was opened" in page
    assert "In your form: milk" in page and "In your form: line1" in page
    assert stored(task) == before and types() == ["task.created", "task.updated"]
    # It shows what is stored, and the next try is about that.
    again = form_in(response)
    assert again == opened(staff, change_page(task))
    assert (again["text"], again["description"]) == ("bread", "theirs")
    assert staff.post(change_page(task), {**again, "description": "mine"}).status_code == 302
    task.refresh_from_db()
    assert (task.text, task.description, task.completed) == ("bread", "mine", True)


def test_even_untouched_a_form_that_is_out_of_date_is_refused(staff, alice_api):
    task = add("milk")
    form = opened(staff, change_page(task))
    alice_api.patch(f"/tasks/{task.pk}", {"text": "bread"})
    assert "changed since" in staff.post(change_page(task), form).content.decode()
    assert Task.objects.get().text == "bread"


@pytest.mark.parametrize(
    "version", [None, "", "0", "2", "-1", "x", "9" * 30, "1.5", "01x", " ", "\x00", "\u0661x"]
)
def test_a_form_without_its_version_is_refused(staff, version):
    task = add("keep")
    response = saved(staff, change_page(task), text="other", opened_version=version)
    assert response.status_code == 200
    assert "or the form came without its hidden version" in response.content.decode()
    assert Task.objects.get().text == "keep"


def test_a_form_of_what_its_owner_has_deleted_brings_nothing_back(staff, alice_api):
    task = add("milk")
    form = opened(staff, change_page(task))
    alice_api.delete(f"/tasks/{task.pk}")
    response = staff.post(change_page(task), {**form, "text": "bread"}, follow=True)
    assert "Perhaps it was deleted" in response.content.decode()
    assert not Task.objects.exists()


def test_what_is_left_out_of_a_form_stays(staff):
    task = add("keep", description="x", deadline="2030-01-01T00:00:00.5Z", order=4)
    assert staff.post(change_page(task), {"opened_version": "1", "order": "9"}).status_code == 302
    task.refresh_from_db()
    assert (task.text, task.description, task.order) == ("keep", "x", 9)
    assert task.deadline == datetime(2030, 1, 1, 0, 0, 0, 500_000, UTC)


def test_times_say_their_zone(staff):
    task = add("x", deadline="2030-05-01T12:00:00Z")
    assert "2030-05-01 12:00:00 UTC" in staff.get(LIST).content.decode()
    page = staff.get(change_page(task)).content.decode()
    assert "In UTC." in page
    assert f"{task.created_at:%Y-%m-%d %H:%M:%S} UTC" in page
    saved(staff, change_page(task), text="y")
    assert re.search(r"\d\d:\d\d:\d\d UTC", staff.get(f"{LIST}{task.pk}/history/").content.decode())


SAME = hypothesis_settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CHARACTERS = st.characters(codec="utf-8") | st.sampled_from("\n\r\t \x85\u2028\u200b\ufeff<&\"'")
ANY_TEXT = st.text(CHARACTERS, max_size=30)
ANY_MOMENT = st.none() | st.datetimes(timezones=st.just(UTC))


@SAME
@given(
    text=ANY_TEXT.map(str.strip).filter(lambda text: text and "\0" not in text),
    description=ANY_TEXT.filter(lambda text: "\0" not in text),
    deadline=ANY_MOMENT,
    order=st.integers(-(2**31), 2**31 - 1),
)
def test_whatever_a_task_holds_its_form_saved_untouched_is_no_change(
    staff, text, description, deadline, order
):
    task = add(text, description=description, deadline=deadline, order=order)
    before, told = stored(task), Event.objects.count()
    assert saved(staff, change_page(task)).status_code == 302
    assert stored(task) == before and Event.objects.count() == told
    assert saved(staff, change_page(task), completed="on").status_code == 302
    same = {"completed": True, "completed_at": None, "updated_at": None, "version": 2}
    assert stored(task) | same == before | same | {"next_reminder_at": None}


@SAME
@given(text=ANY_TEXT, description=ANY_TEXT, order=st.integers(-(2**32), 2**32).map(str))
def test_whatever_staff_enter_is_what_the_api_would_make_of_it(
    staff, alice_api, text, description, order
):
    task = add("before", description="before", order=1)
    form = opened(staff, change_page(task))
    entered = {"text": text, "description": description, "order": order}
    answer = staff.post(change_page(task), form | entered)
    lines = {name: re.sub("\r\n?", "\n", value) for name, value in entered.items()}
    made = alice_api.post("/tasks", lines | {"order": int(order)})
    assert answer.status_code == {201: 302, 400: 200}[made.status_code]
    now_stored = stored(task)
    for name in entered:
        expected = made.json()[name] if made.status_code == 201 else getattr(task, name)
        assert now_stored[name] == expected


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_a_form_that_is_saved_while_the_owner_changes_the_task_waits_and_is_refused(staff):
    task = add("milk")
    form = opened(staff, change_page(task)) | {"description": "mine"}

    def save() -> Any:
        try:
            return staff.post(change_page(task), form)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            Task.objects.filter(pk=task.pk).update(text="bread")
            answer = thread.submit(save)
            time.sleep(1)
            assert not answer.done()
        assert "changed since" in answer.result(30).content.decode()
    assert (Task.objects.get().text, Task.objects.get().description) == ("bread", "")


# What a subclass may declare and override


@contextmanager
def pages(**declared: Any) -> Iterator[None]:
    """The pages of tasks as a subclass has them, behind the routes that stand."""
    routed: Any = admin.site._registry[Task]
    ours = type(routed)
    routed.__class__ = type("Pages", (ours,), declared)
    routed.__init__(Task, admin.site)
    try:
        yield
    finally:
        routed.__class__ = ours
        routed.__init__(Task, admin.site)


class TextOnly(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Task
        fields = ["text"]

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        return text.upper()


class OneLine(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Task
        fields = ["text", "order"]
        widgets = {"text": forms.TextInput}


def in_another_form(
    self: Any, request: Any, obj: Any = None, change: bool = False, **kw: Any
) -> Any:
    return super(TaskAdmin, self).get_form(request, obj, change, **(kw | {"form": TextOnly}))


@pytest.mark.parametrize(
    "declared",
    [
        {"fields": ["text"]},
        {"fieldsets": [(None, {"fields": ["text"]}), ("More", {"fields": ["order"]})]},
        {"form": TextOnly},
        {"form": OneLine, "formfield_overrides": {}},
        {"get_form": in_another_form},
        {"get_fields": lambda self, request, obj=None: ["text", "order"]},
        {"get_fieldsets": lambda self, request, obj=None: [(None, {"fields": ["text"]})]},
        {"change_form_template": "admin/change_form.html"},
        {"readonly_fields": ["completed", "deadline"]},
    ],
)
def test_the_rule_holds_whatever_a_subclass_declares(staff, alice_api, declared):
    task = add("a\nb", deadline="2030-01-01T00:00:00.5Z", description=" x\n")
    before = stored(task)
    with pages(**declared):
        assert saved(staff, change_page(task)).status_code == 302
        assert stored(task) == before
        form = opened(staff, change_page(task))
        assert staff.post(change_page(task), {**form, "text": "NEW"}).status_code == 302
        assert Task.objects.get().text == "NEW"
        assert "changed since" in staff.post(change_page(task), form).content.decode()
    assert (Task.objects.get().deadline, Task.objects.get().description) == (
        before["deadline"],
        before["description"],
    )


def test_what_a_hook_sets_is_written(staff):
    def save_model(self: Any, request: Any, obj: Any, form: Any, change: bool) -> None:
        obj.order = 42
        TaskAdmin.save_model(self, request, obj, form, change)

    task = add("x")
    with pages(save_model=save_model, form=TextOnly):
        assert saved(staff, change_page(task), text="y").status_code == 302
    assert (Task.objects.get().text, Task.objects.get().order) == ("Y", 42)
    assert types() == ["task.created", "task.updated"]


class NoteInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Note


@pytest.mark.parametrize("declared", [{"list_editable": ["order"]}, {"inlines": [NoteInline]}])
def test_what_would_overwrite_is_refused_at_start(declared):
    subclass: Any = type("Pages", (TaskAdmin,), {"list_display": ["text", "order"], **declared})
    messages = subclass(Task, admin.site).check()
    assert [message.id for message in messages] == ["tasks.E003"]
    assert TaskAdmin(Task, admin.site).check() == []


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
    assert client.post(change_page(task), {"text": "x", "opened_version": "1"}).status_code == 403
    assert client.post(f"{LIST}{task.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_admin_without_a_slash_leads_there(client):
    assert client.get("/admin").headers["Location"] == "/admin/"
