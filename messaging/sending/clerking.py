"""The thread of a driver that asks the database for what can wait: outcomes to write down, chunks to claim."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

from django.db import connection

log = logging.getLogger(__name__)


class Clerk:
    """Does what it is given, in order, while the driver's own thread commits intents.

    Where a second connection would only be in the way it is done at once, by the caller: SQLite lets one writer in at a
    time, and nobody else sees what the caller's own transaction has written.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self.thread: threading.Thread | None = None

    def do(self, job: Callable[[], object]) -> None:
        """Have `job` done, soon. What it has to tell it must put somewhere itself."""
        if connection.vendor == "sqlite" or connection.in_atomic_block:
            job()
            return
        if self.thread is None:
            self.thread = threading.Thread(target=self._work, name=self.name)
            self.thread.start()
        self.jobs.put(job)

    def finish(self) -> None:
        """Return when all that was given is done."""
        if self.thread is not None:
            self.jobs.put(None)
            self.thread.join()
            self.thread = None

    def _work(self) -> None:
        try:
            while (job := self.jobs.get()) is not None:
                try:
                    job()
                except Exception:
                    log.exception("What a driver had to write or to claim failed; the sweeper finds it")
        finally:
            connection.close()
