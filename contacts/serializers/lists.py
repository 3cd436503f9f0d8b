"""How lists and contacts look to programs, and their bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from contacts.models import Contact, ContactList, FieldType, SchemaField
from contacts.serializers.texts import TEXTS, Texts
from smsportal.accounts.serializers import AccountField, UnitField
from smsportal.api.bodies import StrictSerializer
from smsportal.providers.base import RemoteField


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
