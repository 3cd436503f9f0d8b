"""The embedded worker: imports, syncs, composes, sends, reads webhooks and sweeps, with no broker."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections, connection

from messaging import tasks
from smsportal import collector, doorbell

log = logging.getLogger(__name__)

POLL_S = 0.5  # faces run in other processes, so their rings are not heard here
SWEEP_S = 5.0


class Command(BaseCommand):
    help = "Do the background work of the portal until SIGTERM or Ctrl-C; what is in hand is finished first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="do what can be done now, then exit")
        parser.add_argument("--threads", type=int, default=settings.SEND_THREADS, help="chunks sent at once")

    def handle(self, *args: Any, once: bool, threads: int, **options: Any) -> None:
        if once:
            tasks.drain_all()
            return
        collector.spare()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        works = {
            **tasks.LANES,
            "sending": lambda: tasks.drive(threads, stop.is_set),
            "hooks": lambda: tasks.work_hooks(stop.is_set),
        }
        workers = [threading.Thread(target=tend, args=(lane, work, stop), name=lane) for lane, work in works.items()]
        workers.append(threading.Thread(target=sweep_on, args=(stop,), name="sweep"))
        for worker in workers:
            worker.start()
        self.stdout.write(f"The worker runs, {threads} chunks at once. Stop it with SIGTERM or Ctrl-C.")
        for worker in workers:
            while worker.is_alive():
                worker.join(1)
        self.stdout.write("The worker has stopped; nothing is left in its hands.")


def tend(lane: str, work: Callable[[], bool], stop: threading.Event) -> None:
    """Work on one lane until `stop`; an error (a lost database, say) is logged and the lane goes on."""
    beaten = 0.0
    while not stop.is_set():
        did = False
        try:
            close_old_connections()
            if time.monotonic() - beaten > tasks.BEAT_S:
                tasks.beat(lane)
                beaten = time.monotonic()
            did = work()
        except Exception:
            log.exception("The lane %s failed; it goes on", lane)
            connection.close()
            stop.wait(1)
        if not did:
            doorbell.wait(lane, POLL_S)
    connection.close()


def sweep_on(stop: threading.Event) -> None:
    """Sweep every few seconds until `stop`."""
    while not stop.is_set():
        try:
            close_old_connections()
            tasks.sweep()
        except Exception:
            log.exception("The sweep failed; the next one comes")
            connection.close()
        stop.wait(SWEEP_S)
    connection.close()
