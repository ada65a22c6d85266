"""The base of everything that belongs to one person."""

from collections.abc import Iterable
from typing import Any, ClassVar, Self, TypeVar

from django.db import models

from accounts.owned.acting import acting_owner
from accounts.owned.row_security import OwnerPolicy
from accounts.users import owner_id

Owned = TypeVar("Owned", bound="OwnedModel", covariant=True)


class OwnedQuerySet(models.QuerySet[Owned]):
    """Rows that can be narrowed down to one person's."""

    def owned_by(self, user: object) -> Self:
        """Only what belongs to `user`; nothing at all for anybody who is not a `CurrentUser`."""
        owner = owner_id(user)
        return self.filter(user_id=owner) if owner else self.none()

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        objs = list(objs)
        for row in objs:
            row.require_owner()
        return super().bulk_create(objs, *args, **kwargs)


class OwnedModel(models.Model):
    """A row that belongs to exactly one person, named by the `sub` of their tokens.

    A subclass with a `Meta` of its own lets it inherit `OwnedModel.Meta`, and repeats the constraints
    where it has others: they make `makemigrations` write the policy of row-level security.
    """

    user_id = models.CharField("owner", max_length=255, editable=False)

    objects: ClassVar[OwnedQuerySet[Self]] = OwnedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        abstract = True
        constraints = [OwnerPolicy(name="%(app_label)s_%(class)s_owner")]

    def save(self, **kwargs: Any) -> None:
        self.require_owner()
        super().save(**kwargs)

    def is_owned_by(self, user: object) -> bool:
        """Whether this row belongs to `user`."""
        return bool(self.user_id) and self.user_id == owner_id(user)

    def require_owner(self) -> None:
        """Give a row without an owner to whoever is acting. Raises `ValueError` where nobody is."""
        self.user_id = self.user_id or acting_owner()
        if not self.user_id:
            raise ValueError(f"{type(self).__name__} has no owner: set user_id before saving it.")
