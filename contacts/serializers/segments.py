"""How saved segments look to programs, and their bodies."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from contacts.models import ContactList, Segment, SegmentMatch
from contacts.segments import MAX_CONDITIONS, MAX_VALUE, TESTS
from smsportal.accounts.serializers import UnitField
from smsportal.api.bodies import StrictSerializer


@extend_schema_field({"type": "string", "format": "uuid"})
class OwnListField(serializers.SlugRelatedField[ContactList]):
    """A contact list by its id, among those the caller may see."""

    default_error_messages = {"does_not_exist": "You can see no list with this id.", "invalid": "This is no id."}

    def __init__(self, **more: Any) -> None:
        super().__init__(slug_field="uuid", **more)

    def get_queryset(self) -> Any:
        rows: Any = super().get_queryset()
        return rows.visible_to(self.context["request"].user)


class ConditionSerializer(StrictSerializer):
    """One condition on a field of the list; `is_blank` and `is_not_blank` need no `value`."""

    field = serializers.CharField(max_length=60)
    test = serializers.ChoiceField(choices=list(TESTS.items()))
    value = serializers.CharField(max_length=MAX_VALUE, allow_blank=True, required=False, default="")


class SegmentSerializer(serializers.ModelSerializer[Segment]):
    """A segment; its contacts are found anew each time it is used."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    unit = UnitField(read_only=True)
    contact_list = serializers.UUIDField(source="contact_list.uuid", read_only=True)
    conditions = ConditionSerializer(many=True, read_only=True)

    class Meta:
        model = Segment
        fields = ["id", "name", "unit", "contact_list", "match", "conditions", "created_at", "updated_at"]
        read_only_fields = fields


class _AskedSerializer(StrictSerializer):
    match = serializers.ChoiceField(choices=SegmentMatch.choices, default=SegmentMatch.ALL)
    conditions = serializers.ListField(child=ConditionSerializer(), min_length=1, max_length=MAX_CONDITIONS)


class SegmentCountBodySerializer(_AskedSerializer):
    """Conditions to be tried on a list."""

    contact_list = OwnListField(queryset=ContactList.objects.all())


class SegmentBodySerializer(SegmentCountBodySerializer):
    """A new segment of a list. Without `unit` it belongs to the list's own."""

    name = serializers.CharField(max_length=120)
    unit = UnitField(required=False)


class SegmentChangeSerializer(StrictSerializer):
    """What may be changed of a segment; `conditions` are all of them anew."""

    name = serializers.CharField(max_length=120, required=False)
    match = serializers.ChoiceField(choices=SegmentMatch.choices, required=False)
    conditions = serializers.ListField(
        child=ConditionSerializer(), min_length=1, max_length=MAX_CONDITIONS, required=False
    )


class SegmentCountSerializer(serializers.Serializer[Any]):
    """How many contacts meet the conditions now, and how many of them opted out."""

    count = serializers.IntegerField()
    opted_out = serializers.IntegerField()
