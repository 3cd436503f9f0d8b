"""Child processes under one parent: started, waited for and stopped together, whatever becomes of the parent."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

STOP_S = 60  # longer than a call (45 s) and writing down what came of it; killed within it, its texts are unknown
CALM_S = 60  # a child that ran this long is started again at once
LONGEST_PAUSE_S = 30.0
PR_SET_PDEATHSIG = 1  # prctl(2)


class Broken(RuntimeError):
    """A child ended, did not come up, or its port is taken; the sentence says which and what to do."""


@dataclass(slots=True)
class Child:
    """One process: what it is called, what starts it, and where its output goes."""

    name: str
    command: Sequence[str]
    log: Path | None
    environment: Mapping[str, str]
    running: subprocess.Popen[bytes]
    began: float = field(default_factory=time.monotonic)
    pause_s: float = 0.5

    def tail(self, lines: int = 15) -> str:
        """The last lines it wrote, when it writes to a file."""
        if self.log is None:
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Crew:
    """The children of this process. Leaving the `with` block stops them, newest first; so do SIGTERM and SIGHUP."""

    def __init__(self) -> None:
        self.children: list[Child] = []
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, _leave)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Start `command`; its output goes to the file `log`, or to this terminal."""
        child = Child(name, command, log, {**os.environ, **(environment or {})}, _spawn(command, log, environment))
        self.children.append(child)
        return child

    def ended(self) -> list[Child]:
        """The children that are no longer running."""
        return [child for child in self.children if child.running.poll() is not None]

    def check(self) -> None:
        """Raises Broken when a child has ended."""
        for child in self.ended():
            raise Broken(f"The {child.name} ended with code {child.running.returncode}.\n{child.tail()}".rstrip())

    def restart(self, child: Child) -> None:
        """Start a child that has ended once more, after a pause that grows while it keeps ending."""
        calm = time.monotonic() - child.began > CALM_S
        child.pause_s = 1.0 if calm else min(LONGEST_PAUSE_S, child.pause_s * 2)
        time.sleep(child.pause_s)
        child.running = _spawn(child.command, child.log, child.environment)
        child.began = time.monotonic()

    def wait_until(self, ready: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Return when `ready()`. Raises Broken when a child ends or `seconds` pass before."""
        until = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > until:
                raise Broken(f"{what} did not answer within {seconds:.0f} seconds.")
            time.sleep(0.1)

    def wait_for(self, url: str) -> None:
        """Return when `url` answers with a success. Raises Broken when a child ends or a minute passes before."""
        self.wait_until(lambda: answers(url), url)

    def stop(self) -> None:
        """Ask every child to end, newest first, and kill what is left after a while."""
        for child in reversed(self.children):
            if child.running.poll() is None:
                child.running.terminate()
        until = time.monotonic() + STOP_S
        for child in reversed(self.children):
            try:
                child.running.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.running.kill()
                child.running.wait()
        self.children.clear()


def answers(url: str) -> bool:
    """Whether `url` answers with a success within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address
            return 200 <= int(answer.status) < 300
    except (urllib.error.URLError, OSError):
        return False


def is_taken(port: int) -> bool:
    """Whether somebody on this machine listens on `port` already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def web(bind: str) -> list[str]:
    """The command that serves the portal at `bind`: one process, so that caches and limits agree, eight threads."""
    options = ["--workers", "1", "--threads", "8", "--worker-class", "gthread", "--timeout", "60"]
    return [sys.executable, "-m", "gunicorn", "smsportal.wsgi", "--bind", bind, "--log-level", "warning", *options]


def manage(*words: str) -> list[str]:
    """A management command as a process of its own."""
    return [sys.executable, str(Path(__file__).resolve().parent.parent / "manage.py"), *words]


def twins(port: int, portal: str) -> list[str]:
    """The command that serves the twins of the providers; their page links to the portal at `portal`."""
    return [sys.executable, "-m", "smsportal.sandbox", "--port", str(port), "--portal", portal]


def _spawn(command: Sequence[str], log: Path | None, environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    output = log.open("ab") if log else None
    try:
        return subprocess.Popen(  # noqa: S603 - our own commands
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C reaches only the parent, which then stops the children in order
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads here yet
        )
    finally:
        if output:
            output.close()


def _end_with_parent() -> None:
    """Linux only: have the kernel end this child when its parent is killed outright and cannot do it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
