"""People without a browser: they sign up at Better Auth and call the backend with its tokens."""

import http.cookiejar
import json
import urllib.error
import urllib.request
from http import HTTPStatus

PASSWORD = "correct horse battery"


class Person:
    def __init__(self, stack, name):
        self.stack = stack
        self.name = name
        self.email = f"{name.lower()}@example.com"
        self.id = ""
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)

    def sign_up(self):
        body = {"name": self.name, "email": self.email, "password": PASSWORD}
        return self._begin("/api/auth/sign-up/email", body)

    def sign_in(self):
        return self._begin("/api/auth/sign-in/email", {"email": self.email, "password": PASSWORD})

    def token(self):
        path = "/api/token" if self.stack.mode == "secret" else "/api/auth/token"
        status, answer = self._ask(path)
        assert status == HTTPStatus.OK, answer
        return answer["token"]

    def session(self):
        return self._ask("/api/auth/get-session")[1]

    def visit(self, path):
        """The status of any path of the Better Auth server."""
        return self._ask(path)[0]

    def call(self, method, path, body=None, *, token=None, api_url=None):
        """One call to the backend. Gives status and answer."""
        headers = {"Authorization": f"Bearer {token or self.token()}"}
        return send(
            urllib.request.build_opener(),
            method,
            (api_url or self.stack.api_url) + path,
            body,
            headers,
        )

    def _begin(self, path, body):
        status, answer = self._ask(path, body)
        assert status == HTTPStatus.OK, answer
        self.id = answer["user"]["id"]
        return self

    def _ask(self, path, body=None):
        headers = {"Origin": self.stack.page_url}
        method = "POST" if body else "GET"
        return send(self._opener, method, self.stack.page_url + path, body, headers)


def send(opener, method, url, body, headers):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data, {"Content-Type": "application/json", **headers}, method=method
    )
    try:
        with opener.open(request, timeout=15) as response:
            return response.status, _read(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _read(error)


def _read(response):
    text = response.read()
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")
