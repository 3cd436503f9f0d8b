"""Every order of events two chunks of one batch can live through, walked exhaustively on a model of the sending protocol.

Workers claim both chunks, intend them in one transaction, post each, write the answers that are there in one more; they
die and freeze past their leases at any step. A request may be taken long after its worker gave up. STOP, pause, cancel,
receipts, look-ups, the sweeper and a person who resends come in between. Each rule below stands in messaging/sending or
messaging/sweeping.py; each `mistake` breaks one of them. walking.py walks the model and lists the mistakes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

NOT_SHOWN, NOT_SENT = "accepted, shown as not sent", "shown as sent, never accepted"
CHUNKS = (0, 1)  # the number of chunk 0 is the one that may opt out


class Bounds(NamedTuple):
    """How often what could go on for ever may happen: a larger bound is a larger walk."""

    workers: int
    deaths: int
    refusals: int
    pauses: int
    resends: int


class Hand(NamedTuple):
    """What one worker does with one chunk: claimed → intended → posted → yes | no | silence, or nothing ("")."""

    step: str = ""
    mine: bool = False  # its fence is the chunk's
    fresh: bool = False  # less than two seconds since the intent was committed
    stopped: bool = False  # whether the number had opted out when the chunk was claimed


class Chunk(NamedTuple):
    state: str = "ready"
    lease: bool = False
    flying: int = 0  # requests the provider has not looked at yet
    accepted: int = 0  # what the provider's own log says
    receipt: bool = False
    no_trace: bool = False  # a look-up after the hold time found nothing


Hands = tuple[Hand, ...]
NONE: Hands = (Hand(),) * len(CHUNKS)


class World(NamedTuple):
    chunks: tuple[Chunk, ...]
    workers: tuple[Hands, ...]
    stop: bool = False
    paused: bool = False
    cancelled: bool = False
    pauses: int = 0
    deaths: int = 0
    refusals: int = 0
    resends: int = 0
    wrong: str = ""


def with_chunk(world: World, at: int, **changes: object) -> World:
    chunks = world.chunks
    return World((*chunks[:at], chunks[at]._replace(**changes), *chunks[at + 1 :]), *world[1:])


def with_hand(world: World, who: int, at: int, hand: Hand) -> World:
    hands = world.workers[who]
    return with_hands(world, who, (*hands[:at], hand, *hands[at + 1 :]))


def with_hands(world: World, who: int, hands: Hands) -> World:
    return World(world.chunks, (*world.workers[:who], hands, *world.workers[who + 1 :]), *world[2:])


def fenced(world: World, at: int, mistake: str) -> World:
    """The fence of a chunk was raised: no hand on it is current any more."""
    if mistake == "never raises a fence":
        return world
    for who, hands in enumerate(world.workers):
        if hands[at].mine:
            world = with_hand(world, who, at, hands[at]._replace(mine=False))
    return world


# --- the workers ------------------------------------------------------------------------------------------------------
def worker_moves(world: World, who: int, mistake: str, bounds: Bounds) -> Iterator[World]:
    hands = world.workers[who]
    steps = [hand.step for hand in hands]
    for at in CHUNKS:
        # A worker claims what is due until its group is full, then intends all it has claimed.
        if hands[at].step == "" and set(steps) <= {"", "claimed"} and due(world, at, mistake):
            yield claimed(world, who, at, mistake)
        if hands[at].step == "intended":
            yield from post(world, who, at, mistake)
        if hands[at].step == "posted":
            yield with_hand(world, who, at, hands[at]._replace(step="silence"))
    if "claimed" in steps:
        yield intend(world, who, mistake)
        if mistake == "posts before the intent":
            at = steps.index("claimed")
            flying = with_chunk(world, at, flying=world.chunks[at].flying + 1)
            yield with_hand(flying, who, at, hands[at]._replace(step="posted"))
    if not {"yes", "no", "silence"}.isdisjoint(steps):
        yield write_down(world, who, mistake)
    if any(steps) and world.deaths < bounds.deaths:
        yield with_hands(world, who, NONE)._replace(deaths=world.deaths + 1)


def due(world: World, at: int, mistake: str) -> bool:
    chunk = world.chunks[at]
    if world.paused or world.cancelled:
        return False
    left = {"leaves a dead worker's claim": (), "claims what is being submitted": ("claimed", "submitting")}
    return chunk.state == "ready" or (chunk.state in left.get(mistake, ("claimed",)) and not chunk.lease)


def claimed(world: World, who: int, at: int, mistake: str) -> World:
    stopped = world.stop and at == 0 and mistake == "asks consent when claiming"
    world = fenced(with_chunk(world, at, state="claimed", lease=True), at, mistake)
    return with_hand(world, who, at, Hand("claimed", mine=True, stopped=stopped))


def intend(world: World, who: int, mistake: str) -> World:
    """One transaction for every claimed chunk of this worker."""
    hands = world.workers[who]
    group = [at for at in CHUNKS if hands[at].step == "claimed"]
    held = {at: hands[at].mine and world.chunks[at].state == "claimed" and world.chunks[at].lease for at in group}
    if mistake == "lets one fence speak for a group":
        held = dict.fromkeys(group, any(held.values()))
    for at in group:
        hand = world.workers[who][at]
        stopped = world.stop and at == 0
        seen = {
            "asks consent when claiming": hand.stopped,
            "asks consent of one of a group": stopped and at == group[-1],
        }.get(mistake, stopped)
        if not held[at]:
            world = with_hand(world, who, at, Hand())
        elif world.cancelled and mistake != "intends after a cancel":
            world = with_hand(with_chunk(world, at, state="skipped", lease=False), who, at, Hand())
        elif world.paused and mistake != "intends while paused":
            world = with_hand(with_chunk(world, at, state="ready", lease=False), who, at, Hand())
        elif seen:
            world = with_hand(with_chunk(world, at, state="skipped", lease=False), who, at, Hand())
        else:
            wrongs = (stopped, "after STOP"), (world.cancelled, "after cancel"), (world.paused, "while paused")
            wrong = next((f"intent {what}" for is_so, what in wrongs if is_so), world.wrong)
            world = with_chunk(world, at, state="submitting", lease=True)._replace(wrong=wrong)
            world = with_hand(world, who, at, Hand("intended", mine=True, fresh=True))
    return world


def post(world: World, who: int, at: int, mistake: str) -> Iterator[World]:
    hand = world.workers[who][at]
    if hand.fresh or mistake == "posts when stale":
        flying = with_chunk(world, at, flying=world.chunks[at].flying + 1)
        yield with_hand(flying, who, at, hand._replace(step="posted", fresh=False))
    if hand.fresh:
        yield with_hand(world, who, at, hand._replace(fresh=False))
    elif mistake != "posts when stale":
        yield with_hand(world, who, at, hand._replace(step="no"))  # it stood still: nothing left


def write_down(world: World, who: int, mistake: str) -> World:
    """One transaction for every answer this worker has."""
    hands = world.workers[who]
    group = [at for at in CHUNKS if hands[at].step in ("yes", "no", "silence")]
    for at in group:
        hand, chunk = hands[at], world.chunks[at]
        answer = hands[group[0]].step if mistake == "writes one answer for a group" else hand.step
        world = with_hand(world, who, at, Hand())
        if (hand.mine and chunk.state == "submitting") or mistake == "writes without the fence":
            if answer == "silence" and mistake == "retries a timeout":
                answer = "no"
            heard = chunk.receipt and mistake != "forgets early receipts"
            state = {
                "yes": "accepted",
                "no": "skipped" if world.cancelled else "ready",
                "silence": "accepted" if heard else "unknown",
            }[answer]
            world = with_chunk(world, at, state=state, lease=False)
    return world


# --- everybody else ---------------------------------------------------------------------------------------------------
def moves_of_machines(world: World, mistake: str, bounds: Bounds) -> Iterator[World]:
    for who in range(bounds.workers):
        yield from worker_moves(world, who, mistake, bounds)
    for at in CHUNKS:
        yield from provider_moves(world, at, bounds)
        yield from time_moves(world, at, mistake)


def moves_of_people(world: World, mistake: str, bounds: Bounds) -> Iterator[World]:
    """Also receipts and look-ups, which may never come."""
    for at in CHUNKS:
        yield from evidence(world, at, mistake, bounds)
    if not world.stop:
        yield world._replace(stop=True)
    if not world.cancelled:
        cancelled = world._replace(cancelled=True, paused=False, pauses=0, resends=0)
        for at in CHUNKS:
            if world.chunks[at].state == "ready":
                cancelled = with_chunk(cancelled, at, state="skipped")
        yield cancelled
        if world.paused:
            yield world._replace(paused=False)
        elif world.pauses < bounds.pauses:
            yield world._replace(paused=True, pauses=world.pauses + 1)


def provider_moves(world: World, at: int, bounds: Bounds) -> Iterator[World]:
    """A request arrives: taken or refused, and the answer is heard by whoever still waits for it, or lost."""
    chunk = world.chunks[at]
    if not chunk.flying:
        return
    taken = with_chunk(world, at, flying=chunk.flying - 1, accepted=chunk.accepted + 1)
    yield taken
    waiting = [who for who, hands in enumerate(world.workers) if hands[at].step == "posted"]
    for who in waiting:
        yield with_hand(taken, who, at, world.workers[who][at]._replace(step="yes"))
    yield with_chunk(world, at, flying=chunk.flying - 1)  # it fails on the way, and nobody hears of it
    if world.refusals < bounds.refusals:
        refused = with_chunk(world, at, flying=chunk.flying - 1)._replace(refusals=world.refusals + 1)
        for who in waiting:
            yield with_hand(refused, who, at, world.workers[who][at]._replace(step="no"))


def evidence(world: World, at: int, mistake: str, bounds: Bounds) -> Iterator[World]:
    chunk = world.chunks[at]
    unknown = chunk.state == "unknown"
    if chunk.accepted and not chunk.receipt:
        believed = "accepted" if unknown and mistake != "ignores receipts" else chunk.state
        heard = with_chunk(world, at, receipt=True, state=believed)
        if mistake == "believes another chunk's receipt" and world.chunks[1 - at].state == "unknown":
            heard = with_chunk(heard, 1 - at, state="accepted")
        yield heard
    if not unknown:
        return
    found = chunk.accepted or (mistake == "finds another text in the transcript" and world.chunks[1 - at].accepted)
    if found:
        yield with_chunk(world, at, state="accepted")
    elif mistake == "takes no trace for not sent":
        yield with_chunk(world, at, state="ready")
    elif not chunk.flying and not chunk.no_trace:
        yield with_chunk(world, at, no_trace=True)
    # A person, a quarter of an hour after the last request and with a look-up that found nothing.
    may = chunk.no_trace or mistake == "resends before the hold time"
    if may and not world.cancelled and world.resends < bounds.resends:
        yield with_chunk(world, at, state="ready", no_trace=False)._replace(resends=world.resends + 1)


def time_moves(world: World, at: int, mistake: str) -> Iterator[World]:
    """Leases run out, also under a worker that is frozen; then the sweeper judges."""
    chunk = world.chunks[at]
    if chunk.lease:
        late = with_chunk(world, at, lease=False)
        for who, hands in enumerate(world.workers):
            if hands[at].fresh:
                late = with_hand(late, who, at, hands[at]._replace(fresh=False))
        yield late
    elif chunk.state == "submitting" and mistake != "leaves a dead worker's intent":
        judged = "accepted" if chunk.receipt and mistake != "forgets early receipts" else "unknown"
        state = "ready" if mistake == "sweeps to ready" else judged
        yield fenced(with_chunk(world, at, state=state), at, mistake)
    elif chunk.state == "claimed" and world.cancelled:
        yield fenced(with_chunk(world, at, state="skipped"), at, mistake)


# --- what must never be so --------------------------------------------------------------------------------------------
def fault(world: World) -> str:
    if world.wrong:
        return world.wrong
    for at, chunk in enumerate(world.chunks):
        steps = {hands[at].step for hands in world.workers}
        # A worker that posted, or has its answer, may still be about to write it.
        at_work = not steps.isdisjoint({"intended", "posted", "yes", "no", "silence"})
        if chunk.accepted > 1:
            return "sent twice"
        if chunk.state == "accepted" and not chunk.accepted:
            return NOT_SENT
        if chunk.state in ("ready", "claimed", "skipped") and chunk.accepted and not at_work:
            return NOT_SHOWN
        if chunk.state == "unknown" and chunk.receipt:
            return "unknown in spite of a receipt"
    return ""


def stuck(world: World) -> bool:
    """Whether something would wait for ever, asked of a world in which nothing happens by itself any more."""
    if world.paused:
        return any(chunk.state == "submitting" for chunk in world.chunks)
    return not all(chunk.state in ("accepted", "unknown", "skipped") for chunk in world.chunks)
