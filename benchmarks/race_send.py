"""What `bench_send` runs in a process of its own: the sides one after the other, round by round, on one database."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from benchmarks import sides, stage, students
from benchmarks.rounds import Rates, interleave
from smsportal import collector

WARM = 400  # texts of a first go of every side, which does not count: connections, caches, late imports

Sides = dict[str, Callable[[], float]]


def run(size: dict[str, Any]) -> dict[str, Rates]:
    """The rates of every side, without latency ("fast") and with it ("late"). `size`: see `bench_send.Size`."""
    has_broker = stage.is_reachable(stage.RABBITMQ)
    collector.spare()  # as a worker does
    with sides.stub() as far, sides.celery_workers(size["threads"]) if has_broker else nullcontext():
        race = Race(size, far, has_broker=has_broker)
        return {"fast": race.fast(), "late": race.late()}


class Race:
    """The sides on the database of this process, against one stub."""

    def __init__(self, size: dict[str, Any], far: sides.Stub, *, has_broker: bool) -> None:
        self.size, self.far, self.has_broker = size, far, has_broker
        students.migrate()
        self.account = students.make_account(far.address)
        counts = sorted({WARM, size["fast"], size["late"], size["typical"]})
        self.people = {count: students.make_list(self.account, count, f"{count} students") for count in counts}

    def fast(self) -> Rates:
        """Without latency, with 8 threads and with as many as Celery's."""
        self._run(self._fast(WARM, WARM, []), 1)
        composed: list[float] = []
        return {**self._run(self._fast(self.size["fast"], self.size["typical"], composed)), "composed": composed}

    def late(self) -> Rates:
        """With latency, and as many threads as fill the line."""
        self.far.latency_ms = self.size["latency_ms"]
        self._run(self._late(WARM), 1)
        return self._run(self._late(self.size["late"]))

    def _fast(self, texts: int, few: int, composed: list[float]) -> Sides:
        far, many, calls, people = self.far, self.size["threads"], sides.ready_texts(texts), self.people[texts]
        found: Sides = {
            "requests, 8": lambda: sides.bare(far, calls, 8),
            "client, 8": lambda: sides.client(far, self.account, calls, 8),
            "driver, 8": lambda: sides.driver(far, people, 8, composed),
            "typical": lambda: sides.typical(far, self.people[few]),
            "driver, many": lambda: sides.driver(far, people, many),
            "client, many": lambda: sides.client(far, self.account, calls, many),
        }
        if self.has_broker:
            found["Celery"] = lambda: sides.celery(far, people)
        return found

    def _late(self, texts: int) -> Sides:
        far, threads, calls, people = self.far, self.size["threads"], sides.ready_texts(texts), self.people[texts]
        found: Sides = {
            "client": lambda: sides.client(far, self.account, calls, threads),
            "driver": lambda: sides.driver(far, people, threads),
        }
        if self.has_broker:
            found["Celery"] = lambda: sides.celery(far, people)
        return found

    def _run(self, race: Sides, rounds: int = 0) -> Rates:
        return interleave(race, rounds or self.size["rounds"], time.monotonic() + self.size["seconds"])
