"""A WSGI server that was told that the application is below /api (PEP 3333)."""

from typing import Any

from todolist.wsgi import application as below


def application(environ: dict[str, Any], start_response: Any) -> Any:
    environ["SCRIPT_NAME"] = "/api"
    return below(environ, start_response)
