"""No input of staff, however odd, makes a 500 in the admin."""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice, product
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client

from conftest import ALICE
from tasks.models import Event, Notification, Task

pytestmark = [
    pytest.mark.django_db,
    # Django only warns of a bare date in an address; the suite makes errors of warnings.
    pytest.mark.filterwarnings("ignore:.*received a naive datetime"),
]

VALUES = [
    *("", "1", "-1", "99999999", "9" * 30, "x", "\x00", "\ud800", "2020-99-99", "9999-12-31"),
    *("0001-01-01", "None", "1,2", "'", "%", "[", "\\", "\u0663", "1e309", "NaN", "_00", "a/b"),
    "00000000-0000-0000-0000-000000000000",
]
LOOKUPS = ["", "__exact", "__gte", "__isnull", "__isempty", "__year", "__regex", "__range", "__in"]
FIELDS = {
    "tasks/task": ["id", "user_id", "text", "created_at", "completed", "deadline", "notifications"],
    "tasks/notification": ["task", "task__text", "type", "read_at", "created_at"],
    "tasks/person": ["user_id", "last_seq", "owner"],
    "tasks/event": ["seq", "type", "at", "data", "data__x"],
    "auth/user": ["username", "is_staff", "groups", "groups__name", "password", "logentry"],
    "auth/group": ["name", "permissions", "user__password"],
}
PARAMETERS = ["q", "e", "o", "p", "all", "after", "_to_field", "_popup", "_changelist_filters"]


@pytest.fixture(autouse=True)
def _thousands_of_requests(settings, caplog) -> None:
    """Spare each of them what a session in the database and a line in the log would cost."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    caplog.set_level(logging.CRITICAL, "django.security")
    caplog.set_level(logging.ERROR, "django.request")  # where a 500 leaves its traceback


@pytest.fixture
def rows() -> dict[str, Any]:
    task = Task(user_id=ALICE, text="x")
    task.save()
    told = Notification(
        user_id=ALICE,
        task=task,
        type="deadline_reached",
        title="x",
        message="x",
        deadline=task.created_at,
    )
    told.save()
    return {
        "tasks/task": task.pk,
        "tasks/notification": told.pk,
        "tasks/person": ALICE,
        "tasks/event": Event.objects.all()[0].pk,
        "auth/user": User.objects.create_superuser("staff", password="x").pk,
        "auth/group": Group.objects.create(name="some").pk,
    }


@pytest.fixture
def staff(rows) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.get(username="staff"))
    return client


def encoded(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def check(staff: Client, method: str, path: str, data: Any = None, **options: Any) -> None:
    with transaction.atomic():  # a database that refuses a statement refuses the next ones too
        send = staff.generic if options or isinstance(data, bytes) else staff.post
        if method == "GET":
            response = staff.get(path)
        elif send == staff.post:
            response = staff.post(path, data)
        else:
            response = staff.generic("POST", path, data, **options)
        assert response.status_code in (200, 301, 302, 400, 403, 404), (path, data)
        transaction.set_rollback(True)


def shared_out(model: str, combinations: Iterable[Any]) -> Iterator[Any]:
    """Those of one model: all models of an application get all of them together.

    One piece of code reads the addresses of all pages of ours, and one those of Django's.
    """
    alike = [other for other in FIELDS if other.partition("/")[0] == model.partition("/")[0]]
    return islice(combinations, alike.index(model), None, len(alike))


@pytest.mark.parametrize("model", FIELDS)
def test_addresses_of_lists(staff, model):
    for name, lookup in product(FIELDS[model], LOOKUPS):
        for value in ("99999999", "\x00", "("):
            check(staff, "GET", f"/admin/{model}/?{name}{lookup}={encoded(value)}")
    for name, value in shared_out(model, product(PARAMETERS, VALUES)):
        check(staff, "GET", f"/admin/{model}/?{name}={encoded(value)}")


@pytest.mark.parametrize(
    "query", ["created_at__year=99999999", "text__regex=(", "created_at__range=1", "id__in=x"]
)
def test_a_list_is_narrowed_by_its_filters_only(staff, query):
    assert staff.get(f"/admin/tasks/task/?{query}").status_code == 400


def test_the_values_of_filters(staff):
    for model, name in [
        *(("tasks/task", "completed__exact"), ("tasks/task", "created_at__gte")),
        *(("tasks/task", "owner"), ("tasks/event", "owner"), ("tasks/person", "owner")),
        *(("tasks/task", "deadline__isempty"), ("tasks/event", "type"), ("tasks/event", "at__lt")),
        *(("tasks/notification", "type__exact"), ("auth/user", "groups__id__exact")),
        *(("auth/user", "is_staff__exact"), ("tasks/notification", "read_at__isempty")),
    ]:
        for value in VALUES:
            check(staff, "GET", f"/admin/{model}/?{name}={encoded(value)}")


@pytest.mark.parametrize("model", FIELDS)
def test_addresses_of_objects(staff, rows, model):
    tails = ("", "/", "/change/", "/delete/", "/history/", "/sign-out/")
    for tail, value in shared_out(model, product(tails, VALUES)):
        check(staff, "GET", f"/admin/{model}/{encoded(value)}{tail}")
    for name, tail, value in shared_out(
        model, product(PARAMETERS[-3:], ("change", "delete"), VALUES)
    ):
        check(staff, "GET", f"/admin/{model}/{rows[model]}/{tail}/?{name}={encoded(value)}")


def test_other_addresses(staff):
    for value in VALUES:
        for path in (
            "r/{}/{}/",
            "r/1/{}/",
            "{}",
            "{}/",
            "auth/user/{}/password/",
            "login/?next={}",
        ):
            check(staff, "GET", "/admin/" + path.replace("{}", encoded(value)))
        for query in ("model_name=notification&field_name={}", "model_name={}&field_name=task"):
            query = f"app_label=tasks&term={{}}&{query}".replace("{}", encoded(value))
            check(staff, "GET", f"/admin/autocomplete/?{query}")


@pytest.mark.parametrize("model", FIELDS)
def test_actions(staff, rows, model):
    for value in VALUES[::3]:
        value = value.replace("\ud800", "\ufffd")
        for extra in ({}, {"post": "yes"}, {"index": value}, {"select_across": value}):
            form: dict[str, Any] = {"action": "delete_selected", "_selected_action": value, **extra}
            check(staff, "POST", f"/admin/{model}/", form)
        form = {
            "action": value,
            "_selected_action": [str(rows[model]), value],
            "post": "yes",
        }
        check(staff, "POST", f"/admin/{model}/", form)


def test_forms(staff, rows):
    task = {"text": "x", "order": "0", "description": "", "opened_version": "1"}
    user = {"username": "another", "date_joined_0": "2020-01-01", "date_joined_1": "00:00"}
    for path, good, names in [
        (
            f"tasks/task/{rows['tasks/task']}/change/",
            task,
            [
                "text",
                "description",
                "deadline_0",
                "deadline_1",
                "order",
                "opened_version",
                "_popup",
            ],
        ),
        (f"auth/user/{rows['auth/user']}/change/", user, ["username", "last_login_0", "groups"]),
        ("auth/user/add/", {"password1": "x", "password2": "x"}, ["username", "_popup"]),
        ("auth/group/add/", {}, ["name", "permissions"]),
        (f"tasks/task/{rows['tasks/task']}/delete/", {"post": "yes"}, ["_popup", "_to_field"]),
    ]:
        for name, value in product(names, VALUES[::2]):
            form = {**good, name: value.replace("\ud800", "\ufffd")}
            check(staff, "POST", f"/admin/{path}", form)


LONE_SURROGATE = b"".join(
    b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n+2AA-\r\n' % name
    for name in (b"username", b"password", b"text", b"name", b"old_password", b"_selected_action")
)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=b; charset=utf-7",
        "multipart/form-data; boundary=b; charset=nonsense",
        "multipart/form-data",
        "application/x-www-form-urlencoded; charset=utf-7",
        "application/json",
    ],
)
def test_bodies_in_other_encodings(staff, rows, content_type):
    """UTF-7 can spell what UTF-8 cannot."""
    task = f"tasks/task/{rows['tasks/task']}/change/"
    for path in ("login/", task, "auth/group/add/", "password_change/", "tasks/task/"):
        for body in (LONE_SURROGATE + b"--b--\r\n", b"", b"\xff", b"a=1&" * 1001):
            check(staff, "POST", f"/admin/{path}", body, content_type=content_type)
