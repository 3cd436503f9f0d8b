"""Why something may not be done to a batch as it stands: said before the question, in the words of the verb that refuses."""

from __future__ import annotations

from messaging import controls
from messaging.admin.questions import STANDING, reached, unstarted, written_already
from messaging.controls.moves import refusal
from messaging.controls.recipients import failed
from messaging.models import Batch
from messaging.statuses import MOVES, BatchState, MessageState
from smsportal.accounts.models import User


def why_not(batch: Batch, deed: str, person: User) -> str:
    """A sentence, or "" when `person` may be asked whether to do `deed` to `batch`."""
    if deed == "retry_failed" and _goes_again(batch):
        return f"What failed in “{batch.name}” is being sent again already; there is nothing more to do."
    move = deed.replace("_", "-")
    if move in MOVES and move not in controls.possible(batch):
        return refusal(batch, move).detail
    if deed == "retry_failed" and not failed(batch).exists():
        return "Nothing in this batch failed that could be sent again."
    if deed == "correct":
        return _why_no_correction(batch)
    if deed in {"close_unknown", "resend_unknown"}:
        return _why_not_settled(batch, person, again=deed == "resend_unknown")
    return ""


def _goes_again(batch: Batch) -> bool:
    """Whether texts of a batch that were tried before are on their way."""
    waiting = [MessageState.HELD, MessageState.READY, MessageState.CLAIMED, MessageState.SUBMITTING]
    tried = batch.messages.filter(state__in=waiting, attempt__gt=0)
    return batch.state == BatchState.RUNNING and tried.exists()


def _why_no_correction(batch: Batch) -> str:
    if batch.single:
        return "This is a text to one person; write to that number again instead of correcting it."
    if batch.state in {BatchState.EXPANDING, BatchState.RUNNING}:
        return f"“{batch.name}” is still being sent. Pause or cancel it; then correct it to those who got it."
    if batch.state not in STANDING or not reached(batch):
        return f"Nobody got “{batch.name}”, so there is nothing to correct."
    written = unstarted(batch)
    return written_already(written) if written else ""


def _why_not_settled(batch: Batch, person: User, *, again: bool) -> str:
    if not batch.messages.filter(state=MessageState.UNKNOWN).exists():
        return "No text of this batch is unknown any more; nothing needs to be settled."
    if again and batch.is_of(person):
        return "Sending again takes somebody who may approve batches and did not write this one."
    if again and batch.state == BatchState.CANCELLED:
        return "The batch was cancelled, so nothing of it is sent; write the text off."
    return ""
