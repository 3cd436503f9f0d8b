"""What time it is: the one place domain code asks, so that tests can turn the clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone


def now() -> datetime:
    """The current moment, aware, in UTC."""
    return timezone.now()


def after(seconds: float) -> datetime:
    """The moment `seconds` from now (negative: before now)."""
    return now() + timedelta(seconds=seconds)
