"""Everything that is stored for people, a kind of thing in a module."""

from tasks.events.models import Epoch, Event, Person, Stream
from tasks.models.calendar import CalendarFeed
from tasks.models.lists import Label, Project
from tasks.models.notifications import Notification, NotificationQuerySet
from tasks.models.preferences import Preferences
from tasks.models.tasks import Task, TaskLabel, TaskQuerySet
from tasks.models.trash import TrashedTask
from tasks.push.models import PushDelivery, PushSubscription
from tasks.resources.idempotency import KeptAnswer

__all__ = [
    "CalendarFeed", "Epoch", "Event", "KeptAnswer", "Label", "Notification", "NotificationQuerySet", "Person",
    "Preferences", "Project", "PushDelivery", "PushSubscription", "Stream", "Task",
    "TaskLabel", "TaskQuerySet", "TrashedTask",
]  # fmt: skip
