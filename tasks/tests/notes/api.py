"""The REST door to notes and tags."""

from django_filters import FilterSet
from rest_framework import serializers

from tasks.api.urls import OptionalSlashRouter
from tasks.resources.fields import RecordedSerializer
from tasks.resources.lists.filters import ParameterFilter
from tasks.resources.viewsets import RecordedViewSet
from tasks.resources.wire import wire_form
from tasks.tests.notes.models import Note, Tag


@wire_form(Tag)
class TagSerializer(RecordedSerializer):
    class Meta:
        model = Tag
        fields = ["id", "version", "name"]


@wire_form(Note)
class NoteSerializer(RecordedSerializer):
    class Meta:
        model = Note
        fields = ["id", "version", "text", "task", "tags", "created_at"]


class NoteFilters(FilterSet):
    text = ParameterFilter(serializers.CharField(), "text", "contains")


class TagViewSet(RecordedViewSet[Tag]):
    queryset = Tag.objects.all()
    serializer_class = TagSerializer


class NoteViewSet(RecordedViewSet[Note]):
    queryset = Note.objects.all()
    serializer_class = NoteSerializer
    filterset_class = NoteFilters
    ordering_fields = ["created_at", "text", "task"]


router = OptionalSlashRouter()
router.register("tags", TagViewSet, basename="tag")
router.register("notes", NoteViewSet, basename="note")
