"""A form of the admin as a browser reads it, and as it sends it (HTML, sections 4.10.5, 4.10.11, 4.10.22)."""

from html.parser import HTMLParser
from typing import Any

from django.test import Client


class _Form(HTMLParser):
    """The fields of the last form of a page; the admin's other forms come before it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sent: dict[str, str] = {}
        self._area: str | None = None
        self.feed(page.replace("\0", "\ufffd"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        field = dict(attrs)
        name, kind = field.get("name"), field.get("type")
        if tag == "form":
            self.sent = {}
        elif tag == "input" and name and kind not in ("submit", "button"):
            value = field.get("value") or ""
            if kind == "checkbox":
                if "checked" in field:
                    self.sent[name] = value or "on"
            else:
                self.sent[name] = value if kind == "hidden" else "".join(value.splitlines())
        elif tag == "textarea" and name:
            self._area = name
            self.sent[name] = ""
        elif tag == "select" and name:
            self._select = name
            self.sent[name] = ""
        elif tag == "option" and "selected" in field:
            self.sent[self._select] = field.get("value") or ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.sent[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            # The first newline is none of the text; lines are sent with CRLF.
            text = self.sent[self._area].replace("\r\n", "\n").replace("\r", "\n")
            self.sent[self._area] = text.removeprefix("\n").replace("\n", "\r\n")
            self._area = None


def opened(staff: Client, path: str) -> dict[str, str]:
    """What a browser would send of the form at `path`, were it saved untouched."""
    response = staff.get(path)
    assert response.status_code == 200
    return form_in(response)


def form_in(response: Any) -> dict[str, str]:
    sent = _Form(response.content.decode()).sent
    sent.pop("csrfmiddlewaretoken", None)
    return sent


def saved(staff: Client, path: str, **changes: Any) -> Any:
    """Open a form, change these fields, and save it; `None` takes a tick away."""
    form = {**opened(staff, path), **changes}
    return staff.post(path, {name: value for name, value in form.items() if value is not None})
