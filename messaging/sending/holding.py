"""Keeps what waits for its hour in step with the hours: a holiday that is removed holds nothing any more."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from messaging import hours
from messaging.models import Batch, Chunk, Message
from messaging.models.calendar import holidays_of
from messaging.sending import releasing
from messaging.statuses import BatchState, ChunkState, MessageState, Reason
from smsportal import clock
from smsportal.claims import lock_shared
from smsportal.problems import Wrong

log = logging.getLogger(__name__)

CHUNKS: Final = 50  # of each transaction; some thousand texts


def hold_anew() -> int:
    """Work out again until when waiting chunks are held, and change what is otherwise by now. Returns how many chunks.

    It was worked out when they were written or taken; since then a holiday may have been entered, moved or removed, or
    the quiet hours been set otherwise. Asked once for all chunks of a unit in the same zones. What may leave is ready.
    Workers look at the hours themselves before anything leaves, so this decides when they look, not what is sent. Any
    number of sweepers may do it at once.
    """
    now, changed = clock.now(), 0
    waiting = Chunk.objects.filter(
        state=ChunkState.READY, not_before__gt=now, batch__state__in=[BatchState.RUNNING, BatchState.PAUSED]
    )
    kinds = waiting.order_by().values_list("batch__unit", "batch__unit__time_zone", "zones", "not_before").distinct()
    for unit, home, zones, until in kinds:
        try:
            opens = hours.opens_at(now, zones=zones or home, quiet=settings.QUIET_HOURS, holidays=holidays_of(unit))
        except Wrong as wrong:
            log.warning("What waits in %s stays as it is: %s", zones or home, wrong)
            continue
        if opens != until:
            changed += _move(waiting.filter(batch__unit=unit, zones=zones, not_before=until), opens)
    return changed


def _move(chunks: QuerySet[Chunk], opens: datetime | None) -> int:
    """Hold these chunks until `opens`, or no more, page by page. How many were still waiting."""
    moved, last = 0, 0
    while page := list(chunks.filter(pk__gt=last).order_by("pk").values_list("pk", "batch_id")[:CHUNKS]):
        last = page[-1][0]
        with transaction.atomic():
            # The order of locks of whoever sends or stops; what was taken or stopped meanwhile is theirs.
            lock_shared(Batch, {batch for _, batch in page})
            rows: QuerySet[Any] = chunks.filter(pk__in=[pk for pk, _ in page])
            keys = list(rows.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
            moved += Chunk.objects.filter(pk__in=keys).update(not_before=opens)
            if opens is None:
                held = Message.objects.filter(chunk__in=keys, state=MessageState.HELD)
                releasing.lock_messages(held)
                held.update(state=MessageState.READY, reason=Reason.NONE, updated_at=clock.now())
    return moved
