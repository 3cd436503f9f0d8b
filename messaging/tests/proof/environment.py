"""What a proof's processes run with: settings as their environment, and the plan of a soak. Imports no Django."""

from __future__ import annotations

from dataclasses import dataclass

# The proofs' own time: what takes minutes in an installation takes seconds.
HURRIED = {"LEASE_SECONDS": "3", "SWEEP_GRACE_SECONDS": "1"}
# Nothing may depend on the hour, and no rule about people may hold a text back.
PLAIN = {
    "QUIET_HOURS": "",
    "HOLIDAYS": "",
    "MAX_TEXTS_PER_DAY": "0",
    "APPROVAL_ABOVE": "1000000000",
    "PAUSE_AFTER": "1000000000",
    "LOG_LEVEL": "CRITICAL",
}
DEADLINES = 1.0, 1.5, 2.0  # of a request, as much shorter as the lease is: to connect, between two bytes, in all
PEOPLE = 12_500  # of a batch
POISON = 166  # last digits of numbers that make the whole call a 400


@dataclass(slots=True)
class Plan:
    """How large a soak is, and what happens in it."""

    texts: int = 3000
    kills: int = 10
    every_s: float = 0.4  # between two kills, on average
    workers: int = 3
    threads: int = 4
    latency_ms: int = 50
    faults: float = 1.0  # as many times the shares of FAULTS
    patience_s: float = 240.0  # for everything to be settled once nobody is killed any more
    seed: int = 1
    mistake: str = ""
    broker: str = ""  # redis or rabbitmq: the Celery deployment instead of `runworker`
