"""Every order of events that one chunk can live through, walked exhaustively on a model of the sending protocol.

Three workers may claim, intend, post, note the outcome, freeze past the lease and die at any step; the provider may
accept, refuse or fall silent; a STOP, a cancel, a receipt, the sweeper and a person who resends may come in between.
The rules are those of messaging/sending/__init__.py, outcomes.py and sweeping.py; each planted mistake must be caught.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

WORKERS, DEATHS, AGAIN, RESENDS = 3, 2, 1, 1


@dataclass(frozen=True, slots=True)
class Worker:
    step: str = "idle"  # idle → claimed → intended → answered
    fence: int = 0
    answer: str = ""  # yes | no | silence
    fresh: bool = True  # less than two seconds since its intent was committed
    consented: bool = True  # consent as seen when it was looked at


@dataclass(frozen=True, slots=True)
class World:
    chunk: str = "ready"
    fence: int = 0
    lease: bool = False
    workers: tuple[Worker, ...] = (Worker(),) * WORKERS
    accepted: int = 0  # what the provider's own log says
    stop: bool = False
    cancelled: bool = False
    receipt: bool = False
    deaths: int = 0
    again: int = 0
    resends: int = 0
    wrong: str = ""


def put(world: World, at: int, worker: Worker, **changes: object) -> World:
    workers = (*world.workers[:at], worker, *world.workers[at + 1 :])
    return replace(world, workers=workers, **changes)  # type: ignore[arg-type]


def moves(world: World, mistake: str) -> Iterator[World]:
    for at, worker in enumerate(world.workers):
        yield from worker_moves(world, at, worker, mistake)
    yield from other_moves(world, mistake)


def worker_moves(world: World, at: int, worker: Worker, mistake: str) -> Iterator[World]:
    left = ("claimed", "submitting") if mistake == "claims what is being submitted" else ("claimed",)
    due = world.chunk == "ready" or (world.chunk in left and not world.lease)
    if worker.step == "idle" and due and not world.cancelled:
        fence = world.fence + 1
        claimed = Worker("claimed", fence, consented=not world.stop)
        yield put(world, at, claimed, chunk="claimed", fence=fence, lease=True)
    if worker.step == "claimed" and mistake == "posts before the intent":
        yield put(world, at, replace(worker, step="answered", answer="yes"), accepted=world.accepted + 1)
    if worker.step == "claimed":
        yield from intend(world, at, worker, mistake)
    if worker.step == "intended":
        if worker.fresh or mistake == "posts when stale":
            yield put(world, at, replace(worker, step="answered", answer="yes"), accepted=world.accepted + 1)
            yield put(world, at, replace(worker, step="answered", answer="silence"), accepted=world.accepted + 1)
            yield put(world, at, replace(worker, step="answered", answer="silence"))
        if world.again < AGAIN:
            yield put(world, at, replace(worker, step="answered", answer="no"), again=world.again + 1)
    if worker.step == "answered":
        yield put(world, at, Worker(), **outcome(world, worker, mistake))
    if worker.step != "idle" and world.deaths < DEATHS:
        yield put(world, at, Worker(), deaths=world.deaths + 1)


def intend(world: World, at: int, worker: Worker, mistake: str) -> Iterator[World]:
    if not (world.chunk == "claimed" and world.fence == worker.fence and world.lease):
        yield put(world, at, Worker())
        return
    if world.cancelled and mistake != "intends after a cancel":
        yield put(world, at, Worker(), chunk="skipped", lease=False)
        return
    consented = worker.consented if mistake == "asks consent early" else not world.stop
    if not consented:
        yield put(world, at, Worker(), chunk="skipped", lease=False)
        return
    wrong = "intent after STOP" if world.stop else "intent after cancel" if world.cancelled else world.wrong
    yield put(world, at, replace(worker, step="intended"), chunk="submitting", lease=True, wrong=wrong)


def outcome(world: World, worker: Worker, mistake: str) -> dict[str, object]:
    mine = world.chunk == "submitting" and world.fence == worker.fence
    if not mine and mistake != "writes without the fence":
        return {}
    if worker.answer == "yes":
        return {"chunk": "accepted", "lease": False}
    if worker.answer == "no" or mistake == "retries a timeout":
        return {"chunk": "skipped" if world.cancelled else "ready", "lease": False}
    return {"chunk": "accepted" if world.receipt else "unknown", "lease": False}


def other_moves(world: World, mistake: str) -> Iterator[World]:
    if world.lease:
        # Time passes: whoever intended and has not posted by now is no longer fresh.
        workers = tuple(replace(each, fresh=each.step != "intended") for each in world.workers)
        yield replace(world, lease=False, workers=workers)
    if world.chunk == "submitting" and not world.lease:
        judged = "accepted" if world.receipt else "unknown"
        if mistake == "sweeps to ready":
            judged = "ready"
        yield replace(world, chunk=judged, fence=world.fence + 1)
    if world.chunk == "claimed" and not world.lease and world.cancelled:
        yield replace(world, chunk="skipped", fence=world.fence + 1)
    if not world.stop:
        yield replace(world, stop=True)
    if not world.cancelled:
        yield replace(world, cancelled=True, chunk="skipped" if world.chunk == "ready" else world.chunk)
    if world.accepted and not world.receipt:
        believed = "accepted" if world.chunk == "unknown" and mistake != "ignores receipts" else world.chunk
        yield replace(world, receipt=True, chunk=believed)
    if world.chunk == "unknown" and not world.accepted and not world.cancelled and world.resends < RESENDS:
        # A person, after the hold time and with a look-up that found no trace.
        yield replace(world, chunk="ready", resends=world.resends + 1)


def fault(world: World) -> str:
    """What must never be so."""
    if world.wrong:
        return world.wrong
    if world.accepted > 1:
        return "sent twice"
    # A worker that already has its answer may still be about to write it.
    at_work = any(worker.step in ("intended", "answered") for worker in world.workers)
    if world.chunk == "accepted" and not world.accepted:
        return "shown as sent, never accepted"
    if world.chunk in ("ready", "claimed", "skipped") and world.accepted and not at_work:
        return "accepted, shown as not sent"
    if world.chunk == "unknown" and world.receipt:
        return "unknown in spite of a receipt"
    return ""


def canonical(world: World) -> World:
    """The same world with nothing that does not matter: fences only by whether they are current, workers unordered."""
    workers = [
        replace(each, fence=int(each.fence == world.fence)) if each.step != "idle" else Worker()
        for each in world.workers
    ]
    workers.sort(key=lambda each: (each.step, each.fence, each.answer, each.fresh, each.consented))
    return replace(world, fence=1, workers=tuple(workers))


def walk(mistake: str = "") -> tuple[int, str]:
    """How many states there are, and the first fault found."""
    seen = {canonical(World())}
    queue = deque(seen)
    while queue:
        world = queue.popleft()
        if found := fault(world):
            return len(seen), found
        for after in map(canonical, moves(world, mistake)):
            if after not in seen:
                seen.add(after)
                queue.append(after)
    return len(seen), ""


def test_no_order_of_events_loses_doubles_or_misreports_a_chunk():
    states, found = walk()
    assert found == ""
    assert states > 10_000


@pytest.mark.parametrize(
    ("mistake", "consequence"),
    [
        ("retries a timeout", "accepted, shown as not sent"),
        ("sweeps to ready", "accepted, shown as not sent"),
        ("asks consent early", "intent after STOP"),
        ("intends after a cancel", "intent after cancel"),
        ("posts when stale", None),
        ("writes without the fence", None),
        ("claims what is being submitted", None),
        ("posts before the intent", None),
        ("ignores receipts", "unknown in spite of a receipt"),
    ],
)
def test_each_planted_mistake_is_caught(mistake: str, consequence: str | None):
    _, found = walk(mistake)
    assert found
    assert consequence in (None, found)
