"""Reads records whose names, types and times are not certain: what is not there or not believable is blank."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from smsportal.text import clean

Item = dict[str, Any]  # with folded names: customer_message_id → customermessageid
LONGEST_VALUE: Final = 120  # of a name, an id or a number
LONGEST_NAME: Final = 64  # of those remembered: a stranger's names may be of any length


def fold_names(record: Mapping[str, Any]) -> Item:
    """`record` with names in one spelling: customer_message_id, customerMessageId → customermessageid."""
    return {
        (_remembered(text) if len(text := str(name)) <= LONGEST_NAME else _fold(text)): value
        for name, value in record.items()
    }


def _fold(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


_remembered = lru_cache(maxsize=1024)(_fold)


def first(record: Mapping[str, Any], names: Sequence[str], limit: int = LONGEST_VALUE) -> str:
    """The first of `names` that holds a text or a number, as text."""
    for name in names:
        value = record.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.strip():
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
