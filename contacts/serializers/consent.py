"""How opt-outs and consent events look to programs, and their bodies."""

from __future__ import annotations

from rest_framework import serializers

from contacts.models import ConsentEvent, PhoneNumber
from smsportal.api.bodies import StrictSerializer


class OptOutSerializer(serializers.ModelSerializer[PhoneNumber]):
    """A number that is not texted, and the latest opt-out that was recorded of it."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    phone_number = serializers.CharField(source="e164", read_only=True)
    since = serializers.DateTimeField(source="consent_at", read_only=True, allow_null=True)
    source = serializers.CharField(source="out_source", read_only=True, default="")  # type: ignore[assignment]
    reason = serializers.CharField(source="out_reason", read_only=True, default="")

    class Meta:
        model = PhoneNumber
        fields = ["id", "phone_number", "opted_out", "staff_block", "since", "source", "reason"]
        read_only_fields = fields


class OptOutBodySerializer(StrictSerializer):
    """A number as people write it. A `staff_block` is not lifted by the person texting START."""

    phone_number = serializers.CharField(max_length=40)
    reason = serializers.CharField(max_length=500, allow_blank=True, default="")
    staff_block = serializers.BooleanField(default=False)


class LiftSerializer(StrictSerializer):
    """Why an opt-out is removed."""

    reason = serializers.CharField(max_length=500)


class ConsentEventSerializer(serializers.ModelSerializer[ConsentEvent]):
    """One thing a person, a provider or staff said about texting a number."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    phone_number = serializers.CharField(source="number.e164", read_only=True)
    actor = serializers.CharField(source="actor.username", read_only=True, allow_null=True, default=None)
    evidence = serializers.DictField(read_only=True)

    class Meta:
        model = ConsentEvent
        fields = ["id", "phone_number", "kind", "source", "at", "actor", "reason", "evidence", "created_at"]
        read_only_fields = fields
