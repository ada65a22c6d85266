"""What Schemathesis cannot read in the document: data that is right in form and yet refused."""

from typing import Any

import schemathesis

# By operation: a refusal of data that fits the schema, and why no schema can say it.
REFUSALS = {
    # A cursor is what a `Link` header holds; nobody is meant to make one up.
    ("GET", "/tasks"): (400, "cursor: "),
    ("GET", "/trash"): (400, "cursor: "),
    ("GET", "/notifications"): (400, "cursor: "),
    ("GET", "/projects"): (400, "cursor: "),
    ("GET", "/labels"): (400, "cursor: "),
    ("GET", "/push/subscriptions"): (400, "cursor: "),
    # A name that another label of the same person has.
    ("POST", "/labels"): (400, ""),
    # A name that leads nowhere, a point that is on no curve, a moment that has passed.
    ("POST", "/push/subscriptions"): (400, ""),
    # Ahead of the newest event.
    ("GET", "/events"): (410, "These events are not on record"),
    # An operation upon nothing that there is.
    ("POST", "/tasks/bulk"): (409, ""),
    # A sibling that there is not, or two places at once.
    **{("POST", f"/{kind}/{{id}}/move"): (400, "") for kind in ("tasks", "projects", "labels")},
    # A document that refers to nothing that there is, or has none of the lists.
    ("POST", "/import"): (400, ""),
    # Not the caller's own id.
    ("DELETE", "/me"): (400, "confirm: "),
    # A token of no guest.
    ("POST", "/me/adopt"): (400, ""),
}


# Fields of which only the server knows what is good: ids of one's own things, names that are taken,
# names of time zones, and that a task has a deadline or a day.
UNKNOWN_HERE = {"project_id", "label_ids", "parent_id", "recurrence", "due_on", "name", "time_zone"}

ACCEPTED, REFUSED = "ST201", "ST202"  # data that breaks the schema, data that keeps to it


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """False for a failure that is none."""
    if failure.code == ACCEPTED:
        # A condition that does not hold is refused before the body is looked at.
        return bool(response.status_code != 412)
    if failure.code != REFUSED:
        return True
    if response.status_code == 400 and "Datetime" in response.text:
        return False  # a day that no calendar has, such as the 30th of February
    if response.status_code == 422:
        return False  # the same key twice, with different bodies
    if response.status_code == 412:
        return False  # another version than the one that it has
    if response.status_code == 400 and set(response.json()) <= UNKNOWN_HERE:
        return False
    status, detail = REFUSALS.get((case.method, case.operation.path), (0, ""))
    said = response.json().get("detail", "")  # "" where it is said by field
    return not (response.status_code == status and said.startswith(detail))
