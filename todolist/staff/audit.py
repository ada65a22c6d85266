"""Staff who sign in, in Django's admin log beside what they do afterwards.

Who is refused is nobody yet: that is one line of the log each, by axes, without the name that was typed.
"""

from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_credentials
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest


def record_sign_in(
    sender: Any, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any
) -> None:
    """A receiver of `user_logged_in`, before the one by which axes forgets the wrong tries."""
    address = request.META.get("REMOTE_ADDR", "nowhere")
    wrong = AxesProxyHandler.get_failures(request, get_credentials(user.get_username()))
    LogEntry.objects.log_actions(
        user_id=user.pk,
        queryset=[user],
        action_flag=CHANGE,
        change_message=f"Signed in from {address}, wrong tries of this name or address before: {wrong}.",
        single_object=True,
    )
