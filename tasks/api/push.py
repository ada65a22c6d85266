"""The REST door to push subscriptions (docs/api.md section 9)."""

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import inline_serializer
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.owned.permissions import IsSignedIn
from accounts.owned.views import described
from accounts.owned.viewsets import in_own_transactions
from tasks.models import PushSubscription
from tasks.push import subscribing, vapid
from tasks.push.addresses import NoPublicAddress, addresses_of
from tasks.push.encryption import point
from tasks.push.endpoints import LONGEST, parse
from tasks.resources.fields import RecordedSerializer, TextField
from tasks.resources.viewsets import RecordedViewMixin
from tasks.resources.wire import wire_form

PATIENCE = 1.5  # seconds that a request waits for the address of a name

# Apart, as a name may take long to be looked up, whatever the patience of who asks.
_resolvers = ThreadPoolExecutor(64, thread_name_prefix="names")


class Base64Field(TextField):
    """Bytes in base64url, padded or not; kept without padding."""

    default_error_messages = {"bytes": "Has to be {what} in base64url."}
    what = ""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return vapid.encoded(self.understood(vapid.decoded(text)))
        except ValueError:
            self.fail("bytes", what=self.what)

    def understood(self, raw: bytes) -> bytes:
        """Raises `ValueError` for what cannot be used."""
        raise NotImplementedError


class PublicKeyField(Base64Field):
    what = "an uncompressed point of P-256, 65 bytes"

    def understood(self, raw: bytes) -> bytes:
        point(raw)
        return raw


class SecretField(Base64Field):
    what = "16 bytes"

    def understood(self, raw: bytes) -> bytes:
        if len(raw) != 16:
            raise ValueError("not 16 bytes")
        return raw


class KeysSerializer(serializers.Serializer[Any]):
    p256dh = PublicKeyField(max_length=100)
    auth = SecretField(max_length=100)

    class Meta:
        ref_name = "PushKeys"

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """What is wrong, in sentences that begin with the name of the key: a field's errors are a list."""
        try:
            return super().run_validation(data)
        except serializers.ValidationError as error:
            detail: Any = error.detail
            if not isinstance(detail, dict):
                raise
            said = [f"{name}: {each}" for name, all_of_it in detail.items() for each in all_of_it]
            raise serializers.ValidationError(said) from None


class ExpirationField(serializers.FloatField):
    """Milliseconds since 1970, as JavaScript counts them; kept as a moment."""

    default_error_messages = {
        "moment": "Has to be milliseconds since 1970, or null.",
        "past": "This subscription has expired.",
    }

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("moment")
        try:
            moment = datetime.fromtimestamp(data / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            self.fail("moment")
        if moment <= timezone.now():
            self.fail("past")
        return moment


@wire_form(PushSubscription)
class PushSubscriptionSerializer(RecordedSerializer):
    # What is sent is a browser's `PushSubscription`, as its `toJSON` has it.

    endpoint = TextField(max_length=LONGEST)
    keys = KeysSerializer(write_only=True)
    expirationTime = ExpirationField(  # noqa: N815  the browser's name for it
        source="expires_at", write_only=True, allow_null=True, default=None
    )

    class Meta:
        model = PushSubscription
        fields = ["id", "endpoint", "keys", "expirationTime"]
        example = {
            "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABl",
            "expirationTime": None,
            "keys": {
                "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
                "auth": "BTBZMqHH6r4Tts7J_aSIgg",
            },
        }

    def validate_endpoint(self, url: str) -> str:
        endpoint = parse(url)
        if endpoint is None:
            raise serializers.ValidationError("Has to be an https URL.")
        looking = _resolvers.submit(addresses_of, endpoint.host, endpoint.port)
        try:
            looking.result(PATIENCE)
        except NoPublicAddress as error:
            raise serializers.ValidationError(str(error)) from None
        except TookTooLong:
            looking.cancel()
            problem = "It is at no address that can be found in time."
            raise serializers.ValidationError(problem) from None
        return url


class PushKeyView(APIView):
    """`GET /push/key`: what browsers subscribe with."""

    permission_classes = [IsSignedIn]

    @described(
        operation_id="getPushKey",
        summary="Show the public key to subscribe with",
        description="`applicationServerKey` of `pushManager.subscribe`.",
        responses=inline_serializer("PushKey", {"public_key": serializers.CharField()}),
    )
    def get(self, request: Request) -> Response:
        return Response({"public_key": vapid.public_key()})


class PushSubscriptionViewSet(
    RecordedViewMixin[PushSubscription], mixins.ListModelMixin, mixins.DestroyModelMixin
):
    """Where the caller wants their notifications pushed to."""

    queryset = PushSubscription.objects.all()
    serializer_class = PushSubscriptionSerializer

    @described(
        operation_id="subscribeToPushes",
        summary="Subscribe a browser to pushes",
        description="The body is its `PushSubscription`. Once more renews it; somebody else's "
        "becomes the caller's, as it is the same browser.",
        responses={200: PushSubscriptionSerializer, 201: PushSubscriptionSerializer},
    )
    # No `create`, of which a repeat is answered from memory.
    @action(detail=False, methods=["post"])
    @in_own_transactions
    def subscribe(self, request: Request) -> Response:
        form = self.get_serializer(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            subscription, is_new = subscribing.subscribe(request.user, **form.validated_data)
        except subscribing.TooMany as error:
            raise serializers.ValidationError({"endpoint": [str(error)]}) from None
        answer = self.get_serializer(subscription).data
        return Response(answer, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)
