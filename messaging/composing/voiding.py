"""Takes back what was composed of a batch whose approval is void: page by page, from the highest number down.

A million texts in one statement would take longer than the database allows. The mark is that the batch has reached a
number and has no waterfall: whoever claims it then goes on emptying it, and nothing of it can be sent meanwhile.
"""

from __future__ import annotations

import logging
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Count, F
from django.utils import timezone

from messaging.composing.leases import LEASE_S, mine
from messaging.composing.sources import PAGE
from messaging.models import Alert, AlertKind, Batch, Chunk
from messaging.statuses import BatchState
from smsportal import clock
from smsportal.claims import Claim, let_go
from smsportal.sql import among, run, update_each
from smsportal.text import clean

log = logging.getLogger(__name__)


def is_voided(batch: Batch) -> bool:
    """Whether what was composed of `batch` is being thrown away."""
    return bool(batch.expanded_to) and batch.waterfall is None


def throw_away(held: Claim, problem: str) -> None:
    """Empty a claimed batch and make it a draft again for `problem`, with an alert; a person must look again. Nothing had left.

    Stops without a word when it was paused or cancelled or the claim was lost: what is left is in the books.
    """
    reached: int | None = None
    while reached != 0:
        reached = _empty_page(held, problem)
        if reached is None:
            let_go(Batch, held)
            return
    log.warning("Batch %s goes back to draft: %s", held.pk, problem)


def _empty_page(held: Claim, problem: str) -> int | None:
    """The number (PhoneNumber.id) up to which there are texts left, 0 for none; None when it is no longer ours."""
    with transaction.atomic():
        # The batch's row first, as in composing: whoever pauses or cancels waits for this page.
        batch = mine(held).select_for_update(of=("self",)).first()
        if batch is None:
            return None
        written = batch.messages.filter(number__lte=batch.expanded_to).order_by("-number")
        reached = next(iter(written.values_list("number", flat=True)[PAGE : PAGE + 1]), 0)
        deleted = _delete(batch, reached)
        standing = _DRAFT if reached == 0 else {"lease_until": clock.after(LEASE_S)}
        mine(held).update(
            **standing,
            snapshot="",
            waterfall=None,
            problem=problem,
            recipients=F("recipients") - deleted,
            expanded_to=reached,
            updated_at=clock.now(),
        )
        if reached == 0:
            _tell(batch, problem)
    return reached


def _tell(batch: Batch, problem: str) -> None:
    """Raise an alert: whoever started it has gone, and believes that it leaves."""
    meant = timezone.localtime(batch.send_at or batch.started_at, ZoneInfo(batch.unit.time_zone))
    was = "to be sent" if batch.send_at else "started"
    told = f"“{batch.name}” was {was} on {meant:%d %B at %H:%M} and has not left. {problem}"
    Alert.objects.create(unit=batch.unit, batch=batch, kind=AlertKind.VOIDED, text=clean(told, 500))


_DRAFT: Final[dict[str, Any]] = {"state": BatchState.DRAFT, "started_at": None, "owner": "", "lease_until": None}


def _delete(batch: Batch, reached: int) -> int:
    """Delete the texts above `reached` with what they fill of their chunks. Returns how many texts."""
    page = batch.messages.filter(number__gt=reached, number__lte=batch.expanded_to, chunk__isnull=False)
    filled = page.order_by("chunk").values_list("chunk", "chunk__size").annotate(texts=Count("pk"))
    left = [(chunk, size - texts) for chunk, size, texts in filled]
    # Not through the ORM, which would look at every row for what refers to it: nothing does yet.
    deleted = run(
        "DELETE FROM messaging_message WHERE batch_id = %s AND number_id > %s AND number_id <= %s",
        *(batch.pk, reached, batch.expanded_to),
    )
    update_each(Chunk, ["size"], [each for each in left if each[1]])
    if emptied := [chunk for chunk, size in left if not size]:
        run(f"DELETE FROM messaging_chunk WHERE {among('id', emptied)}", emptied)  # noqa: S608 - no data in it
    return deleted
