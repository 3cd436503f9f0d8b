"""Composing, measured: a hundred thousand messages, what rendering and counting one costs, and how memory grows."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.figures import Figure, rated
from benchmarks.rounds import Measured, Rates, interleave
from benchmarks.stage import Play

MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: messages that are composed, texts of a round of rendering, and the two ends of memory."""

    composed: int = 100_000
    words: int = 20_000
    few: int = 10_000
    many: int = 200_000
    rounds: int = 5
    seconds: float = 40.0  # after which no further round of a part begins


USUAL = Size()
QUICK = Size(composed=1000, words=300, few=300, many=1000, rounds=1)
FULL = Size(many=1_000_000)


def measure(play: Play, database: str, *, quick: bool, full: bool) -> list[Figure]:
    """The figures of composing on `database`; rendering and counting know none and are measured with SQLite's."""
    size = QUICK if quick else FULL if full else USUAL
    play("race_plan", "make_people", [size.composed, size.few, size.many], seconds=60 + size.many / 4000)
    return [
        *(_words(play, size) if database == "SQLite" else []),
        *_composing(play, database, size),
        _memory(play, database, size),
    ]


def _words(play: Play, size: Size) -> list[Figure]:
    rates: dict[str, Rates] = play("race_plan", "words", size.words, max(size.rounds, 5), seconds=60)
    render, count = rates["render"], rates["count"]
    return [
        rated("render : Django's template, compiled once", "", render["ours"], render["template"], 8, per="µs"),
        _cost("render one text of four values", render["ours"], 1.0),
        rated("count segments : loop over characters", "", count["ours"], count["loop"], 5, per="µs"),
        _cost("count the segments of one text", count["ours"], 0.8),
    ]


def _cost(what: str, rates: list[float], goal: float) -> Figure:
    return Figure(what, "", "", "", Measured.of([1e6 / rate for rate in rates]), " µs", goal, at_most=True)


def _composing(play: Play, database: str, size: Size) -> list[Figure]:
    """Every round in a new process, whose greatest size is read at its end."""
    peaks: list[float] = []

    def compose() -> float:
        told = play("race_plan", "compose", size.composed, seconds=120)
        peaks.append(told["peak_bytes"] / MB)
        return float(told["seconds"])

    took = interleave({"compose": compose}, size.rounds, time.monotonic() + size.seconds)["compose"]
    what = f"compose {size.composed:,} messages"
    return [
        Figure(f"{what}: time", database, "", "", Measured.of(took), " s", 10.0, at_most=True),
        Figure(f"{what}: peak memory of the process", database, "", "", Measured.of(peaks), " MB", 200.0, at_most=True),
    ]


def _memory(play: Play, database: str, size: Size) -> Figure:
    """Composing and sending few and many, each in a new process: once, for memory does not depend on who else works."""
    peak = {}
    for texts in (size.few, size.many):
        told = play("race_plan", "compose_and_send", texts, seconds=60 + texts / 1000)
        peak[texts] = told["peak_bytes"] / MB
    return Figure(
        f"peak memory of composing and sending {size.many:,} : {size.few:,}",
        database,
        f"{peak[size.many]:.0f} MB",
        f"{peak[size.few]:.0f} MB",
        Measured.of([peak[size.many] / peak[size.few]]),
        goal=1.10,
        at_most=True,
    )
