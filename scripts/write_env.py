"""Write a `.env` with fresh random secrets for trying the project out, unless there is one.

Needs nothing but Python: it runs before anything is installed.
"""

import os
import secrets
import sys
from pathlib import Path

TEMPLATE = """\
# For this machine only: made by `make run`, never to be shared or committed.
# What else can be set: .env.example
DEBUG=True
SECRET_KEY={secret_key}
BETTER_AUTH_SECRET={better_auth_secret}
"""


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else ".env")
    content = TEMPLATE.format(
        secret_key=secrets.token_urlsafe(50), better_auth_secret=secrets.token_urlsafe(32)
    )
    try:
        # Exclusive: an existing file, and its secrets, are never written over.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    print(f"Wrote {path} with fresh random secrets.")


if __name__ == "__main__":
    main()
