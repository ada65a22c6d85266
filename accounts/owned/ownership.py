"""What "mine" means: the one place that compares owners.

Faces of one rule: `owned_by` for querysets, `owns` and `is_owned_by` for what is at hand; `reading`
asks `owner_id`. All of them fail closed: whoever is not a `CurrentUser` with an id owns nothing,
least of all a Django account that happens to have the same primary key.
"""

from typing import ClassVar, Self, TypeVar

from django.db import models

from accounts.users import CurrentUser

Owned = TypeVar("Owned", bound="OwnedModel", covariant=True)


def owner_id(user: object) -> str:
    """The id under which `user` owns things; "" for whoever cannot own anything."""
    return user.id if isinstance(user, CurrentUser) else ""


def owns(user: object, owner: object) -> bool:
    """Whether what belongs to the person with the id `owner` belongs to `user`."""
    mine = owner_id(user)
    return bool(mine) and mine == owner


class OwnedQuerySet(models.QuerySet[Owned]):
    """Rows that can be narrowed down to one person's."""

    def owned_by(self, user: object) -> Self:
        """Only what belongs to `user`; nothing at all for anybody who is not a `CurrentUser`."""
        owner = owner_id(user)
        return self.filter(user_id=owner) if owner else self.none()


class OwnedModel(models.Model):
    """A row that belongs to exactly one person, named by the `sub` of their tokens."""

    user_id = models.CharField("owner", max_length=255, editable=False)

    objects: ClassVar[OwnedQuerySet[Self]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        abstract = True

    def is_owned_by(self, user: object) -> bool:
        """Whether this row belongs to `user`."""
        return owns(user, self.user_id)
