"""Finds, with no broker and no memory, whatever was left behind: expired leases, finished batches, open circuits."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.db.models import F, Q

from messaging import events
from messaging.models import Attempt, Batch, Chunk, Message
from messaging.sending import outcomes
from messaging.statuses import BatchState, ChunkState, MessageState
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.providers.errors import ProviderError

log = logging.getLogger(__name__)

# Beyond the lease: the clocks of two hosts differ, and a worker's last write may be on its way.
GRACE_S: Final = 60
AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found and settled."""

    unknown: int = 0  # chunks whose worker died after the intent
    released: int = 0  # chunks whose worker died before it, in batches that no longer run
    finished: int = 0  # batches
    matched: int = 0  # webhook items that found their message at last
    reopened: int = 0  # accounts whose circuit closed again

    def __bool__(self) -> bool:
        return any((self.unknown, self.released, self.finished, self.matched, self.reopened))


def sweep() -> Swept:
    """Settle everything that is overdue. Any number of sweepers may run at once: each change is conditional."""
    return Swept(
        unknown=sum(_judge(pk) for pk in _expired(ChunkState.SUBMITTING, GRACE_S)),
        released=sum(_release(pk) for pk in _expired(ChunkState.CLAIMED, 0)),
        finished=sum(
            outcomes.finish_if_done(pk)
            for pk in Batch.objects.filter(state=BatchState.RUNNING).values_list("pk", flat=True)
        ),
        matched=events.retry_items(),
        reopened=probe_accounts(),
    )


def _expired(state: str, grace_s: float) -> list[int]:
    late = Chunk.objects.filter(state=state, lease_until__lt=clock.after(-grace_s))
    if state == ChunkState.CLAIMED:
        # Those of running batches are simply claimed again.
        late = late.filter(~Q(batch__state=BatchState.RUNNING))
    return list(late.order_by("id").values_list("pk", flat=True)[:AT_ONCE])


def _judge(chunk_id: int) -> bool:
    """The worker of a submitting chunk is gone: what no receipt proves is unknown, never ready."""
    with transaction.atomic():
        late = Chunk.objects.filter(pk=chunk_id, state=ChunkState.SUBMITTING, lease_until__lt=clock.after(-GRACE_S))
        problem = "The worker stopped between handing over and noting the answer."
        if not late.update(state=ChunkState.UNKNOWN, fence=F("fence") + 1, owner="", lease_until=None, problem=problem):
            return False
        outcomes.lock_messages(Message.objects.filter(chunk=chunk_id))
        Message.objects.filter(chunk=chunk_id, state=MessageState.SUBMITTING).update(
            state=MessageState.UNKNOWN, updated_at=clock.now()
        )
        Attempt.objects.filter(chunk=chunk_id, finished_at=None).update(outcome="unknown")
        outcomes.believe_receipts(Chunk.objects.select_related("batch__account").get(pk=chunk_id))
    return True


def _release(chunk_id: int) -> bool:
    with transaction.atomic():
        outcomes.lock_batch(chunk_id)
        late = Chunk.objects.filter(pk=chunk_id, state=ChunkState.CLAIMED, lease_until__lt=clock.now())
        if not late.update(fence=F("fence") + 1):
            return False
        outcomes.release(chunk_id)
    return True


def probe_accounts() -> int:
    """Ask accounts with an open circuit something harmless; those that answer are sent through again."""
    reopened = 0
    resting = ProviderAccount.objects.filter(is_active=True, circuit_open=True, paused_until__lte=clock.now())
    for account in resting:
        mine = ProviderAccount.objects.filter(pk=account.pk, circuit_open=True, paused_until=account.paused_until)
        if not mine.update(paused_until=clock.after(outcomes.PROBE_S)):
            continue  # another sweeper is asking
        try:
            account.at_provider().check()
        except ProviderError as error:
            ProviderAccount.objects.filter(pk=account.pk).update(circuit_reason=error.text[:500])
        except Exception:  # a mistake of our own: it stays closed, and the others are asked all the same
            log.exception("%s cannot be asked", account)
        else:
            reopened += ProviderAccount.objects.filter(pk=account.pk, circuit_open=True).update(
                circuit_open=False, circuit_reason="", bad_answers=0, paused_until=None
            )
    return reopened
