"""The settings of a deployment below /api that says so itself."""

from todolist.settings import *  # noqa: F403

FORCE_SCRIPT_NAME = "/api"
