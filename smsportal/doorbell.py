"""Wakes whoever works on a lane, once the change that made the work is committed. A ring may be lost, doubled or late."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction

if TYPE_CHECKING:
    from celery import Celery

TASK: Final = "smsportal.drain"
log = logging.getLogger(__name__)
bells: defaultdict[str, threading.Event] = defaultdict(threading.Event)


@cache
def celery_app() -> Celery:
    """The Celery application of this process. Imported late: embedded processes never load Celery."""
    from celery import Celery

    app = Celery("smsportal")
    app.config_from_object("django.conf:settings", namespace="CELERY")
    rabbit = settings.CELERY_BROKER_URL.startswith("amqp")
    app.conf.task_default_queue_type = "quorum" if rabbit else "classic"
    # Whoever rings is answering a person: a broker that is away may cost a moment, not more.
    moment = {"max_retries": 0, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2}
    app.conf.broker_transport_options = (
        {"confirm_publish": True, **moment}
        if rabbit
        else {"visibility_timeout": 600, "socket_timeout": 5, "socket_connect_timeout": 2, **moment}
    )
    return app


def ring(lane: str) -> None:
    """Say that `lane` has work, after the current transaction has committed."""
    transaction.on_commit(partial(ring_now, lane), robust=True)


def ring_now(lane: str) -> None:
    """Say so at once. Losing it is harmless: the sweeper finds the work by itself."""
    if settings.DOORBELL == "celery":
        try:
            celery_app().send_task(TASK, args=[lane], retry=False)
        except Exception as gone:
            log.warning("The doorbell for %s did not reach the broker: %s", lane, gone)
    else:
        bells[lane].set()


def wait(lane: str, seconds: float) -> None:
    """Sleep until `lane` is rung or `seconds` have passed."""
    if bells[lane].wait(seconds):
        bells[lane].clear()
