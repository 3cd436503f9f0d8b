"""In which time zones a number is: the contact's own, all of the number's, or anywhere in the country."""

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from phonenumbers import timezone
from phonenumbers.tzdata import TIMEZONE_DATA

from messaging import zones
from messaging.hours import opens_at
from messaging.zones import MAINLAND, zone_named, zones_of

HOME = "America/Detroit"
ANYWHERE = "America/Chicago|America/Denver|America/Detroit|America/Los_Angeles|America/New_York"


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("+12125550100", "America/New_York"),
        ("+14155550100", "America/Los_Angeles"),
        ("+18085550100", "Pacific/Honolulu"),
        ("+17875550100", "America/Puerto_Rico"),
        ("+16055550100", "America/Denver|America/North_Dakota/Center"),  # South Dakota lies in two
        ("+12083000000", "America/Boise|America/Los_Angeles"),
        ("+12083040000", "America/Los_Angeles"),  # so does Idaho, but here the exchange tells
        ("+18505550100", "America/New_York"),  # Tallahassee
        ("+18504380100", "America/Chicago"),  # Pensacola, with the same area code
        ("+16715550100", "Pacific/Guam"),
        ("+17095550100", "America/Halifax|America/St_Johns"),
        ("+4915112345678", "Europe/Berlin"),
        ("+919876543210", "Asia/Calcutta"),
        ("+9779841234567", "Asia/Katmandu"),
    ],
)
def test_a_number_is_in_all_its_zones(number, found):
    assert zones_of(number, "", HOME) == found


@pytest.mark.parametrize(
    "number",
    ["+18005550100", "+18885550100", "+19005550100", "+15005550100", "+1", "+883510000000", "+870773111632", "", "x"],
)
def test_who_may_be_anywhere_is_texted_when_it_is_day_everywhere(number):
    assert zones_of(number, "", HOME) == ANYWHERE


def test_a_mobile_number_of_a_wide_country_is_in_all_its_zones():
    assert zones_of("+61412345678", "", HOME).split("|") == [
        "Australia/Adelaide", "Australia/Brisbane", "Australia/Eucla", "Australia/Lord_Howe", "Australia/Perth",
        "Australia/Sydney", "Indian/Christmas", "Indian/Cocos",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("America/Chicago", "America/Chicago"),
        (" america/los angeles ", "America/Los_Angeles"),
        ("US/Eastern", "US/Eastern"),
        ("utc", "UTC"),
        ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
    ],
)
def test_the_contacts_own_zone_wins(named, found):
    assert zones_of("+12125550100", named, HOME) == found
    assert zones_of("+18005550100", named, HOME) == found


@pytest.mark.parametrize("named", ["", " ", "\t"])
def test_where_nothing_is_named_the_number_decides(named):
    assert (zone_named(named), zones.is_unread(named)) == ("", False)
    assert zones_of("+12125550100", named, HOME) == "America/New_York"


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("EST", "America/New_York"),
        ("edt", "America/New_York"),
        (" Eastern ", "America/New_York"),
        ("Central", "America/Chicago"),
        ("CDT", "America/Chicago"),
        ("MST", "America/Denver|America/Phoenix"),
        ("mountain", "America/Denver|America/Phoenix"),
        ("MDT", "America/Denver"),
        ("PACIFIC", "America/Los_Angeles"),
        ("AKST", "America/Anchorage"),
        ("Alaska", "America/Anchorage"),
        ("HST", "Pacific/Honolulu"),
    ],
)
def test_what_people_call_the_zones_of_the_us_is_understood(named, found):
    assert zones_of("+4915112345678", named, HOME) == found
    assert not zones.is_unread(named)
    for name in found.split("|"):
        ZoneInfo(name)


@pytest.mark.parametrize(
    "named", ["EST5EDT", "New York", "Etc/GMT+5", "Mars/Base", "../etc", "-5", "garbage", "CT", "PT", "?"]
)
def test_who_is_in_a_zone_nobody_can_read_is_texted_when_it_is_day_everywhere(named):
    assert (zone_named(named), zones.is_unread(named)) == ("", True)
    assert zones_of("+12125550100", named, HOME) == ANYWHERE
    assert zones_of("+18005550100", named, HOME) == ANYWHERE
    assert zones_of("+18085550100", named, HOME) == f"{ANYWHERE}|Pacific/Honolulu"  # where the number is, too
    assert zones_of("+883510000000", named, HOME) == ANYWHERE


def test_every_north_american_prefix_is_as_the_library_has_it():
    """By its own search, on a number of full length; only the whole continent is taken for unknown."""
    for prefix in (each for each in TIMEZONE_DATA if each.startswith("1") and each != "1"):
        number = f"+{prefix}{'2' * (11 - len(prefix))}"
        theirs = timezone.time_zones_for_geographical_number(phonenumbers.parse(number))
        assert zones_of(number, "", HOME) == zones.join(theirs), number


def test_every_zone_there_is_fits_and_has_a_clock():
    for names in TIMEZONE_DATA.values():
        joined = zones.join(names)
        assert len(joined) <= zones.LONGEST or len(names) > 40
        for name in names:
            ZoneInfo(name)
    assert len(zones.join(["America/Argentina/ComodRivadavia", *MAINLAND])) <= zones.LONGEST
    assert zones.join(["b", "a", "b"]) == "a|b"


def test_the_strictest_is_stricter_than_any_of_its_zones():
    for hour in range(24):
        now = datetime(2026, 6, 2, tzinfo=UTC) + timedelta(hours=hour)
        apart = [opens_at(now, zones=name, quiet="21:00-08:00", holidays=()) for name in ANYWHERE.split("|")]
        together = opens_at(now, zones=ANYWHERE, quiet="21:00-08:00", holidays=())
        assert (together is None) == (not any(apart))


def test_it_takes_a_microsecond_for_numbers_like_those_before():
    numbers = [f"+1{area}555{line:04}" for area in (212, 312, 415, 605, 808) for line in range(4000)]
    for number in numbers:
        zones_of(number, "", HOME)
    best = min(_time(numbers) for _ in range(5))
    assert best < 5e-6  # a millionth on a machine that does nothing else


def _time(numbers):
    begun = time.perf_counter()
    for number in numbers:
        zones_of(number, "", HOME)
    return (time.perf_counter() - begun) / len(numbers)
