"""Who is asking: the person a verified token speaks for."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

from django.conf import settings
from django.utils.crypto import salted_hmac


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """A signed-in person, as the token describes them; no database row stands behind it.

    Two users are the same person when their `id` (the token's `sub`) is the same. `email` and
    `name` are for display only: Better Auth does not promise that they are verified or unique.
    """

    id: str
    email: str = field(default="", compare=False)
    name: str = field(default="", compare=False)

    # REST framework and Channels ask users these questions.
    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False

    @property
    def pk(self) -> str:
        """What throttles tell users by."""
        return self.id

    def __str__(self) -> str:
        return self.id


def digests_of(user_id: str) -> tuple[bytes, ...]:
    """Names for a person by which nobody without `SECRET_KEY` finds their id.

    The first is to be kept; the others, of `SECRET_KEY_FALLBACKS`, are those kept before it was changed.
    """
    return _digests(user_id, settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=10_000)
def _digests(user_id: str, *keys: str) -> tuple[bytes, ...]:
    salted = (
        salted_hmac("accounts.digests_of", user_id, secret=key, algorithm="sha256") for key in keys
    )
    return tuple(each.digest()[:16] for each in salted)


def owner_id(user: object) -> str:
    """The id under which `user` owns things; "" for whoever is no `CurrentUser`: they own nothing."""
    return user.id if isinstance(user, CurrentUser) else ""
