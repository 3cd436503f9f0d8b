"""How messages and conversations look to programs, and their bodies."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from messaging.models import Conversation, Message, Receipt
from messaging.statuses import DELIVERY_WORDS, MessageState
from smsportal.accounts.serializers import AccountField, UnitField
from smsportal.api.bodies import StrictSerializer

_WORDS = [(word, word) for word in DELIVERY_WORDS.values()]


class DeliveryField(serializers.ChoiceField):
    """How far a text is known to have come, as a word."""

    def __init__(self, **more: Any) -> None:
        super().__init__(choices=_WORDS, **more)

    def to_representation(self, value: Any) -> str:
        return DELIVERY_WORDS[value]


class ReceiptSerializer(serializers.ModelSerializer[Receipt]):
    """One thing the provider, or staff, said of a text."""

    delivery = DeliveryField(read_only=True)

    class Meta:
        model = Receipt
        fields = ["at", "source", "attempt", "delivery", "status", "error_code", "error_text"]
        read_only_fields = fields


class MessageSerializer(serializers.ModelSerializer[Message]):
    """One text to one number: where it stands with us (`state`) and at the provider (`delivery`)."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    batch = serializers.UUIDField(source="batch.uuid", read_only=True)
    contact = serializers.UUIDField(source="contact.uuid", read_only=True, allow_null=True, default=None)
    to = serializers.CharField(source="number.e164", read_only=True)
    state = serializers.ChoiceField(choices=MessageState.choices, source="standing", read_only=True)
    delivery = DeliveryField(read_only=True)
    events = ReceiptSerializer(source="receipts", many=True, read_only=True)

    class Meta:
        model = Message
        fields = [
            "id",
            "batch",
            "contact",
            "to",
            "text",
            "segments",
            "state",
            "reason",
            "delivery",
            "error_code",
            "error_text",
            "attempt",
            "evidence",
            "remote_id",
            "created_at",
            "updated_at",
            "events",
        ]
        read_only_fields = fields


class MessageBodySerializer(StrictSerializer):
    """One text to one number."""

    to = serializers.CharField(max_length=40)
    text = serializers.CharField(max_length=20_000, trim_whitespace=False)
    account = AccountField()
    sender = serializers.CharField(max_length=40)
    operator = serializers.EmailField(required=False, allow_blank=True, default="")
    unit = UnitField(required=False)


class ResolveSerializer(StrictSerializer):
    """What to do about a text nobody knows the fate of: send it again at the risk of a second one, or write it off."""

    resend = serializers.BooleanField()


class ConversationSerializer(serializers.ModelSerializer[Conversation]):
    """The thread with one number through one account."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    account = AccountField(read_only=True)
    phone_number = serializers.CharField(source="number.e164", read_only=True)
    opted_out = serializers.BooleanField(source="number.opted_out", read_only=True)

    class Meta:
        model = Conversation
        fields = ["id", "account", "phone_number", "opted_out", "needs_attention", "last_text", "last_at", "created_at"]
        read_only_fields = fields


class LineSerializer(serializers.Serializer[Any]):
    """One line of a thread; `state` says how far our own texts came."""

    direction = serializers.ChoiceField(choices=[("in", "in"), ("out", "out")])
    text = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()
    state = serializers.CharField(allow_blank=True)


class ThreadSerializer(ConversationSerializer):
    """A conversation with everything said in it, oldest first."""

    turns = LineSerializer(many=True, read_only=True)

    class Meta(ConversationSerializer.Meta):
        fields = [*ConversationSerializer.Meta.fields, "turns"]
        read_only_fields = fields


class RemoteLineSerializer(serializers.Serializer[Any]):
    """One line of the provider's own transcript."""

    sender = serializers.CharField(allow_blank=True)
    recipient = serializers.CharField(allow_blank=True)
    sender_type = serializers.CharField(allow_blank=True)
    text = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField(allow_null=True)


class TranscriptSerializer(serializers.Serializer[Any]):
    """What the provider says was said."""

    turns = RemoteLineSerializer(many=True)


class ReplySerializer(StrictSerializer):
    """An answer to the person."""

    text = serializers.CharField(max_length=20_000, trim_whitespace=False)
