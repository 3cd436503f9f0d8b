"""Wakes whoever works on a lane, once the change that made the work is committed. A ring may be lost, doubled or late."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from functools import partial

from django.conf import settings
from django.db import transaction

log = logging.getLogger(__name__)
bells: defaultdict[str, threading.Event] = defaultdict(threading.Event)


def ring(lane: str) -> None:
    """Say that `lane` has work, after the current transaction has committed."""
    transaction.on_commit(partial(_ring_now, lane), robust=True)


def _ring_now(lane: str) -> None:
    if settings.DOORBELL == "celery":
        from celery import current_app

        try:
            current_app.send_task("messaging.tasks.drain", args=[lane], retry=False)
        except Exception as gone:  # the sweeper finds the work without the broker
            log.warning("The doorbell for %s did not reach the broker: %s", lane, gone)
    else:
        bells[lane].set()


def wait(lane: str, seconds: float) -> None:
    """Sleep until `lane` is rung or `seconds` have passed."""
    if bells[lane].wait(seconds):
        bells[lane].clear()
