"""Keeps the calls of this process to one provider at a pace, where the provider states no limit of its own."""

from __future__ import annotations

import threading
import time

_turns: dict[str, float] = {}
_turns_lock = threading.Lock()


def wait_for_turn(base_url: str, per_second: float | None) -> None:
    """Sleep until it is this call's turn, so that this process makes at most `per_second` calls to `base_url`."""
    if not per_second:
        return
    with _turns_lock:
        now = time.monotonic()
        turn = max(now, _turns.get(base_url, 0.0))
        _turns[base_url] = turn + 1 / per_second
    time.sleep(turn - now)
