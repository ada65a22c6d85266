"""The calls that tests of the REST door have in common."""

import re
from typing import Any

from rest_framework.test import APIClient


def made(api: APIClient, text: str = "Buy milk", **fields: Any) -> dict[str, Any]:
    """A new task of the caller, as the answer to its creation shows it."""
    response = api.post("/tasks", {"text": text, **fields})
    assert response.status_code == 201, response.content
    task: dict[str, Any] = response.json()
    return task


def listed(api: APIClient, **parameters: Any) -> list[dict[str, Any]]:
    """What one call for the list answers with."""
    response = api.get("/tasks", parameters)
    assert response.status_code == 200, response.content
    tasks: list[dict[str, Any]] = response.json()
    return tasks


def texts(api: APIClient, **parameters: Any) -> list[str]:
    return [task["text"] for task in listed(api, **parameters)]


def next_url(response: Any) -> str | None:
    """The URL of the following page, if the answer names one."""
    if "Link" not in response:
        return None
    link = re.fullmatch(r'<([^<>]+)>; rel="next"', response["Link"])
    assert link is not None, response["Link"]
    return link[1]
