"""`make test`, last step: the tests on SQLite, then again on every service that is reachable, and a table of what ran.

A service that is not there is skipped and said so; with SMSPORTAL_REQUIRE_SERVICES=1 that is a failure.
The addresses come from TEST_POSTGRES_URL, TEST_REDIS_URL, TEST_RABBITMQ_URL and TEST_CHROMIUM.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

# Two workers: the machines this runs on have two cores, and a SQLite file for each keeps them apart.
PYTEST = [sys.executable, "-m", "pytest", "-q", "-n", "2"]
BY_ITSELF = "not browser and not services"


@dataclass(frozen=True, slots=True)
class Service:
    """Something outside the project that some tests need."""

    name: str
    variable: str
    default: str

    @property
    def address(self) -> str:
        return os.environ.get(self.variable) or self.default

    def is_reachable(self) -> bool:
        """Whether somebody listens there (for Chromium: whether the program is there)."""
        parts = urlsplit(self.address)
        if not parts.hostname:
            return os.access(self.address, os.X_OK)
        try:
            with socket.create_connection((parts.hostname, parts.port or 0), timeout=2):
                return True
        except OSError:
            return False


POSTGRES = Service("PostgreSQL", "TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/smsportal")
REDIS = Service("Redis", "TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
RABBITMQ = Service("RabbitMQ", "TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")
CHROMIUM = Service("Chromium", "TEST_CHROMIUM", "/usr/bin/chromium")
SERVICES = (POSTGRES, REDIS, RABBITMQ, CHROMIUM)


@dataclass(frozen=True, slots=True)
class Run:
    """One call of pytest: what it is called in the table, which tests, on which database, and what it needs."""

    title: str
    tests: str  # pytest's -m
    needs: tuple[Service, ...] = ()
    on_postgres: bool = False
    alone: bool = False  # these tests share one broker

    def start(self) -> str:
        """Run it; "passed", "failed", or "skipped: …" naming what was not reachable."""
        missing = [service.name for service in self.needs if not service.is_reachable()]
        if missing:
            return f"skipped: no {', no '.join(missing)}"
        environment = {**os.environ, **{service.variable: service.address for service in SERVICES}}
        environment.pop("DATABASE_URL", None)
        if self.on_postgres:
            environment["DATABASE_URL"] = POSTGRES.address
        command = [*PYTEST, *(["-n", "0"] if self.alone else []), "-m", self.tests]
        print(f"\n── {self.title}", flush=True)
        code = subprocess.run(command, env=environment, check=False).returncode
        # 5: no test has this mark
        return {0: "passed", 5: "no such tests"}.get(code, "failed")


RUNS = (
    Run("SQLite", BY_ITSELF),
    Run("PostgreSQL", BY_ITSELF, (POSTGRES,), on_postgres=True),
    Run("Brokers, SQLite", "services", (REDIS, RABBITMQ), alone=True),
    Run("Brokers, PostgreSQL", "services", (POSTGRES, REDIS, RABBITMQ), on_postgres=True, alone=True),
    Run("Chromium, SQLite", "browser", (CHROMIUM,)),
    Run("Chromium, PostgreSQL", "browser", (POSTGRES, CHROMIUM), on_postgres=True),
)


def main() -> int:
    """Run everything, print the table, and give the exit code."""
    Path("var").mkdir(exist_ok=True)
    rows = []
    for run in RUNS:
        began = time.monotonic()
        rows.append((run.title, run.start(), time.monotonic() - began))
    print()
    for title, outcome, seconds in rows:
        print(f"{title:<20} {outcome:<40} {seconds:6.1f} s")
    outcomes = {outcome for _, outcome, _ in rows}
    if outcomes - {"passed", "failed"} and os.environ.get("SMSPORTAL_REQUIRE_SERVICES") == "1":
        print("SMSPORTAL_REQUIRE_SERVICES=1: what did not run counts as failed.")
        return 1
    return 1 if "failed" in outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
