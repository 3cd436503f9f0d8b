"""How templates and senders look to programs, and their bodies."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from messaging import templating, wording
from messaging.models import Sender, Template
from smsportal.accounts.serializers import AccountField, UnitField
from smsportal.api.bodies import StrictSerializer


class TemplateSerializer(serializers.ModelSerializer[Template]):
    """A template in its newest wording; `segments` counts what it has at least, without what people's fields add."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    unit = UnitField(read_only=True)
    text = serializers.CharField(source="newest_text", read_only=True)
    version = serializers.IntegerField(source="newest_version", read_only=True)
    placeholders = serializers.SerializerMethodField()
    segments = serializers.SerializerMethodField()

    class Meta:
        model = Template
        fields = ["id", "name", "unit", "text", "version", "placeholders", "segments", "created_at", "updated_at"]
        read_only_fields = fields

    def get_placeholders(self, template: Any) -> list[str]:
        return wording.placeholders(template.newest_text)

    def get_segments(self, template: Any) -> int:
        return templating.segments(template.newest_text)


class TemplateChangeSerializer(StrictSerializer):
    """A new name or a new wording; the old wording stays with the batches that use it."""

    name = serializers.CharField(max_length=120, required=False)
    text = serializers.CharField(max_length=20_000, trim_whitespace=False, required=False)


class TemplateBodySerializer(TemplateChangeSerializer):
    """A new template. Placeholders are `{{Field_Name}}` or `{{Field_Name|fallback}}`."""

    name = serializers.CharField(max_length=120)
    text = serializers.CharField(max_length=20_000, trim_whitespace=False)
    unit = UnitField(required=False)


class SenderSerializer(serializers.ModelSerializer[Sender]):
    """A number or name texts may come from."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    account = AccountField(read_only=True)
    campaign_ids = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Sender
        fields = [
            "id",
            "account",
            "address",
            "label",
            "description",
            "campaign_ids",
            "operator",
            "refreshed_at",
        ]
        read_only_fields = fields


class RefreshSerializer(StrictSerializer):
    """Whose senders to ask the provider for. Without `operator` the account's own is asked."""

    account = AccountField()
    operator = serializers.EmailField(required=False, allow_blank=True, default="")


class RefreshedSerializer(serializers.Serializer[Any]):
    """The senders the provider told, all of them."""

    results = SenderSerializer(many=True)
