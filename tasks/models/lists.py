"""What tasks can be sorted into: projects and labels."""

import unicodedata
from typing import Self

from django.core.validators import RegexValidator
from django.db import models

from tasks.resources.positioned import PositionedModel

COLOR = RegexValidator(r"^#[0-9a-fA-F]{6}\Z", "Expected a color as #rrggbb.")


class Sorter(PositionedModel):
    """Something with a color and a place in a list of its own."""

    color = models.CharField(max_length=7, blank=True, default="", validators=[COLOR])

    class Meta(PositionedModel.Meta):
        abstract = True

    def derive(self, before: Self | None) -> None:
        super().derive(before)
        self.color = self.color.lower()


class Project(Sorter):
    """A list of tasks. Deleting one leaves its tasks, in no project."""

    name = models.CharField(max_length=100)
    archived = models.BooleanField(default=False)

    class Meta(Sorter.Meta):
        indexes = [
            *Sorter.Meta.indexes,
            models.Index(fields=["user_id", "name", "id"], name="project_name"),
        ]

    def __str__(self) -> str:
        return self.name


class Label(Sorter):
    """A mark of any number of tasks. A person has one of a name, whatever its case."""

    name = models.CharField(max_length=60)
    name_key = models.CharField(max_length=360, editable=False)  # folding makes some letters three

    class Meta(Sorter.Meta):
        indexes = [
            *Sorter.Meta.indexes,
            models.Index(fields=["user_id", "name", "id"], name="label_name"),
        ]
        constraints = [
            *Sorter.Meta.constraints,
            models.UniqueConstraint(fields=["user_id", "name_key"], name="label_one_of_a_name"),
        ]

    def __str__(self) -> str:
        return self.name

    def derive(self, before: Self | None) -> None:
        super().derive(before)
        self.name_key = key_of_name(self.name)


def key_of_name(name: str) -> str:
    """What is equal of names that count as the same: without differences of composition and case."""
    return unicodedata.normalize("NFC", name).casefold()
