"""Walks the model of model.py exhaustively, by the shortest way to each state, and lists the mistakes the walk must catch."""

from __future__ import annotations

from collections import deque
from itertools import chain

from messaging.tests.proof.model import (
    CHUNKS,
    NONE,
    NOT_SENT,
    NOT_SHOWN,
    Bounds,
    Chunk,
    World,
    fault,
    moves_of_machines,
    moves_of_people,
    stuck,
)

# The smallest walks that show a mistake, so that all of them together take seconds.
SMALL, PAUSED, RESENT, DEADLY = (
    Bounds(2, 0, 0, 0, 0),
    Bounds(2, 0, 0, 1, 0),
    Bounds(2, 0, 0, 0, 1),
    Bounds(2, 1, 0, 0, 0),
)
MISTAKES = {
    "retries a timeout": (NOT_SHOWN, SMALL),
    "sweeps to ready": (NOT_SHOWN, SMALL),
    "posts before the intent": (NOT_SHOWN, SMALL),
    "posts when stale": (NOT_SHOWN, RESENT),
    "writes without the fence": (NOT_SHOWN, RESENT),
    "never raises a fence": (NOT_SHOWN, RESENT),
    "claims what is being submitted": (NOT_SHOWN, SMALL),
    "asks consent when claiming": ("intent after STOP", SMALL),
    "asks consent of one of a group": ("intent after STOP", SMALL),
    "intends after a cancel": ("intent after cancel", SMALL),
    "intends while paused": ("intent while paused", PAUSED),
    "lets one fence speak for a group": ("sent twice", SMALL),
    "writes one answer for a group": (NOT_SENT, SMALL),
    "ignores receipts": ("unknown in spite of a receipt", SMALL),
    "forgets early receipts": ("unknown in spite of a receipt", SMALL),
    "believes another chunk's receipt": (NOT_SENT, SMALL),
    "takes no trace for not sent": (NOT_SHOWN, SMALL),
    "finds another text in the transcript": (NOT_SENT, SMALL),
    "resends before the hold time": (NOT_SHOWN, RESENT),
    "leaves a dead worker's intent": ("stuck", DEADLY),
    "leaves a dead worker's claim": ("stuck", SMALL),
}
QUICK = (DEADLY,)
STANDARD = (Bounds(2, 1, 0, 0, 1), Bounds(2, 0, 1, 1, 0), Bounds(3, 0, 0, 0, 0))
FULL = (*STANDARD, Bounds(2, 1, 1, 1, 1))


def canonical(world: World) -> World:
    """Workers are alike: their order does not matter."""
    return World(world.chunks, tuple(sorted(world.workers)), *world[2:])


def walk(bounds: Bounds, mistake: str = "") -> tuple[int, str]:
    """How many states there are, and the first fault found, by the shortest way to it."""
    first = World((Chunk(),) * len(CHUNKS), (NONE,) * bounds.workers)
    seen, queue = {first}, deque([first])
    while queue:
        world = queue.popleft()
        if found := fault(world):
            return len(seen), found
        by_itself = list(moves_of_machines(world, mistake, bounds))
        if not by_itself and stuck(world):
            return len(seen), "stuck"
        for after in map(canonical, chain(by_itself, moves_of_people(world, mistake, bounds))):
            if after not in seen:
                seen.add(after)
                queue.append(after)
    return len(seen), ""
