"""In which time zones a person may be: by the contact's own field, or by the number, else anywhere in the country. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Final
from zoneinfo import available_timezones

import phonenumbers
from phonenumbers import timezone
from phonenumbers.tzdata import TIMEZONE_DATA

FIELD: Final = "Time_Zone"  # the field of a list that names a contact's own zone
LONGEST: Final = 500  # characters; the size of Chunk.zones
# Where somebody may be of whom nothing is known.
MAINLAND: Final = ("America/Chicago", "America/Denver", "America/Los_Angeles", "America/New_York")

# What people in the US write and mean a place by. Not ET, CT, MT or PT: two letters may as well be a state or a country.
_EVERYDAY: Final = {
    "est edt eastern": "America/New_York",
    "cst cdt central": "America/Chicago",
    "mst mountain": "America/Denver|America/Phoenix",  # in Arizona the clocks are never set
    "mdt": "America/Denver",
    "pst pdt pacific": "America/Los_Angeles",
    "akst akdt alaska": "America/Anchorage",
    "hst hawaii": "Pacific/Honolulu",
}
_AMERICAN: Final = 7  # digits of a North American number, the 1 included, that can decide its zones


def zones_of(e164: str, named: str, unit_zone: str) -> str:
    """The zones the owner of `e164` may be in, sorted and joined by "|"; a text must suit all of them.

    `named` is the contact's own zone and wins when it is one, like America/Chicago or Eastern. Blank: they are all the
    zones of the number. Of a number that tells none, or only a continent (toll-free ones), they are the unit's own and the
    four of the US mainland: strict, so that nobody there is texted at night. So they are, besides those of the number,
    when `named` is no zone: it says that the person is elsewhere, but not where.
    """
    # Numbers that begin alike are in the same zones: few of many thousands are looked up.
    return _zones(e164[: _AMERICAN + 1] if e164.startswith("+1") else e164, named, unit_zone)


@lru_cache(maxsize=65_536)
def _zones(beginning: str, named: str, unit_zone: str) -> str:
    own = zone_named(named)
    if own:
        return own
    found = _of_american(beginning[1:]) if beginning.startswith("+1") else _of_foreign(beginning)
    anywhere, unread = (unit_zone, *MAINLAND), is_unread(named)
    joined = join([*found, *anywhere] if unread else found)
    is_known = found and len(joined) <= LONGEST and timezone.UNKNOWN_TIMEZONE not in found
    return joined if is_known else join(anywhere)


def join(names: Iterable[str]) -> str:
    """Names of zones as a chunk keeps them: each once, sorted."""
    return "|".join(sorted(set(names)))


def zone_named(text: str) -> str:
    """The zone a person or a file means by `text`, in its right spelling, or "" when it is none.

    Names of places, UTC, and what people call the zones of the US, which may be two joined by "|". `EST` is their summer
    time, too: there is a zone of that name without one, and who writes it does not mean that.
    """
    return _by_name().get(text.strip().replace(" ", "_").casefold(), "") if text else ""


def is_unread(text: str) -> bool:
    """Whether something stands in `text` that is no zone."""
    return bool(text) and not text.isspace() and not zone_named(text)


@cache
def _by_name() -> dict[str, str]:
    places = (name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))
    everyday = {word: zones for words, zones in _EVERYDAY.items() for word in words.split()}
    return {name.casefold(): name for name in (*places, "UTC")} | everyday


def _of_american(digits: str) -> tuple[str, ...]:
    """The entry with the most digits in common, as the library finds it, but without parsing the number."""
    for end in range(len(digits), 0, -1):
        found = TIMEZONE_DATA.get(digits[:end])
        if found is not None:
            return tuple(found)
    return ()


def _of_foreign(e164: str) -> tuple[str, ...]:
    """Mobile numbers of other countries tell no more than the country; only the library knows which are."""
    try:
        return tuple(timezone.time_zones_for_number(phonenumbers.parse(e164)))
    except phonenumbers.NumberParseException:
        return ()
