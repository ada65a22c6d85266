"""What "mine" means: the one place that compares owners.

Fails closed: whoever is not a `CurrentUser` with an id owns nothing, least of all a Django account
that happens to have the same primary key.
"""

from accounts.users import CurrentUser


def owner_id(user: object) -> str:
    """The id under which `user` owns things; "" for whoever cannot own anything."""
    return user.id if isinstance(user, CurrentUser) else ""


def owns(user: object, owner: object) -> bool:
    """Whether what belongs to the person with the id `owner` belongs to `user`."""
    mine = owner_id(user)
    return bool(mine) and mine == owner
