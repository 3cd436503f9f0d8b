"""Texts by name: what the fields of a contact, of a row and of a mapping are."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

TEXTS: Final[dict[str, Any]] = {"type": "object", "additionalProperties": {"type": "string"}}


class Texts(serializers.DictField):
    """Texts by name, as in {"First_Name": "Ada"}; numbers are taken as they are written, nothing else is guessed."""

    child = serializers.CharField(allow_blank=True, trim_whitespace=False)
