"""Bringing projects, labels and tasks: all or nothing, by few statements (docs/api.md section 8)."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError as ModelValidationError
from django.db import IntegrityError, transaction
from rest_framework.serializers import as_serializer_error

from accounts.owned.databases import tried
from accounts.owned.viewsets import UUID_TEXT
from accounts.users import CurrentUser
from tasks.models import Label, Preferences, Project, Task
from tasks.models.lists import key_of_name
from tasks.models.subtasks import parents_at_hand
from tasks.own.forms import Faults, validated
from tasks.resources.fast.many import insert_with_relations
from tasks.resources.fields import NEW_KEY, OwnedKeyField
from tasks.rules.ids import uuid7
from tasks.rules.moments import now

BATCH = 1000  # rows that are written at once
TRIES = 2  # where somebody takes an id, or a name, at the same moment

MODELS: dict[str, Any] = {"projects": Project, "labels": Label, "tasks": Task}
# What refers to what: the field of a task, and the kind that it names.
REFERENCES = {"project_id": "projects", "parent_id": "tasks"}
UNKNOWN = OwnedKeyField.default_error_messages["does_not_exist"]

Values = dict[str, Any]


def import_document(user: CurrentUser, document: Any) -> dict[str, Any]:
    """Make all that a document holds somebody's. In a transaction that acts for them.

    Answers with how many of each kind there are more now, and by the ids of the document those that
    stand for them. Raises `ValidationError`, by where in the document.
    """
    given = validated(document)

    def once() -> dict[str, Any]:
        with transaction.atomic():
            return _Import(user, given).run()

    return tried(once, TRIES, lambda error: isinstance(error, IntegrityError))


class _Import:
    """One document on its way into the database."""

    def __init__(self, user: CurrentUser, given: dict[str, list[Values]]) -> None:
        self.user, self.given = user, given
        self.faults = Faults()
        # By kind: what the ids of the document stand for, and the key of each of its rows.
        self.ids: dict[str, dict[str, UUID]] = {kind: {} for kind in MODELS}
        self.keys: dict[str, list[UUID]] = {kind: [] for kind in MODELS}
        self.joined: set[UUID] = set()  # labels that there were

    def run(self) -> dict[str, Any]:
        self._name_rows("tasks")
        # Locks are taken in the order of everybody: tasks, what they refer to, preferences, the stream.
        there = {"tasks": self._own("tasks", ("parent_id", "previous_id"))}
        self._name_rows("projects")
        self._name_rows("labels")
        self.faults.tell()
        there["projects"] = self._own("projects", ("project_id",))
        there["labels"] = self._own("labels", ("label_ids",))
        resolved = [self._resolved(place, there) for place in range(len(self.keys["tasks"]))]
        self.faults.tell()
        with Preferences.held(self.user.id):
            for kind in ("projects", "labels"):
                rows = zip(self.keys[kind], self.given[kind], strict=True)
                self._create(kind, ((self._row(kind, *row), n) for n, row in enumerate(rows)))
            self._create_tasks(resolved, there["tasks"])
        counts = {kind: len({*self.keys[kind]} - self.joined) for kind in MODELS}
        ids = {old: str(new) for known in self.ids.values() for old, new in known.items()}
        return {**counts, "ids": ids}

    def _name_rows(self, kind: str) -> None:
        """Give each row a key: its own where that is free, a new one else; of a label, that of its name."""
        rows, known = self.given[kind], self.ids[kind]
        given = [row["id"] for row in rows if row["id"] is not None]
        good = {UUID(each) for each in given if re.fullmatch(NEW_KEY, each, re.ASCII)}
        taken = MODELS[kind].taken(good)
        by_name = self._labels_by_name() if kind == "labels" else {}
        for place, row in enumerate(rows):
            old = row["id"]
            if old in known and old is not None:
                self.faults.add(f"{kind}.{place}.id", "It stands twice.")
                continue
            own = UUID(old) if old is not None and re.fullmatch(NEW_KEY, old, re.ASCII) else None
            key = uuid7() if own is None or own in taken else own
            if kind == "labels":
                key = by_name.setdefault(key_of_name(row["name"]), key)
            self.keys[kind].append(key)
            if old is not None:
                known[old] = key

    def _labels_by_name(self) -> dict[str, UUID]:
        """The labels that there are, locked: they cannot go meanwhile."""
        rows: Any = Label.objects.owned_by(self.user).order_by("pk").select_for_update(no_key=True)
        found = dict(rows.values_list("name_key", "pk"))
        self.joined = {*found.values()}
        return found

    def _own(self, kind: str, names: tuple[str, ...]) -> dict[UUID, Any]:
        """Those of the caller's own that tasks of the document refer to beyond it, locked."""
        known, beyond = self.ids[kind], set()
        for values in self.given["tasks"]:
            for name in names:
                given = values.get(name) or ()
                for each in [given] if isinstance(given, str) else given:
                    if each not in known and UUID_TEXT.fullmatch(each):
                        beyond.add(UUID(each))
        if not beyond:
            return {}
        rows = MODELS[kind].objects.owned_by(self.user).filter(pk__in=beyond)
        return {row.pk: row for row in rows.locked()}

    def _found(self, kind: str, old: str, there: Mapping[str, Mapping[UUID, Any]]) -> UUID | None:
        """The key that an id of the document stands for; `None` where it is nobody's, or somebody else's."""
        if (key := self.ids[kind].get(old)) is not None:
            return key
        key = UUID(old) if UUID_TEXT.fullmatch(old) else None
        return key if key in there[kind] else None

    def _resolved(self, place: int, there: Mapping[str, Mapping[UUID, Any]]) -> Values:
        """The keys that a task refers to."""
        values = self.given["tasks"][place]
        keys: Values = {}
        for name, kind in REFERENCES.items():
            old = values[name]
            keys[name] = None if old is None else self._found(kind, old, there)
            if old is not None and keys[name] is None:
                self.faults.add(f"tasks.{place}.{name}", UNKNOWN)
        labels = [self._found("labels", old, there) for old in values["label_ids"]]
        if None in labels:
            self.faults.add(f"tasks.{place}.label_ids", UNKNOWN)
        keys["labels"] = sorted({*filter(None, labels)})
        # Whether or not there still is one; one that is not the caller's is not kept.
        previous = values.get("previous_id")
        keys["previous_id"] = previous and self._found("tasks", previous, there)
        return keys

    def _row(self, kind: str, key: UUID, values: Values, **keys: Any) -> Any:
        """A row to be created, from what the document says."""
        model = MODELS[kind]
        columns = {field.attname for field in model._meta.concrete_fields}
        kept = {name: value for name, value in (values | keys).items() if name in columns}
        row = model(**{**kept, "id": key, "user_id": self.user.id})
        if "created_at" in values:
            row.last_version = 0  # it keeps `created_at`
            row.updated_at = min(row.created_at, now())
        return row

    def _create(
        self,
        kind: str,
        rows: Iterator[tuple[Any, int]],
        labels: Mapping[UUID, list[UUID]] | None = None,
    ) -> None:
        """Create rows, with their places in the document, a batch at a time."""
        made: set[UUID] = set(self.joined)
        while batch := list(islice(rows, BATCH)):
            places = {row.pk: place for row, place in reversed(batch) if row.pk not in made}
            new = {row.pk: row for row, _ in reversed(batch) if row.pk not in made}
            made |= new.keys()
            try:
                relations = {} if labels is None else {"labels": labels}
                insert_with_relations(MODELS[kind], [*reversed(new.values())], relations)
            except ModelValidationError as error:
                row = getattr(error, "row", None)
                where = f"{kind}.{places[row.pk]}" if row is not None else kind
                self.faults.add(where, as_serializer_error(error))
                self.faults.tell()

    def _create_tasks(self, resolved: list[Values], there: Mapping[UUID, Any]) -> None:
        """Create tasks, those that are no subtasks first."""
        keys, given = self.keys["tasks"], self.given["tasks"]
        wanted = {each["parent_id"] for each in resolved} - {None}
        places = {key: place for place, key in enumerate(keys)}

        def made(place: int) -> Any:
            refers = {name: value for name, value in resolved[place].items() if name != "labels"}
            row = self._row("tasks", keys[place], given[place], **refers)
            row.may_have_subtasks = row.pk in wanted
            return row

        parents = {key: made(places[key]) for key in wanted if key in places}
        outside = {key: there[key] for key in wanted if key in there}
        Task.objects.filter(pk__in=outside, may_have_subtasks=False).update_unrecorded(
            may_have_subtasks=True
        )
        labels = {key: each["labels"] for key, each in zip(keys, resolved, strict=True)}
        with parents_at_hand(parents | outside):
            for below in (False, True):
                chosen = (
                    n for n, each in enumerate(resolved) if (each["parent_id"] is not None) is below
                )
                rows = ((parents.get(keys[n]) or made(n), n) for n in chosen)
                self._create("tasks", rows, labels)
