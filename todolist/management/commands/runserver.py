"""`manage.py runserver`: daphne's, which serves sockets too.

Here, and not by daphne among the installed applications: that would load it into every process.
"""

from daphne.management.commands.runserver import Command

__all__ = ["Command"]
