"""How imports and their rows look to programs, and their bodies."""

from __future__ import annotations

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from contacts.models import Import, ImportRow
from contacts.serializers.texts import Texts
from smsportal.api.bodies import StrictSerializer


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
    """A CSV file with a header row."""

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
