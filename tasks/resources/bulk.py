"""`POST …/bulk`: many operations in one transaction, all of them or none (docs/api.md section 4)."""

from copy import copy
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.owned.views import described
from accounts.owned.viewsets import UUID_TEXT
from tasks.events.record import recorded_together
from tasks.resources import fast
from tasks.resources.etags import PreconditionFailed, etag
from tasks.resources.fields import TextField, WholeNumberField
from tasks.resources.moving import PositionedViewSet
from tasks.resources.viewsets import Recorded, RecordedViewSet

MAX_OPERATIONS = 100
PLACES = ("after", "before", "to")  # of a move
# The method and the action that each operation stands for.
ACTIONS = {
    "create": ("POST", "create"),
    "update": ("PATCH", "partial_update"),
    "delete": ("DELETE", "destroy"),
    "move": ("POST", "move"),
}
Operation = dict[str, Any]
NEEDED = {"create": ("body",), "update": ("id", "body"), "delete": ("id",), "move": ("id",)}


class BulkFailed(APIException):
    """An operation that was refused: the answer tells which one, and what it would have been answered."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "An operation failed, so nothing was changed"
    default_code = "bulk_failed"
    example = {
        "detail": default_detail,
        "code": default_code,
        "index": 0,
        "status": 412,
        "body": {
            "detail": PreconditionFailed.default_detail,
            "code": PreconditionFailed.default_code,
        },
    }

    def __init__(self, index: int, status: int, body: Any) -> None:
        super().__init__()
        self.members = {"index": index, "status": status, "body": body}


class ParsedField(serializers.JSONField):
    """Whatever JSON holds: the body was parsed as a whole, so no part of it needs to be tried again."""

    def to_internal_value(self, data: Any) -> Any:
        return data


class OperationSerializer(serializers.Serializer[Any]):
    """What is done to one thing; what is in `body` and the place to move it to, its own serializers judge."""

    op = serializers.ChoiceField([*NEEDED])
    id = TextField(required=False)
    body = ParsedField(required=False)
    if_version = WholeNumberField(min_value=1, required=False)
    after = ParsedField(required=False)
    before = ParsedField(required=False)
    to = ParsedField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in NEEDED[attrs["op"]]:
            if name not in attrs:
                raise serializers.ValidationError(
                    {name: self.fields[name].error_messages["required"]}
                )
        return attrs


_operation = OperationSerializer()  # validates all of them


class BulkSerializer(serializers.Serializer[Any]):
    operations = serializers.ListField(
        child=ParsedField(allow_null=True),
        allow_empty=False,
        min_length=1,
        max_length=MAX_OPERATIONS,
    )

    class Meta:
        example = {"operations": [{"op": "create", "body": {"text": "Water the plants"}}]}


class BulkResultSerializer(serializers.Serializer[Any]):
    status = serializers.IntegerField()
    body = serializers.JSONField(allow_null=True)


class BulkAnswerSerializer(serializers.Serializer[Any]):
    results = BulkResultSerializer(many=True)


class Part:
    """A request that is part of another one: with a method, a body and a condition of its own."""

    def __init__(self, whole: Request, method: str, data: Any, version: int | None) -> None:
        self._whole = whole
        self.method = method
        self.data = data
        self.META = {**whole.META}
        if version is not None:
            self.META["HTTP_IF_MATCH"] = etag(version)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)


class BulkViewSet(PositionedViewSet[Recorded]):
    """A viewset whose actions can be run many at once."""

    repeatable = ("create", "bulk")

    @described(
        request=BulkSerializer,
        responses={
            200: BulkAnswerSerializer,
            409: OpenApiResponse(
                {
                    "anyOf": [
                        {"$ref": f"#/components/schemas/{name}"}
                        for name in ("BulkFailed", "ApiError")
                    ]
                },
                "An operation failed and nothing was changed, or the first request with this key is still running",
                [OpenApiExample(BulkFailed.default_code, BulkFailed.example)],
            ),
        },
        filters=False,
    )
    @action(detail=False, methods=["post"])
    def bulk(self, request: Request) -> HttpResponse:
        form = BulkSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = [understood(each) for each in form.validated_data["operations"]]
        operations = [each for each in given if not isinstance(each, serializers.ValidationError)]
        if len(operations) == len(given):
            quick = fast.write_all(self, RecordedViewSet, request, operations)
            if quick is not None:
                return quick
        self._lock(operations)
        with recorded_together():
            results = [self._run(*each) for each in enumerate(given)]
        return Response({"results": results})

    def _lock(self, operations: list[Operation]) -> None:
        """Lock what the operations name, in the order in which everybody locks rows.

        So what bodies refer to in the same table: what is in others is locked after it.
        """
        rows: Any = self.get_queryset()
        columns = rows.model._meta.concrete_fields
        of_body = [field.attname for field in columns if field.related_model is rows.model]
        named = [
            given.get(name)
            for each in operations
            for given, names in ((each, ("id", *PLACES)), (each.get("body"), of_body))
            if isinstance(given, dict)
            for name in names
        ]
        keys = {key for key in named if isinstance(key, str) and UUID_TEXT.fullmatch(key)}
        rows.filter(pk__in=keys).locked()

    def _run(
        self, index: int, operation: Operation | serializers.ValidationError
    ) -> dict[str, Any]:
        """Do one operation as a request of its own would. Raises `BulkFailed` where it is refused."""
        try:
            if isinstance(operation, serializers.ValidationError):
                raise operation
            method, name = ACTIONS[operation["op"]]
            data: Any = operation.get("body")
            if name == "move":
                data = {key: operation[key] for key in PLACES if key in operation}
            view: Any = copy(self)
            view.action = name
            view.kwargs = {self.lookup_url_kwarg or self.lookup_field: operation.get("id")}
            view.request = Part(self.request, method, data, operation.get("if_version"))
            response = getattr(view, name)(view.request)
        except Exception as error:
            handler, context = self.get_exception_handler(), self.get_exception_handler_context()
            refused: Any = handler(error, context)
            if refused is None or refused.status_code >= 500:
                raise
            raise BulkFailed(index, refused.status_code, refused.data) from None
        return {"status": response.status_code, "body": response.data}


def understood(given: Any) -> Operation | serializers.ValidationError:
    """An operation as it was sent; what is none is refused in its turn, after those before it."""
    try:
        return dict(_operation.run_validation(given))
    except serializers.ValidationError as error:
        return error
