"""How lists, contacts, imports, sync runs and consent look to programs, and the bodies programs send about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from contacts.models import (
    ConsentEvent,
    Contact,
    ContactList,
    FieldType,
    Import,
    ImportRow,
    PhoneNumber,
    SchemaField,
    SyncRun,
)
from smsportal.accounts.serializers import AccountField, UnitField
from smsportal.api.bodies import StrictSerializer
from smsportal.mirror.plan import Plan
from smsportal.providers.base import RemoteField

TEXTS: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}


class Texts(serializers.DictField):
    """Texts by name, as in {"First_Name": "Ada"}; numbers are taken as they are written, nothing else is guessed."""

    child = serializers.CharField(allow_blank=True, trim_whitespace=False)


# --- lists -----------------------------------------------------------------------------------------------------------
class SchemaFieldSerializer(StrictSerializer):
    """A field of a list beyond the default four."""

    type = serializers.ChoiceField(choices=FieldType.choices, default=FieldType.TEXT)
    name = serializers.CharField(max_length=60, validators=SchemaField._meta.get_field("name").validators[:1])
    display_name = serializers.CharField(max_length=100)
    required = serializers.BooleanField(default=False)  # type: ignore[assignment]
    unique = serializers.BooleanField(default=False)

    def to_internal_value(self, data: Any) -> RemoteField:
        return RemoteField(**super().to_internal_value(data))


class ContactListSerializer(serializers.ModelSerializer[ContactList]):
    """A list with its whole schema and the number of its contacts."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    unit = UnitField(read_only=True)
    account = AccountField(read_only=True)
    tags = serializers.SlugRelatedField[Any](slug_field="name", many=True, read_only=True)
    meta = serializers.DictField(read_only=True)
    fields = SchemaFieldSerializer(source="schema", many=True, read_only=True)  # type: ignore[assignment]
    contact_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = ContactList
        fields = [
            "id",
            "name",
            "unit",
            "tags",
            "meta",
            "fields",
            "account",
            "remote_id",
            "sync_state",
            "sync_error",
            "synced_at",
            "contact_count",
            "version",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class ContactListChangeSerializer(StrictSerializer):
    """What may be changed of a list. `fields` are its own fields, all of them, without the default four."""

    name = serializers.CharField(max_length=200, required=False)
    tags = serializers.ListField(child=serializers.CharField(max_length=50), max_length=50, required=False)
    meta = serializers.DictField(required=False)
    fields = SchemaFieldSerializer(many=True, required=False)  # type: ignore[assignment]


class ContactListBodySerializer(ContactListChangeSerializer):
    """A new list. Without `account` it belongs to the first account that mirrors lists."""

    name = serializers.CharField(max_length=200)
    account = AccountField(required=False)
    unit = UnitField(required=False)


# --- contacts --------------------------------------------------------------------------------------------------------
class ContactSerializer(serializers.ModelSerializer[Contact]):
    """A contact with every filled field by its name."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    fields = serializers.SerializerMethodField(method_name="get_filled")  # type: ignore[assignment]
    phone_number = serializers.CharField(source="number.e164", read_only=True)
    opted_out = serializers.BooleanField(source="number.opted_out", read_only=True)

    class Meta:
        model = Contact
        fields = [
            "id",
            "fields",
            "phone_number",
            "opted_out",
            "active",
            "sync_state",
            "sync_error",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields

    @extend_schema_field(TEXTS)
    def get_filled(self, contact: Contact) -> Mapping[str, str]:
        return contact.fields()


class ContactBodySerializer(StrictSerializer):
    """A contact as it should be; `Phone_Number` decides whether it is new."""

    fields = Texts()  # type: ignore[assignment]


class ContactsBodySerializer(StrictSerializer):
    """Up to 1,000 contacts."""

    contacts = serializers.ListField(child=ContactBodySerializer(), min_length=1, max_length=1000)


class RejectedSerializer(serializers.Serializer[Any]):
    """A contact that was not taken: its place in the request, and what is wrong with each field."""

    index = serializers.IntegerField()
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField())
    )


class SavedSerializer(serializers.Serializer[Any]):
    """What became of the contacts given."""

    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    rejected = RejectedSerializer(many=True)


# --- imports ---------------------------------------------------------------------------------------------------------
class ImportSerializer(serializers.ModelSerializer[Import]):
    """An upload and what applying it would do, or did."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    contact_list = serializers.UUIDField(source="contact_list.uuid", read_only=True)
    columns = serializers.ListField(child=serializers.CharField(), read_only=True)
    mapping = serializers.DictField(child=serializers.CharField(), read_only=True)
    errors_by_code = serializers.DictField(child=serializers.IntegerField(), read_only=True)

    class Meta:
        model = Import
        fields = [
            "id",
            "contact_list",
            "state",
            "file_name",
            "columns",
            "mapping",
            "rows",
            "new",
            "changed",
            "same",
            "refused",
            "duplicates",
            "errors_by_code",
            "problem",
            "created_at",
            "applied_at",
        ]
        read_only_fields = fields


@extend_schema_field({"type": "string", "description": 'JSON, as in {"Mobile": "Phone_Number"}.'})
class MappingField(serializers.CharField):
    """A column → field mapping, written as JSON in one part of a multipart body."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            mapping = json.loads(super().to_internal_value(data))
        except (ValueError, RecursionError):
            raise serializers.ValidationError('JSON, as in {"Mobile": "Phone_Number"}.') from None
        return Texts().run_validation(mapping)


class UploadSerializer(StrictSerializer):
    """A CSV or XLSX file with a header row."""

    file = serializers.FileField(allow_empty_file=True, max_length=255)
    mapping = MappingField(required=False)


class MappingSerializer(StrictSerializer):
    """Which column fills which field."""

    mapping = Texts()


class CellErrorSerializer(serializers.Serializer[Any]):
    """What is wrong with one cell."""

    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()
    value = serializers.CharField(allow_blank=True)


class ImportRowSerializer(serializers.ModelSerializer[ImportRow]):
    """One row of the file."""

    fields = serializers.DictField(child=serializers.CharField(), read_only=True)  # type: ignore[assignment]
    errors = CellErrorSerializer(many=True, read_only=True)  # type: ignore[assignment]
    before = serializers.DictField(child=serializers.CharField(), read_only=True, allow_null=True)

    class Meta:
        model = ImportRow
        fields = ["number", "state", "fields", "errors", "before"]
        read_only_fields = fields


class RowBodySerializer(StrictSerializer):
    """The corrected fields of one row."""

    fields = Texts()  # type: ignore[assignment]


class AcceptSerializer(StrictSerializer):
    """`good` takes the good rows and leaves the others, `all_or_nothing` refuses while there is a bad one."""

    accept = serializers.ChoiceField(choices=[("good", "good"), ("all_or_nothing", "all_or_nothing")])


# --- sync ------------------------------------------------------------------------------------------------------------
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
    create = serializers.BooleanField()
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


# --- consent ---------------------------------------------------------------------------------------------------------
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
