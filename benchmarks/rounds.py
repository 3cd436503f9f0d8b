"""Measures two or more sides in turn, so that whatever else the machine does falls on all of them alike."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

Rates = dict[str, list[float]]


class NotDone(Exception):
    """A side did not do the work it was measured for; the sentence says what is missing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure over its rounds: the median, the least and the greatest."""

    middle: float
    least: float
    most: float
    rounds: int

    @classmethod
    def of(cls, values: list[float]) -> Measured:
        return cls(median(values), min(values), max(values), len(values))

    @classmethod
    def ratio(cls, ours: list[float], against: list[float]) -> Measured:
        """Ours by theirs, round by round: the two halves of a round ran one after the other."""
        return cls.of([each / other for each, other in zip(ours, against, strict=True)])


def interleave(sides: Mapping[str, Callable[[], float]], rounds: int, ends_at: float) -> Rates:
    """The rates each side reached, a value per round; every second round runs the other way round.

    After `ends_at` (monotonic) no further round begins, so that a slow machine ends in time with fewer of them.
    """
    reached: Rates = {name: [] for name in sides}
    for number in range(rounds):
        if number and time.monotonic() > ends_at:
            break
        names = list(sides)
        for name in names[::-1] if number % 2 else names:
            reached[name].append(sides[name]())
            print(f"  round {number + 1}: {name}: {reached[name][-1]:,.0f}", file=sys.stderr, flush=True)
    return reached
