"""The Celery deployment in a soak: its workers, and a broker that is flushed, stopped and killed while rings are lost,
doubled and late.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Protocol, Self

from smsportal.processes import free_port

AWAY_S = 2.0  # how long the broker is gone, each time
KEPT = 200  # rings that are kept to be repeated late


class Broker(Protocol):
    """What carries the rings. `harm` loses everything in it, and makes it go away for a while."""

    url: str

    def __enter__(self) -> Self: ...

    def __exit__(self, *gone: object) -> None: ...

    def harm(self) -> None: ...


class Redis:
    """A Redis server of a proof's own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *gone: object) -> None:
        self.process.kill()
        self.process.wait()

    def _start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def harm(self) -> None:
        """kill -9: nothing was saved, so its queues are empty when it is back."""
        self.process.kill()
        self.process.wait()
        time.sleep(AWAY_S)
        self._start()


class RabbitMQ:
    """A virtual host of a proof's own on the RabbitMQ of this machine."""

    def __init__(self) -> None:
        self.name = f"proof-{os.getpid()}"
        self.url = f"amqp://guest:guest@127.0.0.1:5672/{self.name}"

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *gone: object) -> None:
        self._call("delete_vhost", self.name)

    def _start(self) -> None:
        self._call("add_vhost", self.name)
        self._call("set_permissions", "-p", self.name, "guest", ".*", ".*", ".*")

    def harm(self) -> None:
        """Its queues, what is in them and every connection to it are gone, and nobody can connect for a while."""
        self._call("delete_vhost", self.name)
        time.sleep(AWAY_S)
        self._start()

    def _call(self, *words: str) -> None:
        subprocess.run(["rabbitmqctl", "-q", *words], check=True, stdout=subprocess.DEVNULL)


BROKERS: dict[str, Callable[[], Broker]] = {"redis": Redis, "rabbitmq": RabbitMQ}


def available() -> list[str]:
    """The brokers whose programs are here."""
    found = {"redis": shutil.which("redis-server"), "rabbitmq": shutil.which("rabbitmqctl")}
    return [name for name, path in found.items() if path]


def celery_worker() -> Callable[[], None]:
    """`celery -A smsportal worker`, without beat: the soak rings."""

    def work() -> None:
        from smsportal.celery import app

        name = f"w{os.getpid()}@proof"
        quietly = ["--loglevel", "critical", "--without-gossip", "--without-mingle"]
        app.worker_main(["worker", "--pool", "prefork", "--concurrency", "2", "--hostname", name, *quietly])

    return work


class Bells:
    """Rings every lane as beat does, but some not at all, some up to five times, and some again much later."""

    def __init__(self, broker: Broker, chance: random.Random) -> None:
        self.broker, self.chance = broker, chance
        self.old: list[str] = []
        self.rings = self.harms = 0

    def ring(self) -> None:
        from messaging.tasks import LANES
        from smsportal.doorbell import ring_now

        for lane in [*LANES, "sweep"]:
            copies = self.chance.choice((0, 1, 1, 1, 2, 5))
            late = [self.chance.choice(self.old)] if self.old and self.chance.random() < 0.2 else []
            for each in [*[lane] * copies, *late]:
                ring_now(each)
                self.rings += 1
            self.old = [*self.old, lane][-KEPT:]

    def harm(self) -> None:
        self.broker.harm()
        self.harms += 1
