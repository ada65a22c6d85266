"""The application for a WSGI server: HTTP only, for deployments that serve sockets elsewhere."""

import os
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todolist.settings")
django_application = get_wsgi_application()

from accounts.owned.acting import act_for_nobody  # noqa: E402
from todolist.checks import refuse_to_start_while_wrong  # noqa: E402
from todolist.serving.content_type import plain  # noqa: E402
from todolist.serving.prefix import split  # noqa: E402

refuse_to_start_while_wrong()


def application(environ: dict[str, Any], start_response: Any) -> Any:
    act_for_nobody()  # a thread of the server's, perhaps new
    if given := settings.FORCE_SCRIPT_NAME or environ.get("SCRIPT_NAME"):
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = split(given, environ["PATH_INFO"])
    environ["CONTENT_TYPE"] = plain(environ.get("CONTENT_TYPE", ""))
    return django_application(environ, start_response)
