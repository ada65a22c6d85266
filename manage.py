#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todolist.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise SystemExit(
            "Django is not installed for this Python. Run `make install`, then use "
            ".venv/bin/python, or activate the virtual environment."
        ) from error
    try:
        execute_from_command_line(sys.argv)
    finally:
        # Before the interpreter takes threads away, by which Redis may yet have to be found.
        if "tasks.events.bell" in sys.modules:
            sys.modules["tasks.events.bell"].bell.flush()


if __name__ == "__main__":
    main()
