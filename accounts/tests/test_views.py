"""Views that spare REST framework's detours treat requests as it does."""

from typing import Any

import pytest
from rest_framework import response
from rest_framework.request import clone_request
from rest_framework.test import APIRequestFactory

from accounts.owned.responses import Response
from accounts.owned.viewsets import DirectRequests
from conftest import ALICE, sign

requests = APIRequestFactory()


class Anybody(DirectRequests):
    permission_classes = []

    def get(self, request):
        return Response()


@pytest.mark.parametrize(
    ("authorization", "status", "user"),
    [("", 200, None), (f"Bearer {sign(ALICE)}", 200, ALICE), ("Bearer garbage", 401, None)],
)
def test_a_token_is_looked_at_though_nobody_asks_for_one(authorization, status, user):
    headers = {"HTTP_AUTHORIZATION": authorization} if authorization else {}
    answer: Any = Anybody.as_view()(requests.get("/", **headers))

    assert answer.status_code == status
    assert getattr(answer.renderer_context["request"].user, "id", None) == user


def test_a_request_is_the_one_it_wraps_and_a_clone_may_have_another_method():
    wrapped = requests.post("/", HTTP_X_OF_ITS_OWN="1")
    request = Anybody().initialize_request(wrapped)

    assert clone_request(request, "PUT").method == "PUT"
    assert request.method == "POST"
    assert request.META is wrapped.META


@pytest.mark.parametrize("data", [{"text": "Käse \u2615"}, b'{"text": "ready"}', None])
def test_an_answer_is_what_rest_framework_makes_of_it(data):
    def rendered(kind: Any) -> Any:
        class View(Anybody):
            def get(self, request):
                return kind(data, 201, headers={"ETag": "x"})

        answer = View.as_view()(requests.get("/")).render()
        return answer.status_code, dict(answer.headers), answer.content, answer.charset

    assert rendered(Response) == rendered(response.Response)
