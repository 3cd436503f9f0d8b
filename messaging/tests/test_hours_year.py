"""Quiet hours hour by hour over a leap year, in every zone of the US and many others, against a walk minute by minute.

The walk asks what each zone's clock shows every quarter of an hour and looks for the next open minute in the row of
them; it knows nothing of ends, folds or gaps. Planted mistakes show that it would catch ours.
"""

from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import combinations, pairwise
from zoneinfo import ZoneInfo

import pytest

from messaging import hours
from messaging.zones import MAINLAND, join

YEAR = datetime(2028, 1, 1, tzinfo=UTC)  # a leap year: 8,784 hours
HOURS = 8784
QUARTERS = (HOURS + 60 * 24) * 4  # what is held on the last day opens behind it
US = """America/New_York America/Detroit America/Kentucky/Louisville America/Kentucky/Monticello America/Chicago
    America/Indiana/Indianapolis America/Indiana/Vincennes America/Indiana/Winamac America/Indiana/Marengo
    America/Indiana/Petersburg America/Indiana/Vevay America/Indiana/Tell_City America/Indiana/Knox America/Menominee
    America/North_Dakota/Center America/North_Dakota/New_Salem America/North_Dakota/Beulah America/Denver America/Boise
    America/Phoenix America/Los_Angeles America/Anchorage America/Juneau America/Sitka America/Metlakatla
    America/Yakutat America/Nome America/Adak Pacific/Honolulu America/Puerto_Rico America/St_Thomas Pacific/Guam
    Pacific/Saipan Pacific/Pago_Pago""".split()  # noqa: SIM905 - fifty quoted names read worse
OTHERS = """Europe/London Europe/Berlin America/St_Johns America/Santiago America/Havana Africa/Cairo Africa/Casablanca
    Asia/Kolkata Asia/Kathmandu Asia/Beirut Asia/Tokyo Australia/Adelaide Australia/Eucla Australia/Lord_Howe
    Pacific/Chatham Pacific/Apia Pacific/Kiritimati Pacific/Marquesas UTC""".split()  # noqa: SIM905
NIGHT = "21:00-08:00"
WINDOWS = [NIGHT, "00:00-02:15", "01:15-02:30", "23:30-01:30", "12:00-13:00", "02:10-01:50"]
BREAK = [date(2028, 2, 29), date(2028, 3, 12), date(2028, 11, 5), date(2028, 12, 31), date(2029, 1, 1)]


@cache
def clock_of(zone):
    """What the clock of `zone` shows each quarter of the year, in minutes since the first of January there."""
    place, first = ZoneInfo(zone), YEAR.timestamp()
    offsets = (datetime.fromtimestamp(first + 900 * n, place).utcoffset() for n in range(QUARTERS))
    return [15 * n + int(offset.total_seconds() // 60) for n, offset in enumerate(offsets)]


@cache
def open_minutes(zone, quiet, holidays=()):
    """A byte for each minute of the year, 1 where a text may leave."""
    begins, ends = (int(text[:2]) * 60 + int(text[3:]) for text in quiet.split("-")) if quiet else (0, 0)
    day = bytes(
        not (begins <= minute < ends if begins <= ends else minute >= begins or minute < ends) for minute in range(1440)
    )
    closed = {(each - YEAR.date()).days for each in holidays}
    shown = day * 2
    found = bytearray()
    for minute in clock_of(zone):
        if (minute // 1440 in closed) or ((minute + 14) // 1440 in closed):
            found += bytes(shown[(minute + n) % 1440] and (minute + n) // 1440 not in closed for n in range(15))
        else:
            found += shown[minute % 1440 : minute % 1440 + 15]
    return bytes(found)


def walk(zones, quiet, holidays=()):
    """For each hour of the year, when a text may leave that is ready then, in minutes of the year."""
    rows = [open_minutes(zone, quiet, holidays) for zone in zones]
    together = rows[0]
    for row in rows[1:]:
        together = (int.from_bytes(together, "big") & int.from_bytes(row, "big")).to_bytes(len(row), "big")
    return [together.find(1, 60 * hour) for hour in range(HOURS)]


def ours(zones, quiet, holidays=(), opens_at=hours.opens_at, each=range(HOURS)):
    joined = join(zones)
    for hour in each:
        now = YEAR + timedelta(hours=hour)
        opens = opens_at(now, zones=joined, quiet=quiet, holidays=holidays)
        assert opens is None or now < opens
        yield int(((opens or now) - YEAR).total_seconds()) // 60


def changes(zone):
    """The hours of the year in the days around which the clock of `zone` is set."""
    shown = clock_of(zone)
    days = {n // 96 + by for n, (a, b) in enumerate(pairwise(shown)) if b - a != 15 for by in (-1, 0, 1)}
    return [hour for hour in range(HOURS) if hour // 24 in days]


@pytest.mark.parametrize("zone", [*US, *OTHERS])
def test_every_hour_of_the_night(zone):
    assert list(ours([zone], NIGHT)) == walk([zone], NIGHT)


@pytest.mark.parametrize("quiet", WINDOWS[1:])
def test_every_hour_of_other_windows(quiet):
    """In zones of all kinds, and in all the others around the days on which their clocks are set."""
    whole = {"America/New_York", "Pacific/Honolulu", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago"}
    for zone in [*US, *OTHERS]:
        each = range(HOURS) if zone in whole else changes(zone)
        right = walk([zone], quiet)
        assert list(ours([zone], quiet, each=each)) == [right[hour] for hour in each], zone


@pytest.mark.parametrize("quiet", ["", NIGHT])
def test_every_hour_with_holidays(quiet):
    for zone in ("America/New_York", "America/Santiago", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Chatham"):
        right = walk([zone], quiet, tuple(BREAK))
        assert list(ours([zone], quiet, BREAK)) == right, zone


COMBINATIONS = [
    ("America/Denver", "America/North_Dakota/Center"),
    ("America/Boise", "America/Los_Angeles"),
    ("America/Denver", "America/Phoenix"),
    MAINLAND,
    ("Pacific/Honolulu", *MAINLAND),
    ("America/New_York", "Asia/Kolkata"),
    ("Australia/Lord_Howe", "Pacific/Chatham", "Australia/Eucla"),
]


@pytest.mark.parametrize("zones", COMBINATIONS)
def test_every_hour_where_all_zones_must_be_open(zones):
    assert list(ours(zones, NIGHT)) == walk(zones, NIGHT)
    each = range(0, HOURS, 3)
    right = walk(zones, NIGHT, tuple(BREAK))
    assert list(ours(zones, NIGHT, BREAK, each=each)) == [right[hour] for hour in each]


# --- mistakes it must catch -----------------------------------------------------------------------------------------
def fixed_offset(now, *, zones, quiet, holidays):
    """The offset of January all year."""
    del holidays
    offset = YEAR.astimezone(ZoneInfo(zones)).utcoffset()
    moved = hours.opens_at(now + offset, zones="UTC", quiet=quiet, holidays=())
    return moved and moved - offset


def first_of_two(now, *, zones, quiet, holidays):
    """An hour that comes twice is always its first."""
    del holidays
    begins, ends = hours.window(quiet)
    local = now.astimezone(ZoneInfo(zones))
    if not hours._inside(local.time(), begins, ends):
        return None
    day = local.date() if local.time() < ends else local.date() + timedelta(days=1)
    return datetime.combine(day, ends, tzinfo=local.tzinfo).astimezone(UTC)


def a_minute_early(now, *, zones, quiet, holidays):
    opens = hours.opens_at(now, zones=zones, quiet=quiet, holidays=holidays)
    return opens and opens - timedelta(minutes=1)


def beginning_for_end(now, *, zones, quiet, holidays):
    begins, ends = quiet.split("-")
    return hours.opens_at(now, zones=zones, quiet=f"{ends}-{begins}", holidays=holidays)


def first_zone_only(now, *, zones, quiet, holidays):
    return hours.opens_at(now, zones=zones.split("|")[0], quiet=quiet, holidays=holidays)


def holidays_by_utc(now, *, zones, quiet, holidays):
    free = hours.opens_at(now, zones=zones, quiet=quiet, holidays=())
    there = free or now
    while there.date() in holidays:
        there = datetime.combine(there.date() + timedelta(days=1), time(), tzinfo=UTC)
    return None if there == now else there


@pytest.mark.parametrize(
    ("mistake", "zones", "quiet", "holidays"),
    [
        (fixed_offset, ["America/New_York"], NIGHT, ()),
        (first_of_two, ["America/New_York"], "21:00-01:30", ()),
        (a_minute_early, ["America/Phoenix"], NIGHT, ()),
        (beginning_for_end, ["America/Chicago"], NIGHT, ()),
        (first_zone_only, MAINLAND, NIGHT, ()),
        (holidays_by_utc, ["America/New_York"], NIGHT, BREAK),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_mistake_would_be_seen(mistake, zones, quiet, holidays):
    right = walk(zones, quiet, tuple(holidays))
    try:
        wrong = list(ours(zones, quiet, holidays, opens_at=mistake))
    except AssertionError:
        return  # what it gave was in the past
    assert wrong != right


# --- single points --------------------------------------------------------------------------------------------------
def test_no_moment_given_is_ever_closed_to_the_second():
    for first, second in combinations(("America/New_York", "Pacific/Chatham", "Asia/Kathmandu"), 2):
        for step in range(400):
            now = YEAR + timedelta(seconds=step * 78_901.7)
            opens = hours.opens_at(now, zones=join([first, second]), quiet="22:00-07:00", holidays=BREAK)
            then = opens or now
            for zone in (first, second):
                local = then.astimezone(ZoneInfo(zone))
                assert local.date() not in BREAK
                assert time(7) <= local.time() < time(22)
            if opens:
                just_before = opens - timedelta(seconds=1)
                assert just_before <= now or hours.opens_at(
                    just_before, zones=join([first, second]), quiet="22:00-07:00", holidays=BREAK
                )


def test_the_calendar_of_the_walk_is_a_leap_years():
    assert bisect_right(clock_of("UTC"), 59 * 1440) == 59 * 96 + 1  # the 29th of February is a day of its own
    assert YEAR + timedelta(hours=HOURS) == datetime(2029, 1, 1, tzinfo=UTC)
