"""The sandbox without a network: takes a request for any twin, lets faults befall it, and makes the calls that are due."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from smsportal.sandbox import control
from smsportal.sandbox.callbacks import Callbacks, Deliver
from smsportal.sandbox.exchange import Answer, Request
from smsportal.sandbox.faults import Fault, Faults
from smsportal.sandbox.ocelot import BASE as OCELOT_BASE
from smsportal.sandbox.ocelot import Ocelot

__all__ = ["Answer", "Request", "Seen", "Twins"]

KEPT_REQUESTS = 2000
EARLY_S = 2  # with receipts first, what is due within this time goes out before the answer


@dataclass(frozen=True, slots=True)
class Seen:
    """One request to a twin and what was answered. No header and no body: those may hold secrets."""

    at: datetime
    method: str
    path: str
    status: int
    fault: str


class Twins:
    """All twins of one sandbox. Thread-safe. `deliver` posts a body to an address and gives the status it got."""

    def __init__(self, deliver: Deliver, clock: Callable[[], datetime], *, seed: int = 0, portal: str = "") -> None:
        self.clock = clock
        self.portal = portal
        self.lock = threading.RLock()
        self.callbacks = Callbacks(deliver, clock)
        self.requests: deque[Seen] = deque(maxlen=KEPT_REQUESTS)
        self._seed = seed
        self._fresh()

    def _fresh(self) -> None:
        self.faults = Faults(self._seed)
        self.ocelot = Ocelot(self.callbacks, self.clock, self.faults)

    def reset(self) -> None:
        """Back to the beginning: nothing received, nothing owed, no faults, no addresses."""
        with self.lock:
            self._fresh()
            self.callbacks.forget()
            self.requests.clear()

    def handle(self, request: Request) -> Answer:
        """The answer to any request, with what befalls it on the way in `mishap`."""
        if not request.path.startswith(f"{OCELOT_BASE}/"):
            return control.handle(self, request)
        with self.lock:
            fault = self.faults.pick(self.ocelot.kind_of(request))
        answer = self._answer(request, fault)
        with self.lock:
            self.requests.append(
                Seen(self.clock(), request.method, request.path, answer.status, fault.kind if fault else "")
            )
        if answer.mishap == "receipts_first":
            self.callbacks.run_due(self.clock() + timedelta(seconds=EARLY_S))
            return replace(answer, mishap="")
        return answer

    def _answer(self, request: Request, fault: Fault | None) -> Answer:
        if fault and fault.latency_ms:
            time.sleep(fault.latency_ms / 1000)
        if fault and (refused := fault.before()):
            return refused
        with self.lock:
            answer = self.ocelot.answer(request)
        return fault.after(answer) if fault and answer.status < 400 else answer

    def run_due(self, now: datetime | None = None) -> int:
        """Make every call that is due, retries included; how many were made."""
        return self.callbacks.run_due(now)

    def settle(self) -> int:
        """Make every call that is owed as if all waiting were over; how many were made."""
        return self.callbacks.settle()
