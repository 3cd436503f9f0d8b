"""Quiet hours: the wall clock of a zone decides, also on the days it is changed."""

from datetime import UTC, datetime, timedelta

import pytest

from messaging.hours import opens_at, window
from smsportal.problems import Wrong

NIGHT = "21:00-08:00"


def at(text):
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("now", "zone", "quiet", "opens"),
    [
        ("2026-06-01T12:00-04:00", "America/New_York", NIGHT, None),
        ("2026-06-01T20:59:59-04:00", "America/New_York", NIGHT, None),
        ("2026-06-01T21:00-04:00", "America/New_York", NIGHT, "2026-06-02T08:00-04:00"),
        ("2026-06-02T00:00-04:00", "America/New_York", NIGHT, "2026-06-02T08:00-04:00"),
        ("2026-06-02T07:59:59-04:00", "America/New_York", NIGHT, "2026-06-02T08:00-04:00"),
        ("2026-06-02T08:00-04:00", "America/New_York", NIGHT, None),
        ("2026-06-02T03:30+00:00", "America/Los_Angeles", NIGHT, None),  # 20:30 there
        ("2026-06-02T14:30+00:00", "Pacific/Honolulu", NIGHT, "2026-06-02T08:00-10:00"),
        ("2026-06-01T12:30-04:00", "America/New_York", "12:00-13:00", "2026-06-01T13:00-04:00"),
        ("2026-06-01T13:00-04:00", "America/New_York", "12:00-13:00", None),
        ("2026-06-01T23:00-04:00", "America/New_York", "", None),
        ("2026-03-07T22:00-05:00", "America/New_York", NIGHT, "2026-03-08T08:00-04:00"),  # springs forward
        ("2026-10-31T22:00-04:00", "America/New_York", NIGHT, "2026-11-01T08:00-05:00"),  # falls back
        ("2026-03-08T01:30-05:00", "America/New_York", "21:00-02:30", "2026-03-08T03:00-04:00"),  # no 02:30 that day
        ("2026-11-01T00:30-04:00", "America/New_York", "21:00-01:30", "2026-11-01T01:30-04:00"),  # the first of two
        ("2026-11-01T01:10-05:00", "America/New_York", "21:00-01:30", "2026-11-01T01:30-05:00"),  # the second
    ],
)
def test_quiet_hours_end_by_the_wall_clock(now, zone, quiet, opens):
    found = opens_at(at(now), zones=zone, quiet=quiet, holidays=())
    assert found == (at(opens) if opens else None)


@pytest.mark.parametrize("zone", ["America/New_York", "America/Phoenix", "Australia/Lord_Howe", "Pacific/Apia"])
@pytest.mark.parametrize("quiet", [NIGHT, "01:15-02:30", "23:30-01:30", "00:00-02:15", "02:10-02:40"])
def test_what_is_held_opens_later_and_outside_the_window(zone, quiet):
    changes = ["2026-03-07", "2026-10-31", "2026-04-04", "2026-10-03", "2011-12-29"]
    for day in changes:
        for quarter in range(3 * 96):
            now = at(f"{day}T00:00+00:00") + timedelta(minutes=15 * quarter)
            opens = opens_at(now, zones=zone, quiet=quiet, holidays=())
            if opens is not None:
                assert now < opens < now + timedelta(hours=36)
                assert opens_at(opens, zones=zone, quiet=quiet, holidays=()) is None


@pytest.mark.parametrize("quiet", ["9pm-8am", "21:00", "21:00-24:00", "21:60-08:00", "08:00-08:00", "21-8", "x"])
def test_a_window_that_is_not_understood_is_refused(quiet):
    with pytest.raises(Wrong, match="write them like 21:00-08:00"):
        window(quiet)


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "EST5EDT4X"])
def test_an_unknown_zone_is_refused(zone):
    with pytest.raises(Wrong, match="time zone"):
        opens_at(datetime.now(UTC), zones=zone, quiet=NIGHT, holidays=())
