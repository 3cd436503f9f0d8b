"""Stops a process at the k-th thing it does outside itself: a statement, a commit, a call of a socket. Killed or frozen."""

from __future__ import annotations

import os
import signal
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection, connections

FROZEN_S = 300.0  # how much later it seems to be to a process that was frozen


@dataclass(slots=True)
class Points:
    """Counts what this process does from now on, and at the `stop_at`-th is killed, or frozen until it is woken."""

    stop_at: int
    freezes: bool = False
    passed: int = 0

    def watch(self) -> None:
        """Begin to count. For a forked child only: nothing is put back."""
        connection.ensure_connection()
        connection.execute_wrappers.append(self._statement)
        connection._commit = self._around(connection._commit)  # type: ignore[method-assign]
        for name in ("connect", "sendall", "recv_into"):
            if not (self.freezes and name == "sendall"):
                # A frozen process that has begun to send is a request under way: see the hold time in `controls.resending`.
                setattr(socket.socket, name, self._around(getattr(socket.socket, name), halves=name == "sendall"))

    def _statement(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self._pass()
        return execute(sql, params, many, context)

    def _around(self, call: Callable[..., Any], *, halves: bool = False) -> Callable[..., Any]:
        def watched(*given: Any) -> Any:
            self._pass()
            if halves:
                if self.passed + 1 == self.stop_at:
                    sock, data = given
                    call(sock, data[: len(data) // 2])
                self._pass()
            result = call(*given)
            self._pass()
            return result

        return watched

    def _pass(self) -> None:
        if self.freezes and self._alone():
            return
        self.passed += 1
        if self.passed == self.stop_at:
            if self.freezes:
                os.kill(os.getpid(), signal.SIGSTOP)
                real = time.monotonic
                time.monotonic = lambda: real() + FROZEN_S
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    def _alone(self) -> bool:
        """Whether nobody can do anything while this process stands still, so that standing still changes nothing."""
        return connection.vendor == "sqlite" and bool(connection.connection and connection.connection.in_transaction)


def child(act: Callable[[], None]) -> int:
    """Do `act` in a forked process with database connections of its own. Its process id; it ends with 0, or 3 when `act` fails."""
    connections.close_all()
    pid = os.fork()
    if pid:
        return pid
    code = 3
    try:
        act()
        code = 0
    except BaseException:
        traceback.print_exc()  # nobody else will: the process ends here
    finally:
        os._exit(code)
