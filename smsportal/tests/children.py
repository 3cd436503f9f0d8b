"""Fixtures that start real processes of ours beside a test: workers on the test's database, twins on a port."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from smsportal.processes import Child, Crew, free_port

Start = Callable[..., Child]


def wait_for(told: Callable[[], Any], seconds: float = 30) -> None:
    """Return when `told()`; fails the test when that takes longer."""
    ends_at = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < ends_at, "it did not come about in time"
        time.sleep(0.05)


def ask(url: str, body: object = None) -> Any:
    """The JSON answer to a GET of `url`, or to a POST of `body`."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")


def database_url() -> str:
    """The test's database, as DATABASE_URL writes it."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{given['NAME']}"
    password = f":{given['PASSWORD']}" if given["PASSWORD"] else ""
    return f"postgres://{given['USER']}{password}@{given['HOST']}:{given['PORT'] or 5432}/{given['NAME']}"


@pytest.fixture
def start(live_server: Any) -> Iterator[Start]:
    """Starts a Python process on the test's database, told that the portal is the live server."""
    with Crew() as crew:

        def run(*command: str, **environment: str) -> Child:
            given = {"DATABASE_URL": database_url(), "PUBLIC_URL": live_server.url, "QUIET_HOURS": "", **environment}
            return crew.start(" ".join(command[:3]), [sys.executable, *command], environment=given)

        yield run


@pytest.fixture
def served_twin(start: Start) -> str:
    """The address of twins that are served over HTTP by a process of their own."""
    base = f"http://127.0.0.1:{free_port()}"
    start("-m", "smsportal.sandbox", "--port", base.rpartition(":")[2])

    def up() -> bool:
        try:
            ask(f"{base}/_sandbox/state")
        except OSError:
            return False
        return True

    wait_for(up)
    return base
