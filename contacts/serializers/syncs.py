"""How sync runs look to programs, and their bodies."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from contacts.models import SyncRun
from smsportal.api.bodies import StrictSerializer
from smsportal.mirror.plan import Plan


class PlanSerializer(serializers.Serializer[Any]):
    """What a run will do: counts and samples. `destructive` plans need a confirmation.

    `unusable` records are there but not what we can keep, `forget` are removed here and gone there too, `create` makes
    the list there, `list_changed` says that name, tags, meta or fields differ, `there` counts the provider's records.
    """

    hash = serializers.CharField(allow_blank=True)
    append = serializers.IntegerField()
    pull = serializers.IntegerField()
    replace = serializers.IntegerField()
    delete = serializers.IntegerField()
    same = serializers.IntegerField()
    conflict = serializers.IntegerField()
    unusable = serializers.IntegerField()
    forget = serializers.IntegerField()
    there = serializers.IntegerField()
    create = serializers.BooleanField()  # type: ignore[assignment]
    list_changed = serializers.BooleanField()
    destructive = serializers.BooleanField()
    samples = serializers.DictField()
    unknown_fields = serializers.ListField(child=serializers.CharField())


class SyncRunSerializer(serializers.ModelSerializer[SyncRun]):
    """A mirroring run: the plan, and after it ran the report."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    contact_list = serializers.UUIDField(source="contact_list.uuid", read_only=True)
    plan = serializers.SerializerMethodField()
    report = serializers.DictField(read_only=True, allow_null=True)

    class Meta:
        model = SyncRun
        fields = [
            "id",
            "contact_list",
            "state",
            "plan",
            "report",
            "problem",
            "created_at",
            "started_at",
            "finished_at",
        ]
        read_only_fields = fields

    @extend_schema_field(PlanSerializer)
    def get_plan(self, run: SyncRun) -> dict[str, Any]:
        # A run that failed before it had a plan shows an empty one.
        empty = {**Plan().as_json(), "unknown_fields": []}
        return {**empty, **run.plan, "hash": run.plan_hash}


class ConfirmSerializer(StrictSerializer):
    """The hash of the plan that was looked at; `confirm` for a destructive one."""

    hash = serializers.CharField(max_length=64)
    confirm = serializers.BooleanField(default=False)
