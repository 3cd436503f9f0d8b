"""④ Turns a started batch into messages: each number of its lists once, ready, held for its hour or left out with a reason.

Page by page, one short transaction each. A page writes its messages, their chunks, the cursor and the counts together,
so a kill anywhere loses nothing, doubles nobody, and the sum over all states is the number of recipients at any commit.

Next: messaging/sending/__init__.py
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from messaging.composing import voiding
from messaging.composing.audience import Audience, Page, Person, abilities_of
from messaging.composing.leases import LEASE_S, mine
from messaging.composing.opening import is_overdue
from messaging.composing.packing import ChunkGone, Packer
from messaging.composing.previewing import Finding, Preview, Sample, preview, preview_for
from messaging.composing.snapshots import begin_snapshot, snapshot, snapshot_of, voids
from messaging.composing.sources import PAGE
from messaging.composing.steps import STEPS, Entry, StepPage, people
from messaging.composing.waterfalls import no_one, pour
from messaging.composing.written import fallen
from messaging.models import Alert, AlertKind, Batch, Message, Waterfall
from messaging.statuses import BatchState, MessageState, Reason
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.claims import Claim, claim, free, let_go
from smsportal.problems import Problem
from smsportal.providers.base import Abilities, Delivery
from smsportal.sql import forget_plans, insert_each, new_uuids
from smsportal.text import clean

__all__ = [
    "STEPS",
    "Entry",
    "Finding",
    "Preview",
    "Sample",
    "StepPage",
    "expand",
    "fallen",
    "next_batch",
    "people",
    "preview",
    "preview_for",
    "snapshot",
]

log = logging.getLogger(__name__)

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
    """Claim the next started batch whose time has come, or None.

    One that is long overdue, because nobody worked when its time came, is paused instead: a person must say whether it
    is still to be sent.
    """
    now = clock.now()
    due = (Q(leaves_at=None) | Q(leaves_at__lte=now)) & (Q(send_at=None) | Q(send_at__lte=now))
    waiting = Batch.objects.filter(free(), due, state=BatchState.EXPANDING).order_by("id")
    while (held := claim(waiting, LEASE_S)) is not None:
        if not _ask_if_overdue(held):
            return held
    return None


def _ask_if_overdue(held: Claim) -> bool:
    """Whether a claimed batch is too late to be sent without being asked for again; then it is paused."""
    batch, now = Batch.objects.select_related("unit").get(pk=held.pk), clock.now()
    expired = batch.expires_at is not None and batch.expires_at <= now  # nothing of it will leave: nothing to ask
    if batch.late_allowed or expired or voiding.is_voided(batch):
        return False
    if batch.send_at is None or not is_overdue(batch):
        return False
    meant = timezone.localtime(batch.send_at, ZoneInfo(batch.unit.time_zone))
    problem = f"It was to be sent on {meant:%d %B at %H:%M} and could not be. Resume it to send it now, or cancel it."
    with transaction.atomic():
        if _pause(held, problem):
            told = f"“{clean(batch.name, 200)}” waits. {problem}"
            Alert.objects.create(unit=batch.unit, batch=batch, kind=AlertKind.OVERDUE, text=told)
            log.warning("Batch %s is overdue and waits to be resumed", held.pk)
        else:
            let_go(Batch, held)  # somebody else stopped it meanwhile
    return True


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
        _pause(held, mistake.detail)
        log.error("Batch %s cannot be composed and is paused: %s", held.pk, mistake.detail)


def _pause(held: Claim, problem: str) -> bool:
    """Pause a claimed batch and let go of it. False when it is not ours to pause any more."""
    paused = mine(held).update(
        state=BatchState.PAUSED,
        resume_to=BatchState.EXPANDING,
        problem=clean(problem, 500),
        owner="",
        lease_until=None,
        updated_at=clock.now(),
    )
    return bool(paused)


def _expand(held: Claim) -> None:
    batch = Batch.objects.select_related("account", "unit").get(pk=held.pk)
    if voiding.is_voided(batch):
        voiding.throw_away(held, batch.problem or voids(batch))
        return
    audience = Audience(batch)
    packer = Packer(batch, per_call(batch.account), audience.opening)
    waterfall = batch.waterfall if batch.expanded_to and batch.waterfall else no_one()
    planned = batch.planned if batch.expanded_to else batch.waterfall
    digest = begin_snapshot(batch)
    digest.update(snapshot_of(_written(batch)))
    for page in audience.pages(after=batch.expanded_to):
        forget_plans()
        try:
            with transaction.atomic():
                still = audience.held(page)
                waterfall = pour(waterfall, still.people, still.contacts, opens=audience.opening)
                written = _write(held, still, {"waterfall": waterfall, "planned": planned}, packer)
        except ChunkGone:  # whoever claims the batch next sees what is still waiting
            written = False
        if not written:
            let_go(Batch, held)
            return
        digest.update(snapshot_of((person.e164, person.text) for person in page.people))
    if batch.snapshot not in {"", digest.hexdigest()}:
        voiding.throw_away(held, voids(batch))
    elif problem := _unapproved(batch, waterfall):
        voiding.throw_away(held, problem)
    else:
        mine(held).update(state=BatchState.RUNNING, owner="", lease_until=None, updated_at=clock.now())


def _unapproved(batch: Batch, waterfall: Waterfall) -> str:
    """Why a batch that was small enough to need no approval needs one now, or "".

    The same people, but more of them get it: some were over the cap when it was submitted, or opted in since.
    """
    texts = waterfall["will_send"] + waterfall["quiet_hours"]
    if not batch.snapshot or batch.approver_id is not None or texts <= settings.APPROVAL_ABOVE:
        return ""
    return f"It would go to {texts:,} people by now, so a colleague must approve it. Look at the preview and submit it again."


def _written(batch: Batch) -> Iterator[tuple[str, str]]:
    """The numbers and texts an earlier worker wrote before it was stopped."""
    if batch.expanded_to:
        yield from batch.messages.order_by("number_id").values_list("number__e164", "text").iterator(PAGE)


def per_call(account: ProviderAccount) -> Abilities:
    """The provider's abilities, with the size of a call cut to what the account was found to take."""
    abilities = abilities_of(account)
    return replace(abilities, max_per_call=min(abilities.max_per_call, account.max_per_call or abilities.max_per_call))


def _write(held: Claim, page: Page, counted: Mapping[str, Waterfall | None], packer: Packer) -> bool:
    """One page, in a transaction. False when the batch is no longer ours to write: then nothing was written."""
    # The batch's row first: whoever pauses or cancels waits for this page, or this page finds it done.
    taken = mine(held).update(
        expanded_to=page.last,
        recipients=F("recipients") + len(page.people),
        **counted,
        lease_until=clock.after(LEASE_S),
        updated_at=clock.now(),
    )
    if taken:
        now = clock.now()
        same = {**_NEW, "batch": held.pk, "created_at": now, "updated_at": now}
        insert_each(Message, _COLUMNS, _rows(page.people, packer), same)
    return bool(taken)


def _rows(people: list[Person], packer: Packer) -> Iterator[tuple[Any, ...]]:
    """The rows of a page: those to be sent, with their chunks, and those left out."""
    going = [person for person in people if not person.reason]
    uuids = iter(new_uuids(len(people)))
    held, ready = (str(MessageState.HELD), str(Reason.QUIET_HOURS)), (str(MessageState.READY), "")
    for person, chunk in packer.pack(going):
        standing = held if chunk.opens else ready
        yield next(uuids), chunk.pk, person.contact, person.number, person.text, person.segments, *standing
    for person in people:
        if person.reason:
            standing = str(MessageState.SKIPPED), person.reason
            yield next(uuids), None, person.contact, person.number, person.text, person.segments, *standing
