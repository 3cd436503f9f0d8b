"""The real worker as a process of its own, killed in the middle of a batch: nothing lost, nobody texted twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from messaging.models import Batch, Chunk, Message
from messaging.statuses import BatchState, ChunkState
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.tests.world import fiction, make_account, make_batch

PEOPLE = 400


def wait_for(told: Callable[[], Any], seconds: float = 30) -> None:
    ends_at = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < ends_at, "it did not come about in time"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")


@pytest.fixture
def start(live_server: Any) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a process of ours on the test's database; whatever still runs at the end is killed."""
    name = connection.settings_dict["NAME"]
    database = f"sqlite:///{name}" if connection.vendor == "sqlite" else _postgres(name)
    env = {
        **os.environ,
        "DATABASE_URL": database,
        "PUBLIC_URL": live_server.url,
        "QUIET_HOURS": "",
        "SEND_THREADS": "2",
    }
    running: list[subprocess.Popen[bytes]] = []

    def run(*command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, *command], cwd=settings.BASE_DIR, env=env)
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.wait()


def _postgres(name: str) -> str:
    given = connection.settings_dict
    password = f":{given['PASSWORD']}" if given["PASSWORD"] else ""
    return f"postgres://{given['USER']}{password}@{given['HOST']}:{given['PORT'] or 5432}/{name}"


@pytest.fixture
def served_twin(start: Callable[..., Any]) -> str:
    port = free_port()
    start("-m", "smsportal.sandbox", "--port", str(port))
    base = f"http://127.0.0.1:{port}"

    def up() -> bool:
        try:
            ask(f"{base}/_sandbox/state")
        except OSError:
            return False
        return True

    wait_for(up)
    return base


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_kill_9_in_the_middle_of_a_batch_loses_and_doubles_nothing(start, served_twin, settings):
    settings.QUIET_HOURS = ""
    account = make_account(base_url=f"{served_twin}/ocelot/api/v1")
    ProviderAccount.objects.filter(pk=account.pk).update(max_per_call=20)
    account.refresh_from_db()
    ask(f"{served_twin}/_sandbox/faults", {"kind": "latency", "on": "send", "latency_ms": 150})
    batch = make_batch(fiction(PEOPLE))
    for killed in range(1, 4):
        worker = start("manage.py", "runworker")
        wait_for(lambda reached=killed * PEOPLE // 5: _accepted(batch) >= reached)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert sum(batch.counts().values()) == PEOPLE
        # Its leases run out while nobody works.
        at_work = Chunk.objects.filter(state__in=[ChunkState.CLAIMED, ChunkState.SUBMITTING])
        at_work.update(lease_until=clock.now() - timedelta(minutes=10))
    start("manage.py", "runworker")
    wait_for(lambda: Batch.objects.get(pk=batch.pk).state == BatchState.FINISHED)
    counts = {state: count for state, count in batch.counts().items() if count}
    assert sum(counts.values()) == PEOPLE
    assert set(counts) <= {"accepted", "unknown"}
    # Receipts keep coming in; what they prove is not unknown any more.
    log = ask(f"{served_twin}/_sandbox/log")
    copies = Counter(text["e164"] for text in log)
    assert max(copies.values()) == 1
    wait_for(lambda: _accepted(batch) == len(copies))
    unknown = set(Message.objects.filter(batch=batch, state="unknown").values_list("number__e164", flat=True))
    assert unknown.isdisjoint(copies), "a receipt proves every text the twin has"


def _accepted(batch: Batch) -> int:
    return batch.counts()["accepted"]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_sigterm_finishes_what_is_in_hand(start, served_twin, settings):
    settings.QUIET_HOURS = ""
    account = make_account(base_url=f"{served_twin}/ocelot/api/v1")
    ProviderAccount.objects.filter(pk=account.pk).update(max_per_call=20)
    ask(f"{served_twin}/_sandbox/faults", {"kind": "latency", "on": "send", "latency_ms": 300})
    batch = make_batch(fiction(PEOPLE))
    worker = start("manage.py", "runworker")
    wait_for(lambda: _accepted(batch) > 0)
    worker.terminate()
    assert worker.wait(30) == 0
    counts = {state: count for state, count in batch.counts().items() if count}
    assert set(counts) == {"accepted", "ready"}
