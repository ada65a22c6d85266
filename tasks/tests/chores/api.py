"""The REST door to chores."""

from django_filters import FilterSet

from tasks.api.urls import OptionalSlashRouter
from tasks.resources.fields import RecordedSerializer
from tasks.resources.lists.filters import ParameterFilter
from tasks.resources.lists.query import WholeNumberParameter
from tasks.resources.viewsets import RecordedViewSet
from tasks.resources.wire import wire_form
from tasks.tests.chores.models import Chore


@wire_form(Chore)
class ChoreSerializer(RecordedSerializer):
    class Meta:
        model = Chore
        fields = [
            *("id", "version", "text", "task", "created_at", "updated_at"),
            "effort",
        ]


class ChoreFilters(FilterSet):
    effort = ParameterFilter(WholeNumberParameter())


class ChoreViewSet(RecordedViewSet[Chore]):
    queryset = Chore.objects.all()
    serializer_class = ChoreSerializer
    filterset_class = ChoreFilters
    ordering_fields = [
        *("created_at", "updated_at", "text"),
        "effort",
    ]


router = OptionalSlashRouter()
router.register("chores", ChoreViewSet, basename="chore")
