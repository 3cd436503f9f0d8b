"""How webhook calls and their items look to programs."""

from __future__ import annotations

from rest_framework import serializers

from messaging.models import WebhookCall, WebhookItem
from smsportal.accounts.serializers import AccountField


class WebhookItemSerializer(serializers.ModelSerializer[WebhookItem]):
    """One element of a call and what became of it."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    message = serializers.UUIDField(source="message.uuid", read_only=True, allow_null=True, default=None)
    phone_number = serializers.CharField(source="number.e164", read_only=True, allow_null=True, default=None)
    raw = serializers.JSONField(read_only=True)

    class Meta:
        model = WebhookItem
        fields = [
            "id",
            "position",
            "kind",
            "state",
            "repeats",
            "message",
            "phone_number",
            "effect",
            "problem",
            "raw",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class WebhookCallSerializer(serializers.ModelSerializer[WebhookCall]):
    """A POST as it was received; the same body again only raises `deliveries`."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    account = AccountField(read_only=True)

    class Meta:
        model = WebhookCall
        fields = ["id", "account", "state", "problem", "deliveries", "tries", "created_at", "updated_at"]
        read_only_fields = fields


class WebhookCallDetailSerializer(WebhookCallSerializer):
    """A call with its raw body and its items."""

    body = serializers.SerializerMethodField()
    items = WebhookItemSerializer(many=True, read_only=True)

    class Meta(WebhookCallSerializer.Meta):
        fields = [*WebhookCallSerializer.Meta.fields, "body", "items"]
        read_only_fields = fields

    def get_body(self, call: WebhookCall) -> str:
        return bytes(call.body).decode("utf-8", "replace")
