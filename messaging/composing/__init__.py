"""④ Turns a started batch into messages: each number of its lists once, ready, held for its hour or left out with a reason.

Page by page, one short transaction each. A page writes its messages, their chunks, the cursor and the counts together,
so a kill anywhere loses nothing, doubles nobody, and the sum over all states is the number of recipients at any commit.

Next: messaging/sending/__init__.py
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from django.db import transaction
from django.db.models import F, Q, QuerySet

from messaging.composing.audience import PAGE, Audience, Page, Person, abilities_of
from messaging.composing.previewing import (
    LISTS_CHANGED,
    Preview,
    Sample,
    begin_snapshot,
    no_one,
    opens_at,
    pour,
    preview,
    snapshot,
    snapshot_of,
)
from messaging.models import Batch, Chunk, Message, Waterfall
from messaging.statuses import BatchState, MessageState, Reason
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.claims import Claim, claim, free, let_go
from smsportal.problems import Problem
from smsportal.providers.base import Abilities, Delivery, pack
from smsportal.sql import delete_all, insert_each
from smsportal.text import clean

__all__ = ["Preview", "Sample", "expand", "next_batch", "preview", "snapshot"]

log = logging.getLogger(__name__)

LEASE_S: Final = 180  # many times what a page takes; every page renews it

_COLUMNS: Final = ("uuid", "chunk", "contact", "number", "text", "segments", "state", "reason")
# The other columns of a message nobody has tried to send yet.
_NEW: Final = {
    "evidence": "",
    "attempt": 0,
    "delivery": Delivery.NONE,
    "reported_failed": False,
    "reported_delivered": False,
    "double_send": False,
    "error_code": "",
    "error_text": "",
    "remote_id": "",
}


def next_batch() -> Claim | None:
    """Claim the next started batch whose time has come, or None."""
    due = Q(send_at=None) | Q(send_at__lte=clock.now())
    return claim(Batch.objects.filter(free(), due, state=BatchState.EXPANDING).order_by("id"), LEASE_S)


def expand(held: Claim) -> None:
    """Write the messages of a claimed batch from where it was left, then set it running: only then may they be sent.

    Stops without a word when the batch was paused or cancelled or the claim was lost: what is written stands, and
    whoever claims it next goes on behind it. When what was written is not what was approved, because somebody changed
    the lists meanwhile, it is thrown away and the batch goes back to draft. A batch that cannot be composed is paused
    with the reason, so that those behind it are.
    """
    try:
        _expand(held)
    except Problem as mistake:
        _mine(held).update(
            state=BatchState.PAUSED,
            resume_to=BatchState.EXPANDING,
            problem=clean(mistake.detail, 500),
            owner="",
            lease_until=None,
            updated_at=clock.now(),
        )
        log.error("Batch %s cannot be composed and is paused: %s", held.pk, mistake.detail)


def _expand(held: Claim) -> None:
    batch = Batch.objects.select_related("account", "unit").get(pk=held.pk)
    opens, abilities = opens_at(batch), per_call(batch.account)
    waterfall = batch.waterfall if batch.expanded_to and batch.waterfall else no_one()
    digest = begin_snapshot(batch)
    digest.update(snapshot_of(_written(batch)))
    for page in Audience(batch).pages(after=batch.expanded_to):
        waterfall = pour(waterfall, page.people, page.contacts, held=opens is not None)
        if not _write(held, page, waterfall, abilities, opens):
            let_go(Batch, held)
            return
        digest.update(snapshot_of((person.e164, person.text) for person in page.people))
    if batch.snapshot in {"", digest.hexdigest()}:
        _mine(held).update(state=BatchState.RUNNING, owner="", lease_until=None, updated_at=clock.now())
    else:
        _throw_away(held)


def _written(batch: Batch) -> Iterator[tuple[str, str]]:
    """The numbers and texts an earlier worker wrote before it was stopped."""
    if batch.expanded_to:
        yield from batch.messages.order_by("number_id").values_list("number__e164", "text").iterator(PAGE)


def per_call(account: ProviderAccount) -> Abilities:
    """The provider's abilities, with the size of a call cut to what the account was found to take."""
    abilities = abilities_of(account)
    return replace(abilities, max_per_call=min(abilities.max_per_call, account.max_per_call or abilities.max_per_call))


def _mine(held: Claim) -> QuerySet[Batch]:
    return Batch.objects.filter(pk=held.pk, fence=held.fence, state=BatchState.EXPANDING)


def _write(held: Claim, page: Page, waterfall: Waterfall, abilities: Abilities, opens: datetime | None) -> bool:
    """One page in one transaction. False when the batch is no longer ours to write: then nothing was written."""
    with transaction.atomic():
        # The batch's row first: whoever pauses or cancels waits for this page, or this page finds it done.
        taken = _mine(held).update(
            expanded_to=page.last,
            recipients=F("recipients") + len(page.people),
            waterfall=waterfall,
            lease_until=clock.after(LEASE_S),
            updated_at=clock.now(),
        )
        if taken:
            now = clock.now()
            same = {**_NEW, "batch": held.pk, "created_at": now, "updated_at": now}
            insert_each(Message, _COLUMNS, _rows(held.pk, page.people, abilities, opens), same)
    return bool(taken)


def _rows(batch: int, people: list[Person], abilities: Abilities, opens: datetime | None) -> Iterator[tuple[Any, ...]]:
    """The rows of a page: those to be sent in chunks of one call each, then those left out."""
    calls = list(pack((person for person in people if not person.reason), abilities))
    chunks = Chunk.objects.bulk_create(Chunk(batch_id=batch, size=len(call), not_before=opens) for call in calls)
    state, reason = (MessageState.HELD, Reason.QUIET_HOURS) if opens else (MessageState.READY, Reason.NONE)
    for chunk, call in zip(chunks, calls, strict=True):
        for person in call:
            yield _row(person, chunk.pk, str(state), str(reason))
    for person in people:
        if person.reason:
            yield _row(person, None, str(MessageState.SKIPPED), person.reason)


def _row(person: Person, chunk: int | None, state: str, reason: str) -> tuple[Any, ...]:
    return uuid4(), chunk, person.contact, person.number, person.text, person.segments, state, reason


def _throw_away(held: Claim) -> None:
    """Void an approval that no longer says what would be sent; a person must look again. Nothing had left."""
    with transaction.atomic():
        voided = _mine(held).update(
            state=BatchState.DRAFT,
            snapshot="",
            waterfall=None,
            recipients=0,
            expanded_to=0,
            started_at=None,
            owner="",
            lease_until=None,
            problem=LISTS_CHANGED,
            updated_at=clock.now(),
        )
        if voided:
            delete_all(Message, "batch", held.pk)
            delete_all(Chunk, "batch", held.pk)
            log.warning("Batch %s goes back to draft: its lists changed since it was approved", held.pk)
