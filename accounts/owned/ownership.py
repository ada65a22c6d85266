"""What "mine" means. Fails closed: whoever is not a `CurrentUser` with an id owns nothing."""

from accounts.users import CurrentUser


def owner_id(user: object) -> str:
    """The id under which `user` owns things; "" for whoever cannot own anything."""
    return user.id if isinstance(user, CurrentUser) else ""
