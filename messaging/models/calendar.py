"""Days on which nothing is sent: those staff enter, and the public holidays of the countries named in HOLIDAYS."""

from __future__ import annotations

import time
from datetime import date
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q

from smsportal import clock
from smsportal.accounts.models import OwnedQuerySet, Unit, User
from smsportal.problems import Wrong
from smsportal.rows import Row


class HolidayQuerySet(OwnedQuerySet):
    """Days of units, and those of all units."""

    def visible_to(self, user: User | AnonymousUser) -> OwnedQuerySet:
        """The days of the units of `user`, and those of all units."""
        mine: OwnedQuerySet = super().visible_to(user) | self.filter(unit=None)
        return mine


class Holiday(Row):
    """A day on which nothing leaves, in each recipient's own zone: for one unit, or for everybody."""

    unit = models.ForeignKey(
        Unit,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="holidays",
        help_text="Blank: for all units.",
    )
    day = models.DateField(db_index=True)
    name = models.CharField(max_length=120)

    objects = HolidayQuerySet.as_manager()

    class Meta:
        ordering = ["day"]
        constraints = [
            models.UniqueConstraint(fields=["unit", "day"], name="one_holiday_per_day_and_unit"),
            models.UniqueConstraint(
                fields=["day"],
                condition=Q(unit=None),
                name="one_holiday_per_day_for_all",
                violation_error_message="There is a holiday of all units on this day already.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d} {self.name}"


_KEPT_S: Final = 60.0
_kept: dict[int, tuple[float, frozenset[date]]] = {}  # unit id → until when on this process's clock, the days


def holidays_of(unit_id: int) -> frozenset[date]:
    """The days on which nothing of this unit leaves: last year's, this year's and the next. Known anew every minute.

    Raises Wrong when HOLIDAYS names a place the library does not know.
    """
    until, days = _kept.get(unit_id, (0.0, frozenset()))
    if until <= time.monotonic():
        year = clock.now().year
        rows = Holiday.objects.filter(Q(unit=None) | Q(unit=unit_id), day__year__range=(year - 1, year + 1))
        days = frozenset(rows.values_list("day", flat=True)).union(
            public_holidays(tuple(settings.HOLIDAYS), (year - 1, year, year + 1))
        )
        _kept[unit_id] = time.monotonic() + _KEPT_S, days
    return days


def forget_holidays() -> None:
    """Let this process read the days again at once; the others do within a minute."""
    _kept.clear()


@lru_cache(maxsize=16)
def public_holidays(places: tuple[str, ...], years: tuple[int, ...]) -> dict[date, str]:
    """The public holidays, days off in lieu included, of places like US or US-IL: day → name. Raises Wrong."""
    found: dict[date, str] = {}
    for place in places:
        found |= _of_place(place.strip(), years)
    return found


def _of_place(place: str, years: tuple[int, ...]) -> dict[date, str]:
    from holidays import country_holidays  # a tenth of a second that most installations never need

    country, _, part = place.upper().partition("-")
    try:
        return dict(country_holidays(country, subdiv=part or None, years=years))
    except NotImplementedError:
        raise Wrong(f"HOLIDAYS names “{place}”; write a country or one of its states, like US or US-IL.") from None
