"""The calls the twins owe the portal: when each is due, what came of every attempt, and when one is given up."""

from __future__ import annotations

import heapq
import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

# "If Ocelot re-sends the event payload due to an error response, retries will use the same event Uuid" (Texting API);
# how often and after how long is not documented. After the last wait the call is given up.
RETRY_WAITS_S = (1, 5, 30, 120, 600)
KEPT_CALLS = 1000

Deliver = Callable[[str, dict[str, str], bytes], int]


@dataclass(slots=True)
class Call:
    """One call to the portal. A repetition has the same body, event ids included."""

    url: str
    kind: str  # status | reply | campaign | opt
    body: bytes
    due: datetime
    attempts: list[tuple[datetime, str]] = field(default_factory=list)  # when, and the status or the error
    state: str = "waiting"  # waiting | taken | given up | nowhere to go

    def as_json(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "kind": self.kind,
            "body": json.loads(self.body),
            "due": self.due.isoformat(),
            "attempts": [{"at": at.isoformat(), "result": result} for at, result in self.attempts],
            "state": self.state,
        }


class Callbacks:
    """All calls owed, by time. Thread-safe; no lock is held while the portal is being called."""

    def __init__(self, deliver: Deliver, clock: Callable[[], datetime]) -> None:
        self.deliver = deliver
        self.clock = clock
        self.log: deque[Call] = deque(maxlen=KEPT_CALLS)
        self._waiting: list[tuple[datetime, int, Call]] = []
        self._order = count()
        self._lock = threading.Lock()

    def owe(self, url: str, kind: str, payload: object, *, after_s: float = 0) -> Call:
        """Call `url` with `payload` as JSON in `after_s` seconds. Without an address it is only shown."""
        call = Call(url, kind, json.dumps(payload).encode(), self.clock() + timedelta(seconds=after_s))
        with self._lock:
            self.log.append(call)
            if url:
                heapq.heappush(self._waiting, (call.due, next(self._order), call))
            else:
                call.state = "nowhere to go"
        return call

    def newest(self, most: int) -> list[Call]:
        """The calls owed last, oldest first, at most `most` of them."""
        with self._lock:
            return list(self.log)[-most:]

    @property
    def waiting(self) -> int:
        """How many calls are still owed."""
        return len(self._waiting)

    def run_due(self, now: datetime | None = None) -> int:
        """Make every call that is due at `now`, and those that become due by it; how many were made."""
        made = 0
        moment = now or self.clock()
        while call := self._next(moment):
            self._attempt(call, moment)
            made += 1
        return made

    def settle(self) -> int:
        """Make every call that is owed, retries included, as if all the waiting were over; how many were made."""
        made = 0
        while self._waiting:
            made += self.run_due(self._waiting[0][0])
        return made

    def forget(self) -> None:
        """Owe nothing and show nothing."""
        with self._lock:
            self.log.clear()
            self._waiting.clear()

    def _next(self, now: datetime) -> Call | None:
        with self._lock:
            if self._waiting and self._waiting[0][0] <= now:
                return heapq.heappop(self._waiting)[2]
        return None

    def _attempt(self, call: Call, now: datetime) -> None:
        try:
            status = self.deliver(call.url, {"Content-Type": "application/json"}, call.body)
            result = str(status)
            taken = 200 <= status < 300
        except Exception as wrong:  # a call that cannot be made is repeated, whatever stood in its way
            result, taken = getattr(wrong, "strerror", None) or f"{type(wrong).__name__}: {wrong}"[:200], False
        with self._lock:
            call.attempts.append((now, result))
            if taken:
                call.state = "taken"
            elif len(call.attempts) > len(RETRY_WAITS_S):
                call.state = "given up"
            else:
                call.due = now + timedelta(seconds=RETRY_WAITS_S[len(call.attempts) - 1])
                heapq.heappush(self._waiting, (call.due, next(self._order), call))
