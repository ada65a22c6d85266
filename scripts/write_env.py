"""Write a `.env` with fresh random secrets for trying the project out, unless there is one.

Needs nothing but Python: it runs before anything is installed.
"""

import os
import secrets
from contextlib import suppress

CONTENT = f"""\
# For this machine only: made by `make run`, never to be shared or committed.
# What else can be set: .env.example
DEBUG=True
SECRET_KEY={secrets.token_urlsafe(50)}
BETTER_AUTH_SECRET={secrets.token_urlsafe(32)}
"""

if __name__ == "__main__":
    # Exclusive: an existing file, and its secrets, are never written over.
    with suppress(FileExistsError):
        descriptor = os.open(".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(CONTENT)
        print("Wrote .env with fresh random secrets.")
