"""Quiet hours: when a text that may not be sent now may be sent. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from smsportal.problems import Wrong

_WINDOW: Final = re.compile(r"\s*([01]\d|2[0-3]):([0-5]\d)\s*[-–]\s*([01]\d|2[0-3]):([0-5]\d)\s*\Z")


@lru_cache(maxsize=32)
def window(quiet: str) -> tuple[time, time] | None:
    """`"21:00-08:00"` as the time the quiet begins and the time it ends; "" is None: never quiet. Raises Wrong."""
    if not quiet.strip():
        return None
    found = _WINDOW.match(quiet)
    if found is None or found.group(1, 2) == found.group(3, 4):
        raise Wrong(f"Quiet hours “{quiet}” are not understood; write them like 21:00-08:00, or nothing for none.")
    return time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Wrong(f"“{name}” is not a time zone; write one like America/New_York at the unit.") from None


def opens_at(now: datetime, *, zone: str, quiet: str) -> datetime | None:
    """None when `now` is outside the quiet hours of `zone`, else the moment they end, in UTC.

    The wall clock of the zone decides, so days on which it is set forward or back are right: the moment given is
    never inside the window. Raises Wrong for a window or a zone that is not understood.
    """
    hours = window(quiet)
    if hours is None:
        return None
    begins, ends = hours
    local = now.astimezone(_zone(zone))
    if not _inside(local.time(), begins, ends):
        return None
    day = local.date() if local.time() < ends else local.date() + timedelta(days=1)
    end = datetime.combine(day, ends, tzinfo=local.tzinfo)
    # An end the clock skips (02:30 on the day it springs forward) is read with the offset before: half an hour late
    # rather than early. One that comes twice is its first, unless that has passed.
    return (end if end.timestamp() > now.timestamp() else end.replace(fold=1)).astimezone(UTC)


def _inside(at: time, begins: time, ends: time) -> bool:
    return begins <= at < ends if begins < ends else at >= begins or at < ends
