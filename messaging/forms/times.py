"""Minutes as people write them: a date and a time in a zone that is named, never the server's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import MAXYEAR, MINYEAR, datetime
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from django import forms

LOCAL: Final = "%Y-%m-%dT%H:%M"
USUAL: Final = (
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Anchorage",
    "Pacific/Honolulu",
    "America/Puerto_Rico",
    "UTC",
)
_WRITTEN: Final = (LOCAL, "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M")
_OLD_NAMES: Final = ("Etc", "SystemV", "US", "posix", "right", "Brazil", "Canada", "Chile", "Mexico")


class MinuteField(forms.DateTimeField):
    """A date and a time of the clock on the wall, without a zone; the form asks for the zone beside it."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=LOCAL)
    default_error_messages = {"invalid": "Write a date and a time, such as 2026-09-01T09:05."}

    def __init__(self, **more: Any) -> None:
        super().__init__(input_formats=_WRITTEN, **more)

    def to_python(self, value: Any) -> datetime | None:
        found = forms.Field.to_python(self, value)
        for each in _WRITTEN if found else ():
            try:
                return datetime.strptime(str(found).strip(), each)  # noqa: DTZ007 — the zone is another field
            except ValueError:
                continue
        if found:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return None

    def prepare_value(self, value: Any) -> Any:
        return value  # as it stands: no zone of the server's


def zone_choices(first: Iterable[str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The zones to choose from: those of one's units and the usual ones, then all others."""
    near = list(dict.fromkeys([*first, *USUAL]))
    return [("Usual", [(name, _shown(name)) for name in near]), ("All others", [
        (name, shown) for name, shown in _everywhere() if name not in near
    ])]  # fmt: skip


@cache
def _everywhere() -> list[tuple[str, str]]:
    names = (name for name in available_timezones() if "/" in name and name.split("/")[0] not in _OLD_NAMES)
    return [(name, _shown(name)) for name in sorted(names)]


def _shown(name: str) -> str:
    return name.replace("_", " ")


def writable(moments: Iterable[datetime], zone: str) -> str:
    """The zone in which all `moments` can be written: `zone`, or UTC where one of its minutes comes twice."""
    here = ZoneInfo(zone)
    walls = [each.astimezone(here) for each in moments]
    twice = any(each.replace(fold=0).utcoffset() != each.replace(fold=1).utcoffset() for each in walls)
    return "UTC" if twice else zone


def moment(wall: datetime, zone: str) -> datetime:
    """`wall` as a moment. Raises ValidationError for a minute that the change of the clocks leaves out or brings twice."""
    here = ZoneInfo(zone)
    if not MINYEAR + 1 < wall.year < MAXYEAR:  # elsewhere on earth it may be another year, which has no date
        raise forms.ValidationError(f"There is no year {wall.year} to send in. Choose another time.")
    first, second = wall.replace(tzinfo=here), wall.replace(tzinfo=here, fold=1)
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(ZoneInfo("UTC")).astimezone(here).replace(tzinfo=None) != wall:
        sentence = (
            f"There is no {wall:%H:%M} on that day in {_shown(zone)}: the clocks are put forward. Choose another time."
        )
    else:
        sentence = f"{wall:%H:%M} comes twice on that day in {_shown(zone)}: the clocks are put back. Choose another time, or UTC."
    raise forms.ValidationError(sentence)
