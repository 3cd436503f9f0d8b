"""The proofs, each as a line of the table: what was done, how much of it, what was wrong, which mistakes were caught.

Each runs in a process of its own: `python -m messaging.tests.proof.parts <name> <size>`, with DATABASE_URL, prints its
line as JSON, and on stderr what was wrong, the first few of each kind, and which mistakes were not caught.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from messaging.tests.proof.environment import PLAIN


@dataclass(slots=True)
class Line:
    """One line. `wrong` is how many violations were found, `caught` and `planted` count the mistakes."""

    proof: str
    database: str
    done: str
    wrong: int
    caught: int
    planted: int
    unknown: str = ""
    seconds: float = 0
    broken: bool = False  # it did not come to its end; `done` says why

    @property
    def is_good(self) -> bool:
        return not self.wrong and not self.broken and self.caught == self.planted

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        mistakes = f"{self.caught} of {self.planted}" if self.planted else ""
        wrong = "did not end" if self.broken else str(self.wrong)
        return self.proof, self.database, self.done, wrong, self.unknown, mistakes, f"{self.seconds:.0f} s"


MODEL, CRASHES, FREEZES, MEETINGS, RACES = (
    "model check",
    "crash at every point",
    "freeze at every point",
    "forced races",
    "races",
)
SOAK = "soak"
MANY = 500  # races with a mistake planted, if it is not caught before: as a rule it is within twenty


def tell(wrong: Mapping[str, Sequence[str]]) -> int:
    """Print the first few of each kind of what is wrong. How much it is in all."""
    for name, found in wrong.items():
        print(f"{name}: {len(found)}, the first: {'; '.join(found[:5])}", file=sys.stderr)
    return sum(map(len, wrong.values()))


def count_caught(mistakes: Iterable[str], is_caught: Callable[[str], bool]) -> int:
    """How many of the planted mistakes are caught; those that are not are named."""
    missed = [name for name in mistakes if not is_caught(name)]
    if missed:
        print(f"not caught: {', '.join(missed)}", file=sys.stderr)
    return len(list(mistakes)) - len(missed)


def model(size: str) -> Line:
    from messaging.tests.proof import walking

    bounds = {"quick": walking.QUICK, "standard": walking.STANDARD, "full": walking.FULL}[size]
    walks = [walking.walk(each) for each in bounds]
    wrong = tell({f"{each}": [found] for each, (_, found) in zip(bounds, walks, strict=True) if found})

    def is_caught(name: str) -> bool:
        expected, small = walking.MISTAKES[name]
        return walking.walk(small, name)[1] == expected

    caught = count_caught(walking.MISTAKES, is_caught)
    done = f"{sum(states for states, _ in walks):,} states of 2 chunks and 2 or 3 workers"
    return Line(MODEL, "", done, wrong, caught, len(walking.MISTAKES))


def crashes(size: str, *, freezes: bool = False) -> Line:
    from django.db import connection

    from messaging.tests.proof import crashes as proof

    mistakes = [name for name, (_, is_frozen, _) in proof.MISTAKES.items() if is_frozen == freezes]
    caught = count_caught(mistakes, proof.caught)  # first, so that one that cannot be planted shows at once
    found = proof.run(freezes=freezes, step={"quick": 9}.get(size, 1))
    what = "freezes, each with what happens in the hours after" if freezes else "kills, each with its recovery"
    done = f"{found.points:,} {what}; {len(proof.ANSWERS)} answers, {found.books.texts:,} texts"
    wrong = tell(found.books.wrong)
    name = FREEZES if freezes else CRASHES
    return Line(name, connection.vendor, done, wrong, caught, len(mistakes), f"{found.books.unknown:,} texts")


def freezes(size: str) -> Line:
    return crashes(size, freezes=True)


def meetings(size: str) -> Line:
    from django.db import connection

    from messaging.tests.proof import races as proof

    planted = proof.mistakes()
    with proof.running() as batch:
        found = [proof.forced(batch, act) for act in proof.ACTS]
        caught = count_caught(planted, lambda name: bool(proof.forced(batch, *planted[name]).too_late))
    done = f"{sum(each.runs for each in found)} meetings: {', '.join(proof.ACTS)} between any two statements of an intent, and back"
    wrong = tell({each.act: each.too_late for each in found if each.too_late})
    return Line(MEETINGS, connection.vendor, done, wrong, caught, len(planted))


def races(size: str) -> Line:
    from django.db import connection

    from messaging.tests.proof import races as proof

    planted, runs = proof.mistakes(), {"quick": 30, "standard": 1000, "full": 10_000}[size]
    with proof.running() as batch:
        found = [proof.at_once(batch, act, runs) for act in proof.ACTS]
        caught = count_caught(
            planted, lambda name: bool(proof.at_once(batch, planted[name][0], MANY, planted[name][1]).too_late)
        )
    wrong = tell({each.act: each.too_late for each in found if each.too_late})
    first = sum(each.act_first for each in found) / sum(each.runs for each in found)
    done = f"{runs:,} runs each of {', '.join(proof.ACTS)} at the moment of an intent; in {first:.0%} the intent came second"
    return Line(RACES, connection.vendor, done, wrong, caught, len(planted))


PARTS: dict[str, tuple[str, Callable[[str], Line]]] = {
    "model": (MODEL, model),
    "crashes": (CRASHES, crashes),
    "freezes": (FREEZES, freezes),
    "meetings": (MEETINGS, meetings),
    "races": (RACES, races),
}
ON_EACH_DATABASE = tuple(name for name in PARTS if name != "model")


def expected() -> set[tuple[str, str]]:
    """The lines docs/proof.md must have, as (proof, database)."""
    databases = ("sqlite", "postgresql")
    return {(MODEL, "")} | {(proof, each) for proof in (CRASHES, FREEZES, MEETINGS, RACES, SOAK) for each in databases}


def main() -> int:
    """One part; its size is quick, standard or full."""
    name, size = sys.argv[1:]
    began = time.monotonic()
    if name != "model":
        os.environ.update({**PLAIN, "DJANGO_SETTINGS_MODULE": "smsportal.settings"})
        os.environ.pop("LEASE_SECONDS", None)
        import django

        django.setup()
    line = PARTS[name][1](size)
    line.seconds = time.monotonic() - began
    json.dump(asdict(line), sys.stdout)
    return 0 if line.is_good else 1


if __name__ == "__main__":
    raise SystemExit(main())
