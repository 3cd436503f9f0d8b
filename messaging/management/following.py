"""Follows a batch from the terminal: a line whenever the figures change, the table at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from django.core.management.base import CommandError

from messaging.models import Batch, Heartbeat
from messaging.statuses import BatchState, MessageState
from messaging.tallies import Tally, tally
from smsportal import clock

LOOK_S: Final = 1.0
UNATTENDED_S: Final = 60.0  # a lane nobody looked after for so long has no worker
OVER: Final = (BatchState.FINISHED, BatchState.CANCELLED)
_TO_GO: Final = (MessageState.HELD, MessageState.READY, MessageState.CLAIMED, MessageState.SUBMITTING)
_BAD: Final = (MessageState.REJECTED, MessageState.UNKNOWN)
_SHOWN: Final = {"accepted": "handed over", "skipped": "left out", "rejected": "refused", "unknown": "unknown"}


def follow(batch: Batch, say: Callable[[str], None], *, look_s: float = LOOK_S) -> bool:
    """Wait until `batch` is over. True when it is finished and no text was refused or is unknown.

    Says a line whenever the figures change, and the table at the end. Raises CommandError when it waits for a person:
    to approve it, to start it again, or to resume it.
    """
    last, warned = "", False
    if batch.leaves_at and batch.leaves_at > clock.after(UNATTENDED_S):
        say("Ctrl-C ends the waiting; the batch stays scheduled and leaves by itself.")
    while True:
        batch.refresh_from_db()
        now = tally([batch])[batch.pk]
        if (line := progress(batch, now)) != last:
            say(line)
            last = line
        if batch.state in OVER:
            say("")
            for line in table(now):
                say(line)
            return batch.state == BatchState.FINISHED and not any(now.counts[state] for state in _BAD)
        _refuse_waiting_for_people(batch)
        if not warned and (lanes := unattended()):
            say(f"Nobody looks after {' and '.join(lanes)}; start a worker: manage.py runworker")
            warned = True
        time.sleep(look_s)


def _refuse_waiting_for_people(batch: Batch) -> None:
    if batch.state in (BatchState.EXPANDING, BatchState.RUNNING):
        return
    why = batch.problem.rstrip(".") or {
        BatchState.PENDING_APPROVAL: "a colleague must approve it",
        BatchState.PAUSED: "somebody paused it",
    }.get(BatchState(batch.state), "somebody must look at it")
    raise CommandError(f"“{batch}” is {BatchState(batch.state).label.lower()}: {why}. It is not waited for any longer.")


def unattended() -> list[str]:
    """The lanes a batch needs that no worker has looked after lately."""
    fresh = Heartbeat.objects.filter(at__gt=clock.after(-UNATTENDED_S)).values_list("lane", flat=True)
    return sorted({"composing", "sending"} - set(fresh))


def progress(batch: Batch, now: Tally) -> str:
    """One line: how many of how many are done, and what became of them."""
    total = sum(now.counts.values())
    if not total:
        waits = batch.leaves_at and batch.leaves_at > clock.now()
        when = f" at {batch.leaves_at.astimezone():%Y-%m-%d %H:%M:%S %z}" if waits and batch.leaves_at else ""
        return f"{BatchState(batch.state).label}{': leaves' + when if when else ''}"
    left = sum(now.counts[state] for state in _TO_GO)
    parts = [f"{now.counts[state]:,} {said}" for state, said in _SHOWN.items() if now.counts[state]]
    return (
        f"{BatchState(batch.state).label}: {total - left:,} of {total:,} done{': ' + ', '.join(parts) if parts else ''}"
    )


def table(now: Tally) -> Iterator[str]:
    """What became of every text, with us and with the provider; both sum up to the recipients."""
    yield f"{'Texts':<36}{sum(now.counts.values()):>10,}"
    for state, number in now.counts.items():
        if number:
            yield f"  {MessageState(state).label:<34}{number:>10,}"
            if state == MessageState.SKIPPED:
                yield from (f"    {reason:<32}{part:>10,}" for reason, part in sorted(now.skipped.items()))
    yield "Reported by the provider"
    for word, number in now.delivery.items():
        if number:
            yield f"  {word.replace('_', ' '):<34}{number:>10,}"
