"""Skips what still waits in batches that are to send no more, some thousand texts at a time, so that a stop holds at once.

Of a million texts one statement would take longer than the database allows, and with it the cancelling would fail.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from messaging.models import Batch, Chunk, Message
from messaging.statuses import BatchState, ChunkState, MessageState, Reason
from smsportal import clock
from smsportal.claims import lock_shared

log = logging.getLogger(__name__)

CHUNKS: Final = 50  # of each transaction; some thousand texts
_CANCELLED: Final = Q(state=BatchState.CANCELLED)
_WAITING: Final = (MessageState.HELD, MessageState.READY)
# Within it, whatever a cancelling that broke off left waiting is finished by the sweeper.
_LATELY: Final = timedelta(days=2)


def skip_waiting(batch_id: int, reason: Reason = Reason.CANCELLED, only: Q = _CANCELLED) -> int:
    """Skip every waiting text of a batch for `reason`, as long as `only` holds of the batch. Returns how many.

    Last, those a worker has taken: it finds nothing left to send. May be asked any number of times, by any number.
    """
    skipped = 0
    batch = Batch.objects.filter(only, pk=batch_id)
    ready = Chunk.objects.filter(batch__in=batch, state=ChunkState.READY)
    while True:
        with transaction.atomic():
            lock_shared(Batch, [batch_id])  # what holds of it now holds until the page is written
            rows = ready.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True)
            keys = list(rows[:CHUNKS])
            Chunk.objects.filter(pk__in=keys).update(state=ChunkState.EMPTY)
            left = Message.objects.filter(batch__in=batch, state__in=_WAITING)
            skipped += (left.filter(chunk__in=keys) if keys else left).update(
                state=MessageState.SKIPPED, reason=reason, updated_at=clock.now()
            )
        if not keys:
            return skipped


def skip_cancelled() -> int:
    """Finish what `cancel` began where its process was killed before the end. Returns how many texts were skipped."""
    waiting = Message.objects.filter(batch=OuterRef("pk"), state__in=_WAITING)
    cancelled = Batch.objects.filter(Exists(waiting), state=BatchState.CANCELLED, finished_at__gt=clock.now() - _LATELY)
    return sum(skip_waiting(pk) for pk in cancelled.order_by("pk").values_list("pk", flat=True))


def expire_due() -> int:
    """Skip the texts that have not left by the `expires_at` of their batch, single ones, too. Returns how many.

    What is being composed is left to composing. What is being handed over at this moment is finished.
    """
    due = Q(expires_at__lte=clock.now(), state__in=[BatchState.RUNNING, BatchState.PAUSED])
    waiting = Message.objects.filter(batch=OuterRef("pk"), state__in=_WAITING)
    late = Batch.objects.filter(due, Exists(waiting)).order_by("pk")
    skipped = 0
    for pk in late.values_list("pk", flat=True):
        number = skip_waiting(pk, Reason.EXPIRED, due)
        log.info("Batch %s has expired; %s texts are not sent", pk, number)
        skipped += number
    return skipped
