"""How the preview of a batch looks to programs: the waterfall, sample texts, segments, what to look at."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from messaging import composing
from smsportal.api.bodies import StrictSerializer


class WaterfallSerializer(serializers.Serializer[Any]):
    """How an audience becomes those written to; `audience` is the sum of all the others."""

    audience = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    invalid = serializers.IntegerField()
    opted_out = serializers.IntegerField()
    capped = serializers.IntegerField()
    expired = serializers.IntegerField()
    quiet_hours = serializers.IntegerField()
    will_send = serializers.IntegerField()


class SampleSerializer(serializers.Serializer[Any]):
    """One person's text as it would be sent."""

    to = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    text = serializers.CharField()
    segments = serializers.IntegerField()
    note = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True, help_text="Why this person gets no text; blank: gets it.")
    encoding = serializers.CharField()
    culprits = serializers.ListField(child=serializers.CharField(), help_text="What forces the text to Unicode.")


class SegmentsSerializer(serializers.Serializer[Any]):
    """Segments of the texts that would be sent."""

    min = serializers.IntegerField()
    max = serializers.IntegerField()
    total = serializers.IntegerField()


class FindingSerializer(serializers.Serializer[Any]):
    """One thing to look at before going on."""

    code = serializers.CharField()
    sentence = serializers.CharField()
    remedy = serializers.CharField()


class PreviewSerializer(serializers.Serializer[Any]):
    """What would become of the audience, with samples and warnings; `findings` are the warnings in parts."""

    waterfall = WaterfallSerializer()
    invalid_by_reason = serializers.DictField(child=serializers.IntegerField())
    samples = SampleSerializer(many=True)
    segments = SegmentsSerializer()
    warnings = serializers.ListField(child=serializers.CharField())
    findings = FindingSerializer(many=True)
    recipient = SampleSerializer(allow_null=True, help_text="What the number `to` would get; null when none was named.")


def parts_of(seen: composing.Preview, recipient: composing.Sample | None = None) -> dict[str, Any]:
    """A preview as `PreviewSerializer` shows it."""
    parts = ("waterfall", "samples", "segments", "warnings", "findings")
    shown = {name: getattr(seen, name) for name in parts}
    return {**shown, "invalid_by_reason": seen.invalid, "recipient": recipient}


class PersonSerializer(serializers.Serializer[Any]):
    """One contact at a step of the waterfall: why, and what to do about it."""

    contact = serializers.UUIDField(allow_null=True)
    to = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    contact_list = serializers.CharField(allow_blank=True)
    step = serializers.ChoiceField(choices=[(name, said) for name, said in composing.STEPS.items()])
    reason = serializers.CharField()
    remedy = serializers.CharField(allow_blank=True)


class PreviewBodySerializer(StrictSerializer):
    """`to`: a number, however it is written, whose text is to be shown besides."""

    to = serializers.CharField(max_length=40, required=False)
