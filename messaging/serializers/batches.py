"""How batches and their preview look to programs, and their bodies."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from contacts.models import ContactList
from messaging import channels
from messaging.models import Batch, Template
from messaging.statuses import DELIVERY_WORDS, MessageState, allowed
from messaging.tallies import Tally
from smsportal.accounts.serializers import AccountField, UnitField
from smsportal.api.bodies import StrictSerializer

EARLIEST_YEAR: Final = 2000


def _not_ancient(at: datetime) -> None:
    """Time zones of another century have odd seconds, which ISO 8601 cannot write; whoever sends one meant none."""
    if at.year < EARLIEST_YEAR:
        raise serializers.ValidationError("This time is long past; leave it out to send at once.")


def _numbers(*names: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(names),
        "properties": {name: {"type": "integer"} for name in names},
        "additionalProperties": {"type": "integer"},
    }


class BatchSerializer(serializers.ModelSerializer[Batch]):
    """A batch and where its texts stand. `recipients` is the sum of `counts`, at any moment."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    unit = UnitField(read_only=True)
    account = AccountField(read_only=True)
    lists = serializers.SlugRelatedField[Any](slug_field="uuid", many=True, read_only=True)
    template = serializers.UUIDField(
        source="template_version.template.uuid", read_only=True, allow_null=True, default=None
    )
    template_version = serializers.IntegerField(
        source="template_version.version", read_only=True, allow_null=True, default=None
    )
    provider_options = serializers.DictField(child=serializers.CharField(), read_only=True)
    waterfall = serializers.DictField(child=serializers.IntegerField(), read_only=True, allow_null=True)
    author = serializers.CharField(source="author.username", read_only=True, allow_null=True, default=None)
    submitter = serializers.CharField(source="submitter.username", read_only=True, allow_null=True, default=None)
    approver = serializers.CharField(source="approver.username", read_only=True, allow_null=True, default=None)
    counts = serializers.SerializerMethodField()
    skipped = serializers.SerializerMethodField()
    delivery = serializers.SerializerMethodField()
    recipients = serializers.SerializerMethodField()
    allowed = serializers.SerializerMethodField()

    class Meta:
        model = Batch
        fields = [
            "id",
            "name",
            "unit",
            "state",
            "allowed",
            "revision",
            "account",
            "channel",
            "sender",
            "operator",
            "lists",
            "template",
            "template_version",
            "text",
            "provider_options",
            "recipients",
            "counts",
            "skipped",
            "delivery",
            "waterfall",
            "problem",
            "author",
            "submitter",
            "approver",
            "send_at",
            "started_at",
            "finished_at",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields

    @extend_schema_field(_numbers(*MessageState.values))
    def get_counts(self, batch: Batch) -> dict[str, int]:
        return self._tally(batch).counts

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "integer"}})
    def get_skipped(self, batch: Batch) -> dict[str, int]:
        return self._tally(batch).skipped

    @extend_schema_field(_numbers(*DELIVERY_WORDS.values()))
    def get_delivery(self, batch: Batch) -> dict[str, int]:
        return self._tally(batch).delivery

    def get_recipients(self, batch: Batch) -> int:
        return sum(self._tally(batch).counts.values())

    def get_allowed(self, batch: Batch) -> list[str]:
        return allowed(batch.state)

    def _tally(self, batch: Batch) -> Tally:
        tallies: dict[int, Tally] = self.context["tallies"]
        return tallies[batch.pk]


class _Visible(serializers.SlugRelatedField[Any]):
    """A row named by its id, among those the caller may see."""

    default_error_messages = {"does_not_exist": "You can see nothing with this id.", "invalid": "This is no id."}

    def __init__(self, **more: Any) -> None:
        super().__init__(slug_field="uuid", **more)

    def get_queryset(self) -> Any:
        rows: Any = super().get_queryset()
        return rows.visible_to(self.context["request"].user)


@extend_schema_field({"type": "string", "format": "uuid"})
class ListField(_Visible):
    """A contact list by its id."""


@extend_schema_field({"type": "string", "format": "uuid"})
class TemplateField(_Visible):
    """A template by its id."""


class BatchChangeSerializer(StrictSerializer):
    """What may be changed of a batch that has not begun."""

    name = serializers.CharField(max_length=200, required=False)
    lists = ListField(queryset=ContactList.objects.all(), many=True, required=False)
    text = serializers.CharField(max_length=20_000, trim_whitespace=False, allow_blank=True, required=False)
    template = TemplateField(queryset=Template.objects.all(), required=False, allow_null=True)
    account = AccountField(required=False)
    channel = serializers.ChoiceField(choices=[(name, name) for name in channels.CHANNELS], required=False)
    sender = serializers.CharField(max_length=40, required=False)
    operator = serializers.EmailField(required=False, allow_blank=True)
    send_at = serializers.DateTimeField(required=False, allow_null=True, validators=[_not_ancient])
    provider_options = serializers.DictField(child=serializers.CharField(), required=False)


class BatchBodySerializer(BatchChangeSerializer):
    """A new batch: lists × text or template × sender × time."""

    name = serializers.CharField(max_length=200)
    account = AccountField()
    sender = serializers.CharField(max_length=40)
    unit = UnitField(required=False)


class RetrySerializer(StrictSerializer):
    """Error codes to try again; none named means all."""

    classes = serializers.ListField(child=serializers.CharField(max_length=100), required=False, default=list)


class WaterfallSerializer(serializers.Serializer[Any]):
    """How an audience becomes those written to; `audience` is the sum of all the others."""

    audience = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    invalid = serializers.IntegerField()
    opted_out = serializers.IntegerField()
    capped = serializers.IntegerField()
    quiet_hours = serializers.IntegerField()
    will_send = serializers.IntegerField()


class SampleSerializer(serializers.Serializer[Any]):
    """One person's text as it would be sent."""

    to = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    text = serializers.CharField()
    segments = serializers.IntegerField()
    note = serializers.CharField(allow_blank=True)


class SegmentsSerializer(serializers.Serializer[Any]):
    """Segments of the texts that would be sent."""

    min = serializers.IntegerField()
    max = serializers.IntegerField()
    total = serializers.IntegerField()


class PreviewSerializer(serializers.Serializer[Any]):
    """What would become of the audience, with samples and warnings."""

    waterfall = WaterfallSerializer()
    samples = SampleSerializer(many=True)
    segments = SegmentsSerializer()
    warnings = serializers.ListField(child=serializers.CharField())
