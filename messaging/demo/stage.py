"""Where the demo plays: its own folder, database and ports, the children that serve it, and the terminal it is told on."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command

from smsportal import processes
from smsportal.processes import Broken, Crew

WEB_PORT, TWINS_PORT = 8000, 8100
STEP_S = 90.0  # the longest any one step may take


def folder(once: bool) -> Path:
    """Where a demo keeps its database and logs. One that is left running is not disturbed by `--once`."""
    return settings.VAR / ("demo-once" if once else "demo")


def environment(once: bool) -> dict[str, str]:
    """The settings of the demo's processes, whatever .env says. Raises Broken when a port is taken."""
    web, twins = (processes.free_port(), processes.free_port()) if once else (WEB_PORT, TWINS_PORT)
    for port, what in ((web, "portal"), (twins, "twins")):
        if processes.is_taken(port):
            raise Broken(
                f"Port {port}, where the {what} would be, is taken: stop what runs there (another `make demo` or "
                "`make run`?), or use `make demo ONCE=1`, which takes free ports."
            )
    return {
        **os.environ,
        # Credentials in .env stay unused: the demo never talks to a real provider.
        **dict.fromkeys(settings.PROVIDER_ENVIRONMENT, ""),
        "DATABASE_URL": f"sqlite:///{folder(once)}/db.sqlite3",
        "PUBLIC_URL": f"http://127.0.0.1:{web}",
        "SANDBOX_URL": f"http://127.0.0.1:{twins}",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "CSRF_TRUSTED_ORIGINS": f"http://127.0.0.1:{web},http://localhost:{web}",
        "TLS": "no",
        "BEHIND_PROXY": "no",
        "DEBUG": "no",
        "DOORBELL": "thread",
        "QUIET_HOURS": "",  # the demo does not depend on the hour it runs at
        "APPROVAL_ABOVE": "500",
        "PHONE_REGION": "US",
        "PHONE_REGIONS": "US",
        "LOG_LEVEL": "WARNING",
    }


def enter(once: bool) -> None:
    """Become the demo: this process starts anew with the demo's settings. Does not return."""
    wanted = environment(once)
    shutil.rmtree(folder(once), ignore_errors=True)
    folder(once).mkdir(parents=True)
    command = processes.manage("demo", "--inside", *(["--once"] if once else []))
    sys.stdout.flush()
    os.execve(command[0], command, wanted)  # noqa: S606 - ourselves


def build(crew: Crew, once: bool) -> None:
    """Make the database and start the twins, the portal and its worker; return when they answer."""
    began = time.monotonic()
    logs = folder(once)
    twins_port = urlsplit(settings.SANDBOX_URL).port or TWINS_PORT
    crew.start("twins", processes.twins(twins_port, settings.PUBLIC_URL), log=logs / "twins.log")
    call_command("migrate", verbosity=0)
    call_command("sync_accounts", verbosity=0)
    bind = urlsplit(settings.PUBLIC_URL).netloc
    crew.start("portal", processes.web(bind), log=logs / "web.log")
    crew.start("worker", processes.manage("runworker"), log=logs / "worker.log")
    crew.wait_for(f"{settings.SANDBOX_URL}/_sandbox/state")
    crew.wait_for(f"{settings.PUBLIC_URL}/health/live")
    say("portal, worker and the providers' twins are up", began)


def twin(what: str, given: object = None) -> Any:
    """Ask the twin's own address `what`, or tell it `given`; its decoded answer."""
    request = urllib.request.Request(  # noqa: S310 - our own twin
        f"{settings.SANDBOX_URL}/_sandbox/{what}",
        data=None if given is None else json.dumps(given).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def wait(
    crew: Crew,
    what: str,
    done: Callable[[], bool],
    *,
    seconds: float = STEP_S,
    progress: Callable[[], str] | None = None,
) -> None:
    """Return when `done()`. Raises Broken when a child ends, or when it takes longer than `seconds`."""
    shown = sys.stdout.isatty()
    until = time.monotonic() + seconds
    while not done():
        crew.check()
        if time.monotonic() > until:
            raise Broken(
                f"{what} took longer than {seconds:.0f} seconds; {progress() if progress else 'see the logs'}."
            )
        if shown:
            print(f"\r\033[K          … {progress() if progress else what}", end="", flush=True)
        time.sleep(0.25)
    if shown:
        print("\r\033[K", end="", flush=True)


def say(what: str, began: float) -> None:
    """One line: how long it took, and what it was."""
    print(f"  {time.monotonic() - began:5.1f} s  {what}", flush=True)
