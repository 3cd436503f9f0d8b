"""One line of the table: what was measured against what, the goal, whether it was met; and the page it is kept on."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rounds import Measured

PAGE = Path(__file__).with_name("README.md")
BEGINS, ENDS = "<!-- what `make bench` wrote -->", "<!-- until here -->"
HEAD = "| what | database | ours | against | figure | spread | rounds | goal | met |\n|---|---|---|---|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table. `goal` blank: for information. `figure` is what the goal is about, over its rounds."""

    what: str
    database: str
    ours: str
    against: str
    figure: Measured
    unit: str = ""  # of the figure: blank for a ratio
    goal: float | None = None
    at_most: bool = False  # the goal is a limit from above

    @property
    def met(self) -> str:
        if self.goal is None:
            return ""
        good = self.figure.middle <= self.goal if self.at_most else self.figure.middle >= self.goal
        return "yes" if good else "**no**"

    def line(self) -> str:
        sign = "≤" if self.at_most else "≥"
        goal = "" if self.goal is None else f"{sign} {short(self.goal)}{self.unit}"
        spread = f"{short(self.figure.least)}–{short(self.figure.most)}"
        cells = (
            self.what,
            self.database,
            self.ours,
            self.against,
            f"{short(self.figure.middle)}{self.unit}",
            spread,
            str(self.figure.rounds),
            goal,
            self.met,
        )
        return f"| {' | '.join(cells)} |"


def rated(
    what: str, database: str, ours: list[float], against: list[float], goal: float | None = None, *, per: str = "s"
) -> Figure:
    """Two rates per second and their ratio, round by round; shown as so many per second, or as the µs of one."""
    shown = _per_s if per == "s" else _cost
    mine, other = Measured.of(ours), Measured.of(against)
    return Figure(what, database, shown(mine.middle), shown(other.middle), Measured.ratio(ours, against), goal=goal)


def _per_s(rate: float) -> str:
    return f"{short(round(rate))}/s"


def _cost(rate: float) -> str:
    return f"{short(1e6 / rate)} µs"


def short(value: float) -> str:
    """Three digits, no more: the rest is noise."""
    return f"{float(f'{value:.3g}'):,g}" if value < 1000 else f"{float(f'{value:.3g}'):,.0f}"


def machine(postgres: str) -> str:
    """The class of this machine, and what the figures depend on; no name of it."""
    import sqlite3

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = (
        f"{os.cpu_count()} cores",
        f"{memory:.0f} GiB",
        platform.system(),
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        *([f"PostgreSQL {postgres}"] if postgres else []),
    )
    return ", ".join(parts)


def table(figures: Sequence[Figure]) -> str:
    return "\n".join([HEAD, *(figure.line() for figure in figures)])


def said(postgres: str, load: float) -> str:
    """When and where: the line above the table. `load`: of the machine before it was measured."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return f"{today.isoformat()} · {machine(postgres)} · load before: {load:.1f}"


def keep(figures: Sequence[Figure], postgres: str, load: float) -> None:
    """Write the table into the page, in the place of the one before."""
    text = PAGE.read_text()
    head, tail = text.partition(BEGINS)[0], text.partition(ENDS)[2]
    PAGE.write_text(f"{head}{BEGINS}\n{said(postgres, load)}\n\n{table(figures)}\n{ENDS}{tail}")
