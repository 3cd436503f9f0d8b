"""Reads records whose names, types and times are not certain: what is not there or not believable is blank."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from smsportal.text import clean

Item = dict[str, Any]  # with folded names: customer_message_id → customermessageid


def fold_names(record: Mapping[str, Any]) -> Item:
    """`record` with names in one spelling: customer_message_id, customerMessageId → customermessageid."""
    return {re.sub(r"[\W_]", "", str(name)).lower(): value for name, value in record.items()}


def first(record: Mapping[str, Any], names: Sequence[str], limit: int = 120) -> str:
    """The first of `names` that holds a text or a number, as text."""
    for name in names:
        value = record.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return clean(value, limit).strip()
    return ""


def moment(item: Mapping[str, Any]) -> datetime | None:
    """The event's own time, when it has a believable one; without an offset it counts as UTC."""
    try:
        at = datetime.fromisoformat(first(item, ("datetime", "timestamp")))
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if 2000 <= at.year < 2100 else None
