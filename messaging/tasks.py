"""The lanes of background work: each takes one piece, does it, and says whether there was one."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from django.conf import settings

from contacts.tasks import work_imports, work_syncs
from messaging import composing, events, sending, sweeping
from messaging.models import Heartbeat
from messaging.sending import drivers
from smsportal import clock, doorbell
from smsportal.claims import me
from smsportal.sql import AWAY

BEAT_S: Final = 10.0


def work_composing() -> bool:
    """Make the messages of one started batch, and wake whoever sends them."""
    held = composing.next_batch()
    if held is None:
        return False
    composing.expand(held)
    doorbell.ring_now("sending")
    return True


def work_hooks(stopped: Callable[[], bool] = lambda: False) -> bool:
    """Read one webhook call."""
    held = events.next_call()
    if held is None:
        return False
    if not events.read_call(held, stopped):
        time.sleep(events.AGAIN_S[0])  # then it is due again, and a task of Celery's that ended would be missed for it
    return True


def work_sending() -> bool:
    """Send one chunk, in this thread."""
    return sending.send_next()


def drive(threads: int, stop: Callable[[], bool]) -> bool:
    """Send everything that is due, with `threads` requests at once; whether there was anything. Beats while it lasts."""
    beaten = time.monotonic()

    def stopped() -> bool:
        nonlocal beaten
        if time.monotonic() - beaten > BEAT_S:
            beaten = time.monotonic()
            with suppress(*AWAY):  # the driver finds out by itself, and what it holds is safe
                beat("sending")
        return stop()

    return bool(drivers.drive(threads, stopped))


def work_asking() -> bool:
    """Ask providers what became of unknown texts, and whether closed accounts answer again.

    A lane of its own: where a provider does not answer it takes minutes, and the sweeper's other duties must not wait.
    """
    return bool(sweeping.ask())


LANES: Final[dict[str, Callable[[], bool]]] = {
    "imports": work_imports,
    "syncs": work_syncs,
    "composing": work_composing,
    "sending": work_sending,
    "hooks": work_hooks,
    "asking": work_asking,
}


def beat(lane: str) -> None:
    """Note that `lane` is looked after: the row the readiness check and an alarm look at."""
    Heartbeat.objects.update_or_create(lane=lane, defaults={"at": clock.now(), "owner": me()})


def sweep() -> sweeping.Swept:
    """Settle what was left behind, and note that it was looked for. What providers are asked, the lane "asking" does."""
    beat("sweep")
    return sweeping.settle()


def drain(lane: str, seconds: float) -> bool:
    """Work on `lane` until nothing is due or `seconds` have passed. True when work may be left."""
    ends_at = time.monotonic() + seconds
    beat(lane)
    if lane == "sending":
        drive(settings.SEND_THREADS, lambda: time.monotonic() >= ends_at)
        return time.monotonic() >= ends_at
    while LANES[lane]():
        if time.monotonic() >= ends_at:
            return True
    return False


def drain_all() -> None:
    """Do everything that can be done now, in this thread: for commands, tests and small machines."""
    while any(work() for work in LANES.values()) or sweeping.settle():
        pass
