"""Quiet hours and holidays: when a text that may not leave now may leave, wherever its recipient may be. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from smsportal.problems import Wrong

_WINDOW: Final = re.compile(r"\s*([01]\d|2[0-3]):([0-5]\d)\s*[-–]\s*([01]\d|2[0-3]):([0-5]\d)\s*\Z")
LONGEST: Final = timedelta(days=60)  # a text that could not leave for so long is a mistake somebody must see

Window = tuple[time, time] | None


@lru_cache(maxsize=32)
def window(quiet: str) -> Window:
    """`"21:00-08:00"` as the time the quiet begins and the time it ends; "" is None: never quiet. Raises Wrong."""
    if not quiet.strip():
        return None
    found = _WINDOW.match(quiet)
    if found is None or found.group(1, 2) == found.group(3, 4):
        raise Wrong(f"Quiet hours “{quiet}” are not understood; write them like 21:00-08:00, or nothing for none.")
    return time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))


@lru_cache(maxsize=1024)
def _places(zones: str) -> tuple[ZoneInfo, ...]:
    return tuple(_place(name) for name in zones.split("|"))


def _place(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Wrong(f"“{name}” is not a time zone; write one like America/New_York.") from None


def opens_at(now: datetime, *, zones: str, quiet: str, holidays: Collection[date]) -> datetime | None:
    """None when a text may leave at `now`, else the first moment, in UTC, at which it may.

    It may when in EVERY zone of `zones` (names joined by "|") the wall clock is outside `quiet` and the date is none of
    `holidays`: then it may wherever in them the recipient is. Days on which a clock is set forward or back are right to
    the second. Raises Wrong for a window or a zone that is not understood, and when there is no such moment within LONGEST.
    """
    hours = window(quiet)
    if hours is None and not holidays:
        return None
    places = _places(zones)
    moment = now.astimezone(UTC)
    latest = moment + LONGEST
    settled = 0  # how many zones in a row were open at `moment`
    while settled < len(places):
        for place in places:
            opens = _opens_there(moment, place, hours, holidays, latest)
            settled = settled + 1 if opens == moment else 1
            moment = opens
            if moment > latest:
                raise Wrong(
                    f"Within {LONGEST.days} days there is no moment outside quiet hours ({quiet}) and holidays in "
                    f"{zones.replace('|', ', ')} at once; shorten the quiet hours, or give the contacts a Time_Zone."
                )
            if settled == len(places):
                break
    return None if moment == now else moment


def _opens_there(
    moment: datetime, place: ZoneInfo, hours: Window, holidays: Collection[date], latest: datetime
) -> datetime:
    """The first moment from `moment` on that is open in one zone; `moment` itself when it is. All in UTC."""
    while moment <= latest:
        local = moment.astimezone(place)
        day, at = local.date(), local.time()
        if day in holidays:
            ends = datetime.combine(day + timedelta(days=1), time())
        elif hours is not None and _inside(at, *hours):
            ends = datetime.combine(day if at < hours[1] else day + timedelta(days=1), hours[1])
        else:
            break
        # By this offset; where the clock is set before then, what it shows from that moment on decides.
        then = moment + (ends - local.replace(tzinfo=None))
        same = then.astimezone(place).utcoffset() == local.utcoffset()
        moment = then if same else _clock_set(moment, then, place)
    return moment


def _clock_set(before: datetime, after: datetime, place: ZoneInfo) -> datetime:
    """The moment between these two, to the second, at which the clock of `place` is set to another offset."""
    old = before.astimezone(place).utcoffset()
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, place).utcoffset() == old:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def _inside(at: time, begins: time, ends: time) -> bool:
    return begins <= at < ends if begins < ends else at >= begins or at < ends
