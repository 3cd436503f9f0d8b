"""Workers that can be killed and frozen: each is `manage.py runworker`, forked from a process that has loaded everything."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from django.core.management import call_command
from django.db import connections

LONG_S = 30  # within which a worker that was asked to end must have ended


def runworker(threads: int) -> Callable[[], None]:
    """The embedded worker."""
    return lambda: call_command("runworker", threads=threads)


@dataclass(slots=True)
class Workers:
    """So many workers at any time: whoever dies is replaced."""

    work: Callable[[], None]
    count: int
    chance: random.Random
    log: Path
    alive: list[int] = field(default_factory=list)
    frozen: dict[int, threading.Timer] = field(default_factory=dict)  # process → what wakes it
    dead: list[int] = field(default_factory=list)  # whose claims nobody has looked at yet
    kills: int = 0
    freezes: int = 0

    def replace(self) -> None:
        """Start workers until there are enough."""
        while len(self.alive) < self.count:
            self.alive.append(self._fork())

    def kill(self) -> None:
        """SIGKILL to one of them with its children, whatever they are doing, and another in its place."""
        pid = self.chance.choice(self.alive)
        self._end(pid, signal.SIGKILL)
        self.kills += 1
        self.replace()

    def freeze(self, seconds: float) -> None:
        """SIGSTOP to one of them, for so long. Whoever asked may by then itself wait for a row that it holds."""
        standing = [pid for pid in self.alive if pid not in self.frozen]
        if len(standing) > 1:
            pid = self.chance.choice(standing)
            os.killpg(pid, signal.SIGSTOP)
            self.frozen[pid] = threading.Timer(seconds, self._wake, [pid])
            self.frozen[pid].start()
            self.freezes += 1

    def wake(self) -> None:
        """SIGCONT to all that stand still."""
        for pid in list(self.frozen):
            self._wake(pid)

    def _wake(self, pid: int) -> None:
        if timer := self.frozen.pop(pid, None):
            timer.cancel()
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGCONT)

    def reap(self) -> None:
        """Replace those that ended by themselves: that is a fault, and the log says which."""
        for pid in list(self.alive):
            ended, _ = os.waitpid(pid, os.WNOHANG)
            if ended:
                self.alive.remove(pid)
                self.dead.append(pid)
        self.replace()

    def stop(self) -> bool:
        """Ask all to end. Whether all did, with nothing left in their hands, in time."""
        self.wake()
        for pid in self.alive:
            os.kill(pid, signal.SIGTERM)
        until, well = time.monotonic() + LONG_S, True
        for pid in list(self.alive):
            while not (ended := os.waitpid(pid, os.WNOHANG))[0] and time.monotonic() < until:
                time.sleep(0.05)
            if ended[0]:
                well &= ended[1] == 0
                self.alive.remove(pid)
            else:
                well = False
                self._end(pid, signal.SIGKILL)
        return well

    def _end(self, pid: int, number: int) -> None:
        os.killpg(pid, number)
        self._wake(pid)
        os.waitpid(pid, 0)
        self.alive.remove(pid)
        self.dead.append(pid)

    def _fork(self) -> int:
        connections.close_all()
        pid = os.fork()
        if pid:
            with suppress(PermissionError, ProcessLookupError):  # it has done so itself by now
                os.setpgid(pid, pid)
            return pid
        code = 1
        os.setpgid(0, 0)
        try:
            output = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.dup2(output, 1)
            os.dup2(output, 2)
            self.work()
            code = 0
        finally:
            os._exit(code)
