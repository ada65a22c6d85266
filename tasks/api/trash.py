"""The REST door to tasks that were deleted (docs/api.md section 4)."""

from typing import Any

from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.owned.acting import acting_as
from accounts.owned.views import described
from accounts.owned.viewsets import in_own_transactions
from tasks.api.serializers import TaskSerializer, TrashedTaskSerializer
from tasks.models import TrashedTask
from tasks.resources.viewsets import RecordedViewMixin


class TrashViewSet(RecordedViewMixin[Any], mixins.ListModelMixin, mixins.DestroyModelMixin):
    """What the caller has deleted in the last 30 days."""

    queryset = TrashedTask.objects.order_by("-deleted_at")
    serializer_class = TrashedTaskSerializer

    def get_queryset(self) -> Any:
        rows: Any = super().get_queryset()
        return rows.not_expired()

    @described(operation_id="listTrash", summary="List own deleted tasks")
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @described(operation_id="dropTask", summary="Drop a deleted task for good")
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().destroy(request, *args, **kwargs)

    @described(
        operation_id="restoreTask",
        summary="Bring a deleted task back",
        description="With its id, and with the subtasks that went with it.",
        request=None,
        responses=TaskSerializer,
    )
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: str) -> Response:
        task = self.get_object().restore()
        return Response(TaskSerializer(task, context=self.get_serializer_context()).data)

    @described(
        operation_id="emptyTrash",
        summary="Drop all own deleted tasks for good",
        request=None,
        responses={204: None},
        filters=False,
    )
    @action(detail=False, methods=["delete"])
    @in_own_transactions
    def empty(self, request: Request) -> Response:
        dropped = 1
        while dropped:
            with acting_as(request.user, atomic=True):  # a batch at a time: nobody waits for long
                dropped = TrashedTask.objects.owned_by(request.user).drop()
        return Response(status=status.HTTP_204_NO_CONTENT)
