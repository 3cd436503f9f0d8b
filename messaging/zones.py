"""In which time zones a person may be: by the contact's own field, else by the number, else anywhere in the country. Pure."""

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

_AMERICAN: Final = 7  # digits of a North American number, the 1 included, that can decide its zones


def zones_of(e164: str, named: str, unit_zone: str) -> str:
    """The zones the owner of `e164` may be in, sorted and joined by "|"; a text must suit all of them.

    `named` is the contact's own zone ("" if none) and wins when it is the name of one, like America/Chicago. Else they
    are all the zones of the number. Of a number that tells none, or only a continent (toll-free ones), they are the unit's
    own and the four of the US mainland: strict, so that nobody there is texted at night.
    """
    # Numbers that begin alike are in the same zones: few of many thousands are looked up.
    return _zones(e164[: _AMERICAN + 1] if e164.startswith("+1") else e164, named, unit_zone)


@lru_cache(maxsize=65_536)
def _zones(beginning: str, named: str, unit_zone: str) -> str:
    own = zone_named(named)
    if own:
        return own
    found = join(_of_american(beginning[1:]) if beginning.startswith("+1") else _of_foreign(beginning))
    unknown = not found or len(found) > LONGEST or timezone.UNKNOWN_TIMEZONE in found
    return join([unit_zone, *MAINLAND]) if unknown else found


def join(names: Iterable[str]) -> str:
    """Names of zones as a chunk keeps them: each once, sorted."""
    return "|".join(sorted(set(names)))


def zone_named(text: str) -> str:
    """The zone a person or a file means by `text`, in its right spelling, or "" when it is none.

    Only names of places, and UTC: `EST` is a zone without summer time, and who writes it does not mean that.
    """
    return _by_name().get(text.strip().replace(" ", "_").casefold(), "") if text else ""


@cache
def _by_name() -> dict[str, str]:
    places = (name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))
    return {name.casefold(): name for name in (*places, "UTC")}


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
