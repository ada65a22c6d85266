"""Django's PostgreSQL backend, for connections that are kept, and that act for somebody."""

import select
from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base

from accounts import acting


class DatabaseWrapper(base.DatabaseWrapper):
    """Notices by itself that the server has closed a connection, and says whom one acts for."""

    def get_connection_params(self) -> dict[str, Any]:
        """Row-level security holds back everything from the threads that answer requests."""
        parameters: dict[str, Any] = super().get_connection_params()
        if not (acting.acts_for_nobody() and settings.DATABASE_RLS):
            everyone = f"-c {acting.SETTING}={acting.EVERYONE}"
            parameters["options"] = f"{parameters.get('options', '')} {everyone}".strip()
        return parameters

    def init_connection_state(self) -> None:
        super().init_connection_state()
        self._poll = select.poll()
        self._poll.register(self.connection.fileno(), select.POLLIN)

    def is_usable(self) -> bool:
        # After an error only the server knows. Before, an idle connection hears nothing but its end.
        return (not self.errors_occurred and not self._poll.poll(0)) or super().is_usable()
