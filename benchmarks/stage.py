"""Where a measurement plays: a database of its own, made and dropped here, and a process of its own on it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import psycopg

ROOT = Path(__file__).resolve().parent.parent
POSTGRES = os.environ.get("TEST_POSTGRES_URL") or "postgres://postgres@127.0.0.1:5432/smsportal"
RABBITMQ = os.environ.get("TEST_RABBITMQ_URL") or "amqp://guest:guest@127.0.0.1:5672//"

# What holds in every process of a measurement, whatever .env says. The rest is as shipped.
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
    "QUIET_HOURS": "",  # nothing may depend on the hour
    "HOLIDAYS": "",
    "MAX_TEXTS_PER_DAY": "0",  # the same people are written to in every round
    "LOG_LEVEL": "WARNING",
    "DEBUG": "no",
    "TLS": "no",
    "PUBLIC_URL": "http://127.0.0.1:8000",
}


class Failed(Exception):
    """A measurement ended without its figures; the sentence says which."""


def is_reachable(url: str) -> bool:
    """Whether somebody listens there."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=2):
            return True
    except OSError:
        return False


def databases(wanted: str = "") -> list[str]:
    """The databases to measure on: SQLite always, PostgreSQL when it is reachable; or the `wanted` one. Raises Failed."""
    found = ["SQLite", *(["PostgreSQL"] if is_reachable(POSTGRES) else [])]
    if wanted and wanted not in found:
        raise Failed(f"{wanted} is not reachable.")
    return [wanted] if wanted else found


@contextmanager
def database(name: str) -> Iterator[str]:
    """The address of a new, empty database, gone afterwards."""
    if name == "SQLite":
        (ROOT / "var").mkdir(exist_ok=True)
        folder = tempfile.mkdtemp(prefix="bench-", dir=ROOT / "var")  # beside the real one: on the same disk
        try:
            yield f"sqlite:///{folder}/db.sqlite3"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    server, _, _ = POSTGRES.rpartition("/")
    own = f"bench_{os.getpid()}"
    with _admin() as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {own}")
        admin.execute(f"CREATE DATABASE {own}")
        try:
            yield f"{server}/{own}"
        finally:
            admin.execute(f"DROP DATABASE IF EXISTS {own} WITH (FORCE)")


def _admin() -> psycopg.Connection[tuple[Any, ...]]:
    server, _, _ = POSTGRES.rpartition("/")
    return psycopg.connect(f"{server}/postgres".replace("postgres:", "postgresql:", 1), autocommit=True)


def postgres_version() -> str:
    """Its version, "" when it is not reachable."""
    if not is_reachable(POSTGRES):
        return ""
    with _admin() as admin:
        return str(admin.execute("SHOW server_version").fetchone()[0]).split()[0]  # type: ignore[index]


def environment(url: str) -> Mapping[str, str]:
    """What a process on the database at `url` is given; nothing of this machine's providers."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OCELOT_")}
    return {
        **kept,
        **SETTINGS,
        "DATABASE_URL": url,
        "CELERY_BROKER_URL": RABBITMQ,
        "BENCH_QUEUE": f"bench-{os.getpid()}",
    }


class Play(Protocol):
    """Runs one function of a race module on a database, in a process of its own."""

    def __call__(self, module: str, function: str, *given: Any, seconds: float) -> Any: ...


def play(url: str, module: str, function: str, *given: Any, seconds: float) -> Any:
    """What `function` of `benchmarks.<module>` returns when it runs on the database at `url`, in a process of its own.

    `given` and what it returns travel as JSON. Raises Failed when it fails or takes longer than `seconds`. It leads its
    own process group: whatever it has started ends with it.
    """
    command = [sys.executable, "-m", "benchmarks.inside", module, function, *map(json.dumps, given)]
    running = subprocess.Popen(command, cwd=ROOT, env=environment(url), stdout=subprocess.PIPE, start_new_session=True)
    try:
        told, _ = running.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Failed(f"{module}.{function} took longer than {seconds:.0f} seconds.") from None
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    if running.returncode:
        raise Failed(f"{module}.{function} failed; what it said stands above.")
    return json.loads(told.splitlines()[-1])
