"""When the texts of one batch may leave, by the time zones of their people."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from messaging import hours
from messaging.models import Batch
from messaging.models.calendar import holidays_of
from smsportal import clock


def is_overdue(batch: Batch) -> bool:
    """Whether its time passed so long ago that a person must say if it is still to be sent."""
    latest = timedelta(minutes=settings.OVERDUE_MINUTES)
    return batch.send_at is not None and clock.now() - batch.send_at > latest


class Opening:
    """Asked with a person's zones: None when the text may leave as soon as its batch is sent, else the moment it may.

    `at`: the moment it is sent; from now on, as soon as its time has come. Each zones are worked out once. Raises Wrong when asked where quiet hours or holidays never let a text out.
    """

    def __init__(self, batch: Batch, at: datetime | None = None) -> None:
        self.moment = at or max(clock.now(), batch.send_at or clock.now())
        self.quiet: str = settings.QUIET_HOURS
        self.holidays = holidays_of(batch.unit_id)
        self._known: dict[str, datetime | None] = {}

    def __call__(self, zones: str) -> datetime | None:
        try:
            return self._known[zones]
        except KeyError:
            opens = hours.opens_at(self.moment, zones=zones, quiet=self.quiet, holidays=self.holidays)
            return self._known.setdefault(zones, opens)
