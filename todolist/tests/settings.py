"""The settings of the tests in this process: with applications that only they have.

Servers that tests start, and commands, have the real ones.
"""

from todolist.settings import *  # noqa: F403
from todolist.settings import INSTALLED_APPS as INSTALLED

INSTALLED_APPS = [*INSTALLED, "tasks.tests.notes", "tasks.tests.chores"]
ROOT_URLCONF = "todolist.tests.urls"

VAPID_PRIVATE_KEY = "aN5xnbHJ7hKZ8ZXo2hYAjUyzrMRV1DP7qCGSwjLhcDk"  # only for tests
VAPID_SUBJECT = "mailto:operations@example.com"
