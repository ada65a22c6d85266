"""The application as it is, except that it waits less long for clients that do not read."""

from todolist.asgi import application as application  # noqa: I001  first: it loads the models
from tasks.events import consumers

consumers.SEND_TIMEOUT = 2
