"""`POST …/{id}/move`: an order that people make by hand (docs/api.md section 4)."""

from typing import Any

from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.owned.views import described
from tasks.resources.fields import OwnedKeyField
from tasks.resources.positioned import PositionedModel
from tasks.resources.viewsets import Recorded, RecordedViewSet


class SiblingField(OwnedKeyField):
    """The id of another row of the same order. Not locked: what is moved is put beside it as it is."""

    default_error_messages = {"does_not_exist": "There is no such id in the same order."}

    def get_queryset(self) -> Any:
        row: Any = self.root.instance
        return row.siblings()


class MoveSerializer(serializers.Serializer[PositionedModel]):
    """Where to: right after or before a sibling, or to an end."""

    after = SiblingField(required=False)
    before = SiblingField(required=False)
    to = serializers.ChoiceField(["top", "bottom"], required=False)

    class Meta:
        example = {"to": "top"}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Give one of after, before and to.")
        return attrs

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        match validated_data:
            case {"after": sibling}:
                instance.move_after(sibling)
            case {"before": sibling}:
                instance.move_before(sibling)
            case {"to": "top"}:
                instance.move_after(None)
            case _:
                instance.move_before(None)
        return instance


class PositionedViewSet(RecordedViewSet[Recorded]):
    """The viewset of what a person puts in an order of their own."""

    @described(request=MoveSerializer)
    @action(detail=True, methods=["post"])
    def move(self, request: Request, **kwargs: Any) -> Response:
        row: Any = self.get_object()
        form = MoveSerializer(row, request.data, context=self.get_serializer_context())
        form.is_valid(raise_exception=True)
        form.save()
        return Response(self.get_serializer(row).data)
