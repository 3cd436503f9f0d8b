"""The lanes of background work: each takes one piece, does it, and says whether there was one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from contacts.tasks import work_imports, work_syncs
from messaging import composing, events, sending, sweeping
from messaging.models import Heartbeat
from smsportal import clock, doorbell
from smsportal.claims import me


def work_composing() -> bool:
    """Make the messages of one started batch, and wake whoever sends them."""
    held = composing.next_batch()
    if held is None:
        return False
    composing.expand(held)
    doorbell.ring_now("sending")
    return True


def work_hooks() -> bool:
    """Read one webhook call."""
    held = events.next_call()
    if held is None:
        return False
    events.read_call(held)
    return True


def work_sending() -> bool:
    """Send one chunk."""
    return sending.send_next()


LANES: Final[dict[str, Callable[[], bool]]] = {
    "imports": work_imports,
    "syncs": work_syncs,
    "composing": work_composing,
    "sending": work_sending,
    "hooks": work_hooks,
}


def beat(lane: str) -> None:
    """Note that `lane` is looked after: the row the readiness check and an alarm look at."""
    Heartbeat.objects.update_or_create(lane=lane, defaults={"at": clock.now(), "owner": me()})


def sweep() -> sweeping.Swept:
    """Settle what was left behind, and note that it was looked for."""
    beat("sweep")
    return sweeping.sweep()


def drain(lane: str, seconds: float) -> bool:
    """Work on `lane` until nothing is due or `seconds` have passed. True when work may be left."""
    ends_at = time.monotonic() + seconds
    beat(lane)
    while LANES[lane]():
        if time.monotonic() >= ends_at:
            return True
    return False


def drain_all() -> None:
    """Do everything that can be done now, in this thread: for commands, tests and small machines."""
    while any(work() for work in LANES.values()) or sweeping.sweep():
        pass
