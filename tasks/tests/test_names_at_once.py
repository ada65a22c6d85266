"""Two who give a label the same name at the same moment: one of them has it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction

from conftest import ALICE, client_with, sign
from tasks.models import Label
from tasks.tests.calls import made
from tasks.tests.holding import until_somebody_waits

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="one writes at a time"),
]

GUEST = sign("guest-Zt5Rw8", isAnonymous=True)
TAKEN = {"name": ["You have a label of this name."]}


def while_another_takes(name: str, call: Callable[[], Any]) -> Any:
    """What is answered to a call that another one overtakes, which gives a label this name."""

    def overtaken() -> Any:
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Label(user_id=ALICE, name=name).save()
            answer = pool.submit(overtaken)
            until_somebody_waits()
        return answer.result(30)


@pytest.mark.parametrize("own", [{}, {"id": "7a1f4c52-6f0e-4d7b-9a3c-1b2d3e4f5a6b"}])
def test_a_label_of_a_name_that_is_being_taken_is_refused(alice_api, own):
    answer = while_another_takes("home", lambda: alice_api.post("/labels", {"name": "HOME", **own}))
    assert (answer.status_code, answer.json()) == (400, TAKEN)
    assert Label.objects.count() == 1


def test_a_label_is_not_given_a_name_that_is_being_taken(alice_api):
    label = alice_api.post("/labels", {"name": "away"}).json()
    url = f"/labels/{label['id']}"
    answer = while_another_takes("home", lambda: alice_api.patch(url, {"name": "HOME"}))
    assert (answer.status_code, answer.json()) == (400, TAKEN)
    assert alice_api.get(url).json() == label


def test_a_guests_label_is_joined_with_one_that_is_being_made(alice_api):
    guest = client_with(GUEST)
    label = guest.post("/labels", {"name": "Home"}).json()
    task = made(guest, label_ids=[label["id"]])
    answer = while_another_takes("home", lambda: alice_api.post("/me/adopt", {"token": GUEST}))
    assert answer.json() == {"projects": 0, "labels": 0, "tasks": 1}
    (there,) = alice_api.get("/labels").json()
    assert alice_api.get(f"/tasks/{task['id']}").json()["label_ids"] == [there["id"]]
