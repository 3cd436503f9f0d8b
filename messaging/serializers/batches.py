"""How batches and their preview look to programs, and their bodies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.relations import MANY_RELATION_KWARGS

from contacts.models import ContactList, Segment
from messaging import channels, controls
from messaging.models import Batch, Template
from messaging.statuses import DELIVERY_WORDS, MessageState
from messaging.tallies import Tally
from smsportal.accounts.serializers import AccountField, UnitField
from smsportal.api.bodies import StrictSerializer


class MomentField(serializers.DateTimeField):
    """A time with its offset. One without would mean the server's zone, and a minute that spring leaves out another."""

    def enforce_timezone(self, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise serializers.ValidationError("Give the time with its offset, as in 2026-09-01T09:00:00-04:00.")
        return super().enforce_timezone(value)


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
    segments = serializers.SlugRelatedField[Any](slug_field="uuid", many=True, read_only=True)
    corrects = serializers.UUIDField(source="corrects.uuid", read_only=True, allow_null=True, default=None)
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
            "segments",
            "corrects",
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
            "snapshot",
            "send_at",
            "expires_at",
            "leaves_at",
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
        return controls.possible(batch)

    def _tally(self, batch: Batch) -> Tally:
        tallies: dict[int, Tally] = self.context["tallies"]
        return tallies[batch.pk]


class _Several(serializers.ManyRelatedField):
    """A JSON array of rows. An object, whose keys Django REST framework would take for one, is refused."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            self.fail("not_a_list", input_type="object")
        return super().to_internal_value(data)


class _Visible(serializers.SlugRelatedField[Any]):
    """A row named by its id, among those the caller may see."""

    default_error_messages = {"does_not_exist": "You can see nothing with this id.", "invalid": "This is no id."}

    def __init__(self, **more: Any) -> None:
        super().__init__(slug_field="uuid", **more)

    @classmethod
    def many_init(cls, *args: Any, **more: Any) -> _Several:
        of_all = {name: value for name, value in more.items() if name in MANY_RELATION_KWARGS}
        return _Several(child_relation=cls(**more), **of_all)

    def get_queryset(self) -> Any:
        rows: Any = super().get_queryset()
        return rows.visible_to(self.context["request"].user)


@extend_schema_field({"type": "string", "format": "uuid"})
class ListField(_Visible):
    """A contact list by its id."""


@extend_schema_field({"type": "string", "format": "uuid"})
class SegmentField(_Visible):
    """A saved segment by its id."""


@extend_schema_field({"type": "string", "format": "uuid"})
class TemplateField(_Visible):
    """A template by its id."""


class BatchChangeSerializer(StrictSerializer):
    """What may be changed of a batch that has not begun."""

    name = serializers.CharField(max_length=200, required=False)
    lists = ListField(queryset=ContactList.objects.all(), many=True, required=False)
    segments = SegmentField(queryset=Segment.objects.select_related("contact_list"), many=True, required=False)
    text = serializers.CharField(max_length=20_000, trim_whitespace=False, allow_blank=True, required=False)
    template = TemplateField(queryset=Template.objects.all(), required=False, allow_null=True)
    account = AccountField(required=False)
    channel = serializers.ChoiceField(choices=[(name, name) for name in channels.CHANNELS], required=False)
    sender = serializers.CharField(max_length=40, required=False)
    operator = serializers.EmailField(required=False, allow_blank=True)
    send_at = MomentField(required=False, allow_null=True)
    expires_at = MomentField(required=False, allow_null=True)
    provider_options = serializers.DictField(child=serializers.CharField(), required=False)


class BatchBodySerializer(BatchChangeSerializer):
    """A new batch: lists and segments × text or template × sender × time."""

    name = serializers.CharField(max_length=200)
    account = AccountField()
    sender = serializers.CharField(max_length=40)
    unit = UnitField(required=False)


class SeenSerializer(StrictSerializer):
    """The `snapshot` of what was looked at: refused with 412 when it was submitted anew meanwhile."""

    snapshot = serializers.CharField(max_length=64, required=False)


class StartSerializer(SeenSerializer):
    """`undo_s` seconds in which the start can be taken back; `typed`: how many texts the caller says there are.

    `late`: send it although its `send_at` is long past.
    """

    undo_s = serializers.IntegerField(min_value=0, max_value=3600, required=False, default=0)
    typed = serializers.IntegerField(min_value=0, required=False)
    late = serializers.BooleanField(required=False, default=False)


class CorrectSerializer(StrictSerializer):
    """The text that puts right what the first one said."""

    text = serializers.CharField(max_length=20_000, trim_whitespace=False)
    name = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class TestSendSerializer(StrictSerializer):
    """`to`: the caller's own number unless it is named. `sample`: the number of the recipient whose text it is."""

    to = serializers.CharField(max_length=40, required=False, allow_blank=True, default="")
    sample = serializers.CharField(max_length=40, required=False)


class FailureClassSerializer(serializers.Serializer[Any]):
    """Texts that failed for one reason; `code` is what `retry-failed` takes in `classes`."""

    code = serializers.CharField(allow_blank=True)
    title = serializers.CharField()
    advice = serializers.CharField()
    number = serializers.IntegerField(help_text="How many would be sent again.")
    again = serializers.BooleanField(help_text="Whether sending them again makes sense.")
    opted_out = serializers.IntegerField(help_text="Further ones whose people opted out since; they get nothing.")


class FailuresSerializer(serializers.Serializer[Any]):
    """Why texts of a batch failed, the most frequent first."""

    results = FailureClassSerializer(many=True)


class RetrySerializer(StrictSerializer):
    """Error codes to try again; none named means all."""

    classes = serializers.ListField(child=serializers.CharField(max_length=100), required=False, default=list)
