"""Django's SQLite backend, whose files nobody but their owner may read."""

import os
from contextlib import suppress
from typing import Any

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: Any) -> Any:
        """SQLite makes a file that all may read; those beside it (`-wal`, `-shm`) are as that is."""
        path = str(conn_params["database"])
        if path != ":memory:" and not path.startswith("file:"):
            with suppress(OSError):  # there already, or SQLite says why it cannot be
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        return super().get_new_connection(conn_params)
