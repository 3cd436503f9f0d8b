"""The soaks as lines of the table: each a process of its own on a fresh database, and with each mistake once more, briefly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from messaging.tests.proof.parts import SOAK, Line, count_caught
from messaging.tests.proof.ringing import available

SIZES: dict[str, dict[str, Any]] = {
    "quick": {"texts": 1500, "kills": 6},
    "standard": {"texts": 100_000, "kills": 220},
    "full": {"texts": 1_000_000, "kills": 2200},
}
# Mistake → what is wrong with it.
PLANTED = {
    "retries a timeout": "doubled",
    "sweeps to ready": "doubled",
    "commits no intent": "without_intent",
    "claims what is being submitted": "doubled",
    "sweeps nothing": "lost",
}
OF_BROKERS = {
    "standard": {"texts": 10_000, "kills": 20, "every_s": 2, "workers": 2},
    "full": {"texts": 100_000, "kills": 200, "every_s": 2, "workers": 2},
}
BRIEF = {"texts": 1500, "kills": 12, "faults": 5, "patience_s": 25}  # with a mistake
TURNS = 3


def soak(database: str, size: str, folder: Path, seed: int) -> Line:
    """The soak of this size on this database, and whether it catches what it must."""
    began = time.monotonic()
    found = run(database, folder, seed=seed, **SIZES[size])
    if isinstance(found, str):
        return Line(SOAK, database, found, 0, 0, 0, seconds=time.monotonic() - began, broken=True)
    planted = list(PLANTED)[: 1 if size == "quick" else None]

    def is_caught(mistake: str) -> bool:
        # Kills fall where chance lets them: a mistake that only one at a certain moment shows may get away once.
        spoiled = (run(database, folder, seed=seed + turn, mistake=mistake, **BRIEF) for turn in range(TURNS))
        return any(not isinstance(found, str) and PLANTED[mistake] in found["wrong"] for found in spoiled)

    caught = count_caught(planted, is_caught)
    return Line(
        SOAK, database, told(found), _wrong(found), caught, len(planted), _unknown(found), time.monotonic() - began
    )


def _wrong(found: dict[str, Any]) -> int:
    if not found["ended_well"]:
        print("A worker that was asked to end did not, or failed.", file=sys.stderr)
    return sum(int(what[0]) for what in found["wrong"].values()) + (not found["ended_well"])


def _unknown(found: dict[str, Any]) -> str:
    return f"{found['unknown']:,} texts, {found['unknown_at_worst']:,} at worst"


def told(found: dict[str, Any]) -> str:
    """What happened in a soak."""
    kills = f", {found['database_kills']} of PostgreSQL or its sessions" if found["database_kills"] else ""
    return (
        f"{found['texts']:,} texts in {found['requests']:,} requests, {found['kills']} kill -9{kills}, "
        f"{found['freezes']} freezes past the lease, {found['opt_outs']} opt-outs, {found['pauses']} pauses"
    )


def run(database: str, folder: Path, **plan: Any) -> dict[str, Any] | str:
    """One soak; what it found, or why it did not come to its end."""
    command = [sys.executable, "-m", "messaging.tests.proof.soak"]
    for name, value in plan.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    environment = dict(os.environ)
    if database == "postgresql":
        command.append("--private-postgres")
    else:
        command.append("--migrate")
        environment["DATABASE_URL"] = f"sqlite:///{folder}/soak-{time.time_ns()}.sqlite3"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.stderr and not plan.get("mistake"):
        print(f"soak, {database}:\n{done.stderr.rstrip()}", file=sys.stderr, flush=True)
    if not done.stdout:
        return f"ended with {done.returncode}: {done.stderr.strip().rpartition(chr(10))[2][:200]}"
    found: dict[str, Any] = json.loads(done.stdout)
    if found["wrong"] and not plan.get("mistake"):
        print(f"soak, {database}: {found['wrong']}", file=sys.stderr, flush=True)
    return found


def brokers(database: str, size: str, folder: Path, seed: int) -> list[Line]:
    """The Celery deployment on each broker whose programs are here, smaller: what it adds are the rings."""
    lines = []
    for broker in available() if size != "quick" else ():
        began, name = time.monotonic(), f"soak, Celery on {broker}"
        found = run(database, folder, seed=seed, broker=broker, **OF_BROKERS[size])
        if isinstance(found, str):
            lines.append(Line(name, database, found, 0, 0, 0, seconds=time.monotonic() - began, broken=True))
            continue
        done = f"{told(found)}; {found['rings']:,} rings lost, doubled and late, {found['broker_kills']} losses of the broker"
        took = time.monotonic() - began
        lines.append(Line(name, database, done, _wrong(found), 0, 0, _unknown(found), took))
    return lines
