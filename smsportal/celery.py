"""Celery as the doorbell (DOORBELL=celery): its tasks only wake workers, so losing or doubling one is harmless."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsportal.settings")

from celery.signals import worker_init

from smsportal import collector
from smsportal.doorbell import TASK, celery_app, ring_now

DRAIN_S = 40  # below the soft time limit, with a request's own deadline in between
SWEEP_S = 10

app = celery_app()
app.set_default()


@app.task(name=TASK)
def drain(lane: str) -> None:
    """Work on a lane for a while, and ring again when there is more."""
    from messaging import tasks

    if lane == "sweep":
        tasks.sweep()
        return
    if tasks.drain(lane, DRAIN_S):
        ring_now(lane)


@worker_init.connect
def _begin(**_: object) -> None:
    collector.spare()


@app.on_after_finalize.connect
def keep_looking(sender: object, **_: object) -> None:
    """A ring for every lane every few seconds, so that a lost one only delays."""
    from messaging.tasks import LANES

    for lane in [*LANES, "sweep"]:
        app.add_periodic_task(SWEEP_S, drain.s(lane), name=f"look at {lane}", expires=SWEEP_S)
