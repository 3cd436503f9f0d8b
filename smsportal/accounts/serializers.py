"""How provider accounts, tokens and units look to programs, and how a body names them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db.models import Q
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from smsportal.accounts.models import ApiToken, ProviderAccount, Unit, User
from smsportal.problems import Wrong


class ProviderAccountSerializer(serializers.ModelSerializer[ProviderAccount]):
    """An account without its secrets, its options and its address at the provider."""

    id = serializers.UUIDField(source="uuid", read_only=True)

    class Meta:
        model = ProviderAccount
        fields = [
            "id",
            "slug",
            "provider",
            "name",
            "operator",
            "is_sandbox",
            "is_active",
            "paused_until",
            "circuit_open",
            "circuit_reason",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class CheckedSerializer(serializers.Serializer[Any]):
    """What a provider said when it was asked whether an account works."""

    ok = serializers.BooleanField()
    detail = serializers.CharField()


class ApiTokenSerializer(serializers.ModelSerializer[ApiToken]):
    """A token without anything it could be used or found with."""

    id = serializers.UUIDField(source="uuid", read_only=True)
    user = serializers.CharField(source="user.username", read_only=True)
    begins_with = serializers.CharField(source="token_key", read_only=True)
    scopes = serializers.ListField(child=serializers.CharField(), read_only=True)
    created_at = serializers.DateTimeField(source="created", read_only=True)
    expires_at = serializers.DateTimeField(source="expiry", read_only=True, allow_null=True)

    class Meta:
        model = ApiToken
        fields = ["id", "name", "user", "begins_with", "scopes", "created_at", "expires_at", "last_used_at"]
        read_only_fields = fields


@extend_schema_field({"type": "string"})
class AccountField(serializers.SlugRelatedField[ProviderAccount]):
    """A provider account by its slug."""

    def __init__(self, **more: Any) -> None:
        if not more.get("read_only"):
            more.setdefault("queryset", ProviderAccount.objects.filter(is_active=True))
        super().__init__(slug_field="slug", **more)


@extend_schema_field({"type": "string"})
class UnitField(serializers.Field[Unit, str, str, Any]):
    """A unit by its id or name, among those the caller may see; shown by its name."""

    def to_internal_value(self, data: object) -> Unit:
        if not isinstance(data, str):
            raise serializers.ValidationError("The id or the name of a unit.")
        named = Q(name=data)
        with suppress(ValueError):
            named |= Q(uuid=UUID(data))
        user = self.context["request"].user
        units = Unit.objects.all() if user.has_perm("accounts.see_all_units") else user.units.all()
        if (unit := units.filter(named).first()) is None:
            raise serializers.ValidationError("You belong to no such unit.")
        return unit

    def to_representation(self, value: Unit) -> str:
        return value.name


def owner(user: User, unit: Unit | None) -> Unit:
    """The unit that will own what `user` makes. Raises Wrong when none is named and the person belongs to none."""
    if found := unit or user.home():
        return found
    raise Wrong("You belong to no unit; ask an administrator to add you to one, or name one.")
