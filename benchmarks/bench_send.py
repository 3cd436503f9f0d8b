"""Sending, measured: against the physical line, the same HTTP without a database, a typical loop, and Celery against itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from benchmarks.figures import Figure, rated
from benchmarks.stage import Play

PER_CALL = 100
# The goals, on SQLite and on PostgreSQL.
LINE = {"SQLite": 0.90, "PostgreSQL": 0.90}
WIRE = {"SQLite": 0.50, "PostgreSQL": 0.28}
TYPICAL = {"SQLite": 60.0, "PostgreSQL": 35.0}
CELERY = {"SQLite": 0.85, "PostgreSQL": 0.85}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: the texts of a round at 0 ms, at `latency_ms`, and of the typical loop."""

    fast: int = 24_000
    late: int = 96_000  # thirty for each thread in turn, so that the beginning and the end do not count for much
    typical: int = 2_000
    rounds: int = 5
    latency_ms: int = 200
    threads: int = 32
    seconds: float = 100.0  # after which no further round of a part begins


USUAL = Size()
QUICK = Size(fast=600, late=800, typical=200, rounds=1, latency_ms=20, threads=8)


def measure(play: Play, database: str, *, quick: bool, full: bool) -> list[Figure]:
    """The figures of sending on `database`. `full` changes nothing here."""
    size = QUICK if quick else USUAL
    rates = play("race_send", "run", asdict(size), seconds=120 if quick else 300)
    return [*_fast(rates["fast"], database, size), *_late(rates["late"], database, size)]


def _fast(rates: dict[str, list[float]], database: str, size: Size) -> list[Figure]:
    """A provider that answers at once: what the portal itself costs."""
    ours, few, many = rates["driver, 8"], "0 ms, 8 threads", f"0 ms, {size.threads} threads"
    same = "driver : the same HTTP without a database"
    figures = [
        rated(f"{same}, {few}", database, ours, rates["client, 8"], WIRE[database]),
        rated(f"{same}, {many}", database, rates["driver, many"], rates["client, many"], WIRE[database]),
        rated(f"driver : `requests` alone, {few}", database, ours, rates["requests, 8"]),
        rated("driver : typical loop with `bulk_update`, 0 ms", database, ours, rates["typical"], TYPICAL[database]),
        rated("composing and driver : typical loop, 0 ms", database, rates["composed"], rates["typical"]),
    ]
    if "Celery" in rates:
        same_threads = rates["driver, many"]
        figures.append(rated(f"Celery : driver, {many}", database, rates["Celery"], same_threads, CELERY[database]))
    return figures


def _late(rates: dict[str, list[float]], database: str, size: Size) -> list[Figure]:
    """A provider that takes its time: how much of what the threads could carry is carried."""
    ours, when = rates["driver"], f"{size.latency_ms} ms, {size.threads} threads"
    line = size.threads * PER_CALL / (size.latency_ms / 1000)
    figures = [
        rated(f"driver : threads × 100 / latency, {when}", database, ours, [line] * len(ours), LINE[database]),
        rated(f"driver : the same HTTP without a database, {when}", database, ours, rates["client"]),
    ]
    if "Celery" in rates:
        figures.append(rated(f"Celery : driver, {when}", database, rates["Celery"], ours, CELERY[database]))
    return figures
