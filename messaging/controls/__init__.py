"""What staff may ask of a batch, from draft to finished. Each move is one conditional UPDATE, so two clicks make one move."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db.models import BooleanField, Case, F, Q, Value, When

from contacts.models import ContactList, Segment
from messaging.composing.previewing import Preview, snapshot, survey, voids, what_changed
from messaging.controls.checking import (
    refuse_expired,
    refuse_hidden,
    refuse_overdue,
    refuse_sources,
    refuse_unasked,
    refuse_unsendable,
)
from messaging.controls.correcting import correct
from messaging.controls.drafting import VOIDED, create, edit
from messaging.controls.moves import move, possible, refusal, undoable
from messaging.controls.recipients import FailureClass, Recipient, failure_classes, outcome_counts, outcome_rows
from messaging.controls.resending import resolve_unknown, resolve_unknowns, retry_failed
from messaging.controls.singles import send_single, test_send
from messaging.controls.stopping import skip_cancelled, skip_waiting
from messaging.models import Batch
from messaging.statuses import MOVES, BatchState
from smsportal import clock
from smsportal.accounts.models import User
from smsportal.problems import Changed, Conflict, Wrong

__all__ = [
    "FailureClass",
    "Recipient",
    "approve",
    "before_approve",
    "before_start",
    "before_submit",
    "busy",
    "cancel",
    "correct",
    "create",
    "edit",
    "failure_classes",
    "outcome_counts",
    "outcome_rows",
    "pause",
    "possible",
    "refuse_hidden",
    "reject",
    "resolve_unknown",
    "resolve_unknowns",
    "resume",
    "retry_failed",
    "send_single",
    "skip_cancelled",
    "start",
    "submit",
    "test_send",
    "undo",
]


_NOT_SUBMITTED: Final = (
    "{} since this batch was submitted, so it is a draft again and not approved. "
    "Look at the preview and submit it again."
)


def before_submit(batch: Batch) -> tuple[Preview, str]:
    """What `submit` does before it writes: refuse, and walk the audience. Its `found`, for this `batch` as it was read.

    For whoever submits in a transaction: on SQLite nobody else writes as long as one is open.
    """
    _refuse_unless(batch, "submit")
    refuse_sources(batch)
    refuse_overdue(batch)
    refuse_unsendable(batch.account, batch.sender, batch.operator)
    refuse_expired(batch.expires_at, _leaves_at(batch) or clock.now())
    seen, digest = survey(batch)
    if not seen.recipients:
        raise _nobody(seen)
    return seen, digest


def submit(batch: Batch, *, actor: User | None, found: tuple[Preview, str] | None = None) -> Batch:
    """Say that a draft is ready. Up to APPROVAL_ABOVE recipients it is approved by that; above, somebody else must.

    Stores what would be sent as the snapshot an approval is bound to. Raises Wrong when nobody would get a text or
    nothing can be sent through the account from this sender. `found`: of `before_submit`.
    """
    seen, digest = found or before_submit(batch)
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
    return Wrong(sentence, errors={"expires_at" if seen.waterfall["expired"] else "lists": [sentence]})


def before_approve(batch: Batch, *, actor: User, seen: str | None = None) -> str:
    """What `approve` does before it writes: refuse, and walk the audience. Its `found`, for this `batch` as it was read."""
    _refuse_own(batch, actor)
    _refuse_unless(batch, "approve")
    _refuse_unseen(batch, seen)
    return snapshot(batch)


def approve(batch: Batch, *, actor: User, seen: str | None = None, found: str | None = None) -> Batch:
    """Let somebody else's batch go as it was submitted. Raises Conflict for one's own: written, edited or submitted.

    `seen`: the snapshot of what the approver was shown; raises Changed when it is another by now. Raises Conflict when
    its lists changed since it was submitted: then it is a draft again. `found`: of `before_approve`.
    """
    found = found or before_approve(batch, actor=actor, seen=seen)
    if found != batch.snapshot:
        only, why = Q(snapshot=batch.snapshot), _NOT_SUBMITTED.format(what_changed(batch))
        move(batch, "approve", actor=actor, only=only, state=BatchState.DRAFT, **{**VOIDED, "problem": why})
        raise Conflict(why, allowed=possible(batch))
    move(batch, "approve", actor=actor, only=Q(snapshot=batch.snapshot), state=BatchState.APPROVED, approver=actor)
    return batch


def reject(batch: Batch, *, actor: User) -> Batch:
    """Send somebody else's batch back; it may be edited and submitted again. Raises Conflict for one's own."""
    _refuse_own(batch, actor)
    move(batch, "reject", actor=actor, state=BatchState.REJECTED, approver=None, snapshot="")
    return batch


def _refuse_own(batch: Batch, actor: User) -> None:
    if batch.is_of(actor):
        others = [move for move in possible(batch) if move not in ("approve", "reject")]
        own = actor.pk in {batch.author_id, batch.submitter_id}
        why = "" if own else "You edited it, so it is yours, too. "
        raise Conflict(f"{why}Nobody approves or rejects their own batch; ask a colleague.", allowed=others)


def _refuse_unseen(batch: Batch, seen: str | None) -> None:
    if seen is not None and seen != batch.snapshot:
        raise Changed(f"“{batch.name}” was submitted anew since you looked at it. Look at it again.")


def before_start(
    batch: Batch, *, undo_s: float = 0, typed: int | None = None, seen: str | None = None, late: bool = False
) -> str:
    """What `start` does before it writes: refuse, and walk the audience. Its `found`, for this `batch` as it was read."""
    _refuse_unless(batch, "start")
    _refuse_unseen(batch, seen)
    _refuse_miscounted(batch, typed)
    if not late:
        refuse_unasked(batch)
    refuse_unsendable(batch.account, batch.sender, batch.operator)
    refuse_expired(batch.expires_at, _leaves_at(batch, undo_s) or clock.now())
    return snapshot(batch)


def start(
    batch: Batch,
    *,
    actor: User | None,
    undo_s: float = 0,
    typed: int | None = None,
    seen: str | None = None,
    late: bool = False,
    found: str | None = None,
) -> Batch:
    """Let an approved batch be prepared and sent, now or at its `send_at`; ring "composing" afterwards.

    For `undo_s` seconds nothing is prepared, and `undo` takes it back. `typed`: how many texts the person says there
    are; raises Wrong when there are others. `seen`: the snapshot of what the person was shown. `late`: the person knows
    that its time has passed; raises Wrong when it is overdue otherwise. Raises Conflict when its lists changed since it
    was approved: then it is a draft again, to be looked at. `found`: of `before_start`.
    """
    found = found or before_start(batch, undo_s=undo_s, typed=typed, seen=seen, late=late)
    leaves_at, now = _leaves_at(batch, undo_s), clock.now()
    if found != batch.snapshot:
        why = voids(batch)
        move(batch, "start", actor=actor, state=BatchState.DRAFT, **{**VOIDED, "problem": why})
        raise Conflict(why, allowed=possible(batch))
    move(
        batch,
        "start",
        actor=actor,
        only=Q(snapshot=batch.snapshot),
        state=BatchState.EXPANDING,
        started_at=now,
        leaves_at=leaves_at,
        # Who starts it after its time knows that it is late.
        late_allowed=batch.send_at is not None and batch.send_at <= now,
        problem="",
    )
    return batch


def _leaves_at(batch: Batch, undo_s: float = 0) -> datetime | None:
    """When preparing may begin; None: at once."""
    return max(filter(None, [batch.send_at, clock.after(undo_s) if undo_s > 0 else None]), default=None)


def _refuse_miscounted(batch: Batch, typed: int | None) -> None:
    falls = batch.waterfall or {}
    texts = falls.get("will_send", 0) + falls.get("quiet_hours", 0)
    if typed is not None and typed != texts:
        sentence = f"There are {texts:,} texts, not {typed:,}. Look at the preview, then type how many there are."
        raise Wrong(sentence, errors={"typed": [sentence]})


def undo(batch: Batch, *, actor: User | None) -> Batch:
    """Take a start back: approved again, as if it had not been started. Raises Conflict once preparing may have begun.

    The fence is raised: a worker whose clock runs ahead may have claimed it already, and what it writes hits no row.
    """
    claim_lost: dict[str, Any] = {"fence": F("fence") + 1, "owner": "", "lease_until": None}
    move(
        batch,
        "undo",
        actor=actor,
        only=undoable(),
        state=BatchState.APPROVED,
        started_at=None,
        leaves_at=None,
        late_allowed=False,
        **claim_lost,
    )
    return batch


def pause(batch: Batch, *, actor: User | None) -> Batch:
    """Let nothing more leave. Requests on their way are finished: at most one chunk per sending worker."""
    move(batch, "pause", actor=actor, resume_to=F("state"), state=BatchState.PAUSED)
    return batch


def resume(batch: Batch, *, actor: User | None) -> Batch:
    """Go on where it was paused, be it overdue by now; ring "composing" and "sending" afterwards."""
    late = Case(
        When(send_at__lte=clock.now(), then=Value(value=True)), default=F("late_allowed"), output_field=BooleanField()
    )
    move(batch, "resume", actor=actor, state=F("resume_to"), resume_to="", problem="", late_allowed=late)
    return batch


def cancel(batch: Batch, *, actor: User | None) -> Batch:
    """Send nothing more for good. What waits is skipped at once; what is on its way is finished."""
    move(batch, "cancel", actor=actor, state=BatchState.CANCELLED, finished_at=clock.now(), resume_to="")
    skip_waiting(batch.pk)
    return batch


def busy(used: ContactList | Segment) -> str:
    """Why a list must not be emptied or removed now, or a segment removed, or "": a batch that uses it is on its way.

    A segment stays as soon as a batch with it is submitted: its conditions are part of what is approved.
    """
    under_way = [BatchState.EXPANDING, BatchState.RUNNING, BatchState.PAUSED]
    if isinstance(used, Segment):
        batch = used.batches.exclude(state__in=[BatchState.DRAFT, BatchState.FINISHED, BatchState.CANCELLED]).first()
        return _uses(batch, "this segment") if batch else ""
    batches = Batch.objects.filter(Q(lists=used) | Q(segments__contact_list=used), state__in=under_way)
    batch = batches.first()
    return _uses(batch, "this list") if batch else ""


def _uses(batch: Batch, what: str) -> str:
    if batch.state in MOVES["edit"]:
        return f"“{batch.name}” is to be sent to {what}; choose others in it, or cancel it."
    return f"“{batch.name}” is being sent to {what}; wait until it is finished, or cancel it."


def _refuse_unless(batch: Batch, action: str) -> None:
    """Refuse early what `move` would refuse, before the audience is walked."""
    fresh: Any = Batch.objects.select_related("moved_by").get(pk=batch.pk)
    if fresh.state not in MOVES[action]:
        raise refusal(fresh, action)
