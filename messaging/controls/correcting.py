"""A second text to those who got a wrong first one, and to nobody else."""

from __future__ import annotations

from django.db import transaction

from messaging.composing.sources import HAS_IT
from messaging.controls.checking import Draft
from messaging.controls.drafting import write
from messaging.controls.moves import possible
from messaging.models import Batch
from messaging.statuses import MOVES, BatchState
from smsportal.accounts.models import User
from smsportal.problems import Conflict
from smsportal.text import clean

# Nothing of it leaves any more, so that who got it is known.
_STANDING = frozenset({BatchState.PAUSED, BatchState.FINISHED, BatchState.CANCELLED})


def correct(batch: Batch, *, actor: User | None, text: str, name: str = "", token: str = "") -> Batch:
    """A new draft to everyone who got the text of `batch`, or may have got it, from the same sender.

    Who is in an earlier correction of it is left out; where all are, it goes to all of them again (see `to_correct`).
    Raises Conflict while it is being sent, when nobody got it, for a single text and while another correction of it
    has not begun; Wrong when the text is wrong. `token` as of `create`.
    """
    if batch.single:
        raise Conflict(
            "This is a text to one person; write to that number again instead of correcting it.",
            allowed=possible(batch),
        )
    if batch.state in {BatchState.EXPANDING, BatchState.RUNNING}:
        raise Conflict(
            f"“{batch.name}” is still being sent. Pause or cancel it; then correct it to those who got it.",
            allowed=possible(batch),
        )
    if batch.state not in _STANDING or not batch.messages.filter(HAS_IT).exists():
        raise Conflict(f"Nobody got “{batch.name}”, so there is nothing to correct.", allowed=possible(batch))
    draft = Draft(
        name=name.strip() or f"Correction: {batch.name}"[:200],
        account=batch.account,
        channel=batch.channel,
        sender=batch.sender,
        operator=batch.operator,
        lists=[],
        segments=[],
        text=clean(text).replace("\r\n", "\n"),
        version=None,
        send_at=None,
        expires_at=None,
        provider_options=batch.provider_options,
        corrects=batch,
    )
    with transaction.atomic():
        # Of two who correct it at once, the second waits here, and then sees the first one's.
        Batch.objects.select_for_update().get(pk=batch.pk)
        _refuse_second(batch, token)
        return write(draft, actor=actor, unit=batch.unit, token=token)


def _refuse_second(batch: Batch, token: str) -> None:
    """Raise Conflict when `batch` has a correction that has not begun, unless the form with this token wrote it."""
    there = batch.corrections.filter(state__in=MOVES["edit"]).order_by("pk").first()
    if there is not None and not (token and there.token == token):
        raise Conflict(
            f"“{there.name}” corrects this batch already and has not begun. Go on with it, edit it or cancel it; "
            "a second one would go to the same people.",
            allowed=possible(batch),
        )
