"""Live events: their shape, and how a change becomes one (contract section 4).

Connected to the models' signals, so that whatever writes takes part: REST, admin, a command.
"""

from datetime import UTC, datetime
from typing import Any, Literal, TypedDict

from asgiref.sync import async_to_sync
from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import channel_layers
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from accounts.ownership import owner_group
from tasks.models import Task
from tasks.serializers import TaskSerializer

EventType = Literal["task.created", "task.updated", "task.deleted"]


class Event(TypedDict):
    """What a socket receives. Plain JSON values only: Redis packs them with msgpack."""

    type: EventType
    at: str
    data: dict[str, Any]


@receiver(post_save, sender=Task)
def announce_saved(instance: Task, created: bool, **kwargs: Any) -> None:
    data = dict(TaskSerializer(instance).data)
    announce(instance.user_id, "task.created" if created else "task.updated", data)


@receiver(post_delete, sender=Task)
def announce_deleted(instance: Task, **kwargs: Any) -> None:
    announce(instance.user_id, "task.deleted", {"id": str(instance.pk)})


def announce(user_id: str, event_type: EventType, data: dict[str, Any]) -> None:
    """Send an event to its owner's sockets once the change is committed, and never otherwise.

    `data` is taken as it is now; the model instance may look different by then.
    """
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    event = Event(type=event_type, at=at, data=data)

    def send() -> None:  # not a `partial`: Django logs a failed callback by its name
        _send(user_id, event)

    # Robust: a channel layer that fails is logged and must not fail what is already committed.
    transaction.on_commit(send, robust=True)


def _send(user_id: str, event: Event) -> None:
    message = {"type": "live.event", "event": event}
    layer = channel_layers[DEFAULT_CHANNEL_LAYER]
    async_to_sync(layer.group_send)(owner_group(user_id), message)
