"""What staff may ask of a batch, from draft to finished. Each move is one conditional UPDATE, so two clicks make one move."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F

from contacts.models import ContactList
from messaging.composing.previewing import LISTS_CHANGED, Preview, snapshot, survey
from messaging.controls.drafting import VOIDED, create, edit, refuse_unsendable
from messaging.controls.moves import move, refusal
from messaging.controls.resending import resolve_unknown, retry_failed
from messaging.controls.singles import send_single
from messaging.models import Batch, Chunk, Message
from messaging.statuses import MOVES, BatchState, ChunkState, MessageState, Reason, allowed
from smsportal import clock
from smsportal.accounts.models import User
from smsportal.problems import Conflict, Wrong

__all__ = [
    "approve",
    "busy",
    "cancel",
    "create",
    "edit",
    "pause",
    "reject",
    "resolve_unknown",
    "resume",
    "retry_failed",
    "send_single",
    "start",
    "submit",
]


def submit(batch: Batch, *, actor: User | None) -> Batch:
    """Say that a draft is ready. Up to APPROVAL_ABOVE recipients it is approved by that; above, somebody else must.

    Stores what would be sent as the snapshot an approval is bound to. Raises Wrong when nobody would get a text or
    nothing can be sent through the account from this sender.
    """
    _refuse_unless(batch, "submit")
    refuse_unsendable(batch.account, batch.sender, batch.operator)
    seen, digest = survey(batch)
    if not seen.recipients:
        raise _nobody(seen)
    needs_approval = seen.recipients > settings.APPROVAL_ABOVE
    move(
        batch,
        "submit",
        actor=actor,
        **{**VOIDED, "snapshot": digest, "waterfall": seen.waterfall, "submitter": actor},
        state=BatchState.PENDING_APPROVAL if needs_approval else BatchState.APPROVED,
    )
    return batch


def _nobody(seen: Preview) -> Wrong:
    falls = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in seen.waterfall.items() if count)
    sentence = f"Nobody would get this text ({falls})." if falls else "The lists of this batch have no contacts."
    return Wrong(sentence, errors={"lists": [sentence]})


def approve(batch: Batch, *, actor: User) -> Batch:
    """Let somebody else's batch go as it was submitted. Raises Conflict for one's own."""
    _refuse_own(batch, actor)
    move(batch, "approve", actor=actor, state=BatchState.APPROVED, approver=actor)
    return batch


def reject(batch: Batch, *, actor: User) -> Batch:
    """Send somebody else's batch back; it may be edited and submitted again. Raises Conflict for one's own."""
    _refuse_own(batch, actor)
    move(batch, "reject", actor=actor, state=BatchState.REJECTED, approver=None, snapshot="")
    return batch


def _refuse_own(batch: Batch, actor: User) -> None:
    if actor.pk in {batch.author_id, batch.submitter_id}:
        mine = [move for move in allowed(batch.state) if move not in ("approve", "reject")]
        raise Conflict("Nobody approves or rejects their own batch; ask a colleague.", allowed=mine)


def start(batch: Batch, *, actor: User | None) -> Batch:
    """Let an approved batch be prepared and sent, now or at its `send_at`; ring "composing" afterwards.

    Raises Conflict when its lists changed since it was approved: then it is a draft again, to be looked at.
    """
    _refuse_unless(batch, "start")
    refuse_unsendable(batch.account, batch.sender, batch.operator)
    if snapshot(batch) != batch.snapshot:
        move(batch, "start", actor=actor, state=BatchState.DRAFT, **{**VOIDED, "problem": LISTS_CHANGED})
        raise Conflict(LISTS_CHANGED, allowed=allowed(batch.state))
    move(batch, "start", actor=actor, state=BatchState.EXPANDING, started_at=clock.now(), problem="")
    return batch


def pause(batch: Batch, *, actor: User | None) -> Batch:
    """Let nothing more leave. Requests on their way are finished: at most one chunk per sending worker."""
    move(batch, "pause", actor=actor, resume_to=F("state"), state=BatchState.PAUSED)
    return batch


def resume(batch: Batch, *, actor: User | None) -> Batch:
    """Go on where it was paused; ring "composing" and "sending" afterwards."""
    move(batch, "resume", actor=actor, state=F("resume_to"), resume_to="", problem="")
    return batch


def cancel(batch: Batch, *, actor: User | None) -> Batch:
    """Send nothing more for good. What waits is skipped in the same transaction; what is on its way is finished."""
    now = clock.now()
    with transaction.atomic():
        move(batch, "cancel", actor=actor, state=BatchState.CANCELLED, finished_at=now, resume_to="")
        Chunk.objects.filter(batch=batch, state=ChunkState.READY).update(state=ChunkState.EMPTY)
        waiting = Message.objects.filter(batch=batch, state__in=[MessageState.HELD, MessageState.READY])
        waiting.update(state=MessageState.SKIPPED, reason=Reason.CANCELLED, updated_at=now)
    return batch


def busy(contact_list: ContactList) -> str:
    """Why `contact_list` must not be emptied or removed now, or "": a batch that uses it is on its way."""
    under_way = [BatchState.EXPANDING, BatchState.RUNNING, BatchState.PAUSED]
    batch = Batch.objects.filter(lists=contact_list, state__in=under_way).first()
    return f"“{batch.name}” is being sent to this list; wait until it is finished, or cancel it." if batch else ""


def _refuse_unless(batch: Batch, action: str) -> None:
    """Refuse early what `move` would refuse, before the audience is walked."""
    fresh: Any = Batch.objects.select_related("moved_by").get(pk=batch.pk)
    if fresh.state not in MOVES[action]:
        raise refusal(fresh, action)
