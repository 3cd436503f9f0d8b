"""Finds, with no broker and no memory, whatever was left behind: expired leases, finished batches, open circuits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q

from messaging import controls, events, guarding
from messaging.controls.stopping import expire_due
from messaging.models import Attempt, Batch, Chunk, Message
from messaging.sending import holding, lookups, outcomes, releasing, standing
from messaging.statuses import BatchState, ChunkState, MessageState
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.providers.errors import ProviderError
from smsportal.sql import AWAY

log = logging.getLogger(__name__)

AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found and settled."""

    unknown: int = 0  # chunks whose worker died after the intent
    released: int = 0  # chunks whose worker died before it, in batches that no longer run
    finished: int = 0  # batches
    matched: int = 0  # webhook items that found their message at last
    found: int = 0  # unknown texts that a transcript proved to have been sent
    expired: int = 0  # texts that were not to be sent so late
    skipped: int = 0  # texts that still waited in cancelled batches
    moved: int = 0  # waiting chunks that are held until another moment than they were, or no more
    paused: int = 0  # batches of which too much failed or is unknown, or that made too many opt out
    reopened: int = 0  # accounts whose circuit closed again

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) for each in fields(self))


def sweep() -> Swept:
    """Settle everything that is overdue. Any number of sweepers may run at once: each change is conditional.

    A duty that fails is logged and leaves the others alone; it is tried again by the next sweep.
    """
    return Swept(**{name: _safely(name, duty) for name, duty in {**_DUTIES, **_QUESTIONS}.items()})


def settle() -> Swept:
    """Of `sweep`, what takes only the database."""
    return Swept(**{name: _safely(name, duty) for name, duty in _DUTIES.items()})


def ask() -> Swept:
    """Of `sweep`, what asks providers. It may take minutes where they do not answer."""
    return Swept(**{name: _safely(name, duty) for name, duty in _QUESTIONS.items()})


def _safely(name: str, duty: Callable[[], int]) -> int:
    try:
        return duty()
    except Exception as failure:
        log.exception("The sweeper failed at what it counts as %s; it goes on", name)
        if isinstance(failure, AWAY) and not connection.in_atomic_block:
            connection.close()
        return 0


def _judge_all() -> int:
    return sum(_safely("unknown", partial(_judge, pk)) for pk in _expired(ChunkState.SUBMITTING, grace_s()))


def _release_all() -> int:
    return sum(_release(pk) for pk in _expired(ChunkState.CLAIMED, 0))


def _finish_all() -> int:
    running = Batch.objects.filter(state=BatchState.RUNNING).values_list("pk", flat=True)
    return sum(outcomes.finish_if_done(pk) for pk in running)


def grace_s() -> float:
    """Beyond the lease: the clocks of two hosts differ, and a worker's last write may be on its way."""
    return float(settings.SWEEP_GRACE_SECONDS)


def _expired(state: str, grace_s: float) -> list[int]:
    late = Chunk.objects.filter(state=state, lease_until__lt=clock.after(-grace_s))
    if state == ChunkState.CLAIMED:
        # Those of running batches are simply claimed again.
        late = late.filter(~Q(batch__state=BatchState.RUNNING))
    return list(late.order_by("id").values_list("pk", flat=True)[:AT_ONCE])


def _judge(chunk_id: int) -> bool:
    """The worker of a submitting chunk is gone: what no receipt proves is unknown, never ready."""
    with transaction.atomic():
        late = Chunk.objects.filter(pk=chunk_id, state=ChunkState.SUBMITTING, lease_until__lt=clock.after(-grace_s()))
        problem = "The worker stopped between handing over and noting the answer."
        judged = {"state": ChunkState.UNKNOWN, "fence": F("fence") + 1, "owner": "", "lease_until": None}
        if not late.update(**judged, problem=problem, look_at=clock.now() + outcomes.FIRST_LOOK):
            return False
        releasing.lock_messages(Message.objects.filter(chunk=chunk_id))
        Message.objects.filter(chunk=chunk_id, state=MessageState.SUBMITTING).update(
            state=MessageState.UNKNOWN, updated_at=clock.now()
        )
        Attempt.objects.filter(chunk=chunk_id, finished_at=None).update(outcome="unknown")
        # Without the keys of its account, which may be lost: what is judged asks nobody.
        found = Chunk.objects.select_related("batch__account").defer("batch__account__secrets").get(pk=chunk_id)
        outcomes.believe_receipts(found)
    return True


def _release(chunk_id: int) -> bool:
    with transaction.atomic():
        releasing.lock_batch(chunk_id)
        late = Chunk.objects.filter(pk=chunk_id, state=ChunkState.CLAIMED, lease_until__lt=clock.now())
        if not late.update(fence=F("fence") + 1):
            return False
        releasing.release(chunk_id)
    return True


def probe_accounts() -> int:
    """Ask accounts with an open circuit something harmless; those that answer are sent through again."""
    reopened = 0
    resting = ProviderAccount.objects.filter(is_active=True, circuit_open=True, paused_until__lte=clock.now())
    for pk, paused_until in resting.values_list("pk", "paused_until"):
        mine = ProviderAccount.objects.filter(pk=pk, circuit_open=True, paused_until=paused_until)
        if not mine.update(paused_until=clock.after(standing.PROBE_S)):
            continue  # another sweeper is asking
        try:
            ProviderAccount.objects.get(pk=pk).at_provider().check()
        except ProviderError as error:
            ProviderAccount.objects.filter(pk=pk).update(circuit_reason=error.text[:500])
        except Exception:  # a mistake of our own, or lost keys: it stays closed, and the others are asked all the same
            log.exception("Account %s cannot be asked", pk)
        else:
            reopened += standing.reopen(pk)
    return reopened


# What a sweep does, under the names of what it counts.
_DUTIES: Final[dict[str, Callable[[], int]]] = {
    "unknown": _judge_all,
    "released": _release_all,
    "finished": _finish_all,
    "matched": events.retry_items,
    "expired": expire_due,
    "skipped": controls.skip_cancelled,
    "moved": holding.hold_anew,
    "paused": guarding.guard,
}
_QUESTIONS: Final[dict[str, Callable[[], int]]] = {"found": lookups.look_up, "reopened": probe_accounts}
