"""Sends again what failed and settles what is unknown: the only ways a text may leave twice, both asked by a person."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final, NamedTuple

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from messaging.composing import per_call
from messaging.composing.previewing import opens_at
from messaging.controls.moves import move
from messaging.models import Attempt, Batch, Chunk, Message, Receipt
from messaging.statuses import MOVES, BatchState, MessageState, Reason, allowed
from smsportal import clock
from smsportal.accounts.models import User
from smsportal.problems import Conflict, Wrong
from smsportal.providers.base import Delivery, pack
from smsportal.text import clean

# How long an unknown text waits for evidence before a person may send it again.
HOLD: Final = timedelta(minutes=15)

# Everything an earlier attempt left on a message but its number of attempts.
_FRESH: Final[dict[str, Any]] = {
    "delivery": Delivery.NONE,
    "reported_failed": False,
    "reported_delivered": False,
    "error_code": "",
    "error_text": "",
    "remote_id": "",
    "evidence": "",
}


class _Failed(NamedTuple):
    pk: int
    text: str


def failed(batch: Batch, classes: Collection[str] = ()) -> QuerySet[Message]:
    """The messages of `batch` worth another try: refused or reported as failed, not opted out.

    `classes`: only those with one of these error codes.
    """
    refused = Q(state=MessageState.REJECTED) | Q(state=MessageState.ACCEPTED, delivery=Delivery.FAILED)
    found = Message.objects.filter(refused, batch=batch, number__opted_out=False)
    return found.filter(error_code__in=classes) if classes else found


def retry_failed(batch: Batch, *, actor: User | None, classes: Collection[str] = ()) -> Batch:
    """Set a finished batch running again for what failed in it; ring "sending" afterwards.

    Raises Wrong when nothing in it (of these error codes) failed, Conflict when it is not finished.
    """
    opens, abilities = opens_at(batch), per_call(batch.account)
    with transaction.atomic():
        again = [_Failed(pk, text) for pk, text in failed(batch, classes).order_by("pk").values_list("pk", "text")]
        if not again and batch.state in MOVES["retry-failed"]:
            raise Wrong("Nothing in this batch failed that could be sent again.")
        move(batch, "retry-failed", actor=actor, state=BatchState.RUNNING, finished_at=None, problem="")
        calls = list(pack(again, abilities))
        chunks = Chunk.objects.bulk_create(Chunk(batch=batch, size=len(call), not_before=opens) for call in calls)
        for chunk, call in zip(chunks, calls, strict=True):
            _ready(_locked(failed(batch, classes).filter(pk__in=[each.pk for each in call])), chunk)
    return batch


def resolve_unknown(message: Message, *, actor: User, resend: bool) -> Message:
    """Settle a text nobody knows the fate of: send it again at the risk of a second one, or write it off.

    Sending again takes somebody who may approve batches and did not write this one, a quarter of an hour after the
    last attempt; ring "sending" afterwards. Raises Conflict when it is not unknown any more or this person may not.
    """
    if resend:
        _refuse_resending(message, actor)
        with transaction.atomic():
            # Locked also while it is running, lest it be finished before the new chunk is committed.
            Batch.objects.select_for_update().get(pk=message.batch_id)
            Batch.objects.filter(pk=message.batch_id, state=BatchState.FINISHED).update(
                state=BatchState.RUNNING, finished_at=None, moved_by=actor, moved_at=clock.now(), updated_at=clock.now()
            )
            chunk = Chunk.objects.create(batch_id=message.batch_id, size=1, not_before=opens_at(message.batch))
            _one(_ready(_unknown(message), chunk))
            _note(message, actor, "sent again")
    else:
        with transaction.atomic():
            written_off = {"state": MessageState.WRITTEN_OFF, "evidence": "staff", "updated_at": clock.now()}
            _one(_unknown(message).update(**written_off))
            _note(message, actor, "written off")
    message.refresh_from_db()
    return message


def _unknown(message: Message) -> QuerySet[Message]:
    return Message.objects.filter(pk=message.pk, state=MessageState.UNKNOWN)


def _locked(messages: QuerySet[Message]) -> QuerySet[Message]:
    """`messages`, locked, as they are to be chosen once more: a late receipt may just be telling another fate.

    An UPDATE that waits for the receipt's row would not look at the joined condition again.
    """
    rows = Message.objects.select_for_update().filter(pk__in=messages.values_list("pk", flat=True))
    return messages.filter(pk__in=[pk for (pk,) in rows.order_by("pk").values_list("pk")])


def _ready(messages: QuerySet[Message], chunk: Chunk) -> int:
    """Put messages into `chunk` as if they had never been sent; the attempts go on counting."""
    state, reason = (MessageState.HELD, Reason.QUIET_HOURS) if chunk.not_before else (MessageState.READY, Reason.NONE)
    return messages.update(chunk=chunk, state=state, reason=reason, updated_at=clock.now(), **_FRESH)


def _one(changed: int) -> None:
    if changed != 1:
        raise Conflict("What became of this text is known by now; nothing needs to be settled.")


def _note(message: Message, actor: User, what: str) -> None:
    status = clean(f"{what} by {actor.get_full_name() or actor.get_username()}", 100)
    Receipt.objects.create(message=message, attempt=message.attempt, source="staff", status=status, at=clock.now())


def _refuse_resending(message: Message, actor: User) -> None:
    batch = message.batch
    if not actor.has_perm("messaging.approve_batch") or actor.pk == batch.author_id:
        raise Conflict("Sending again takes somebody who may approve batches and did not write this one.")
    if batch.state == BatchState.CANCELLED:
        raise Conflict(
            "The batch was cancelled, so nothing of it is sent; write the text off.", allowed=allowed(batch.state)
        )
    if message.number.opted_out:
        raise Conflict("The person opted out meanwhile; write the text off.")
    last = Attempt.objects.filter(chunk=message.chunk_id).order_by("-pk").first() if message.chunk_id else None
    if last is not None and last.created_at + HOLD > clock.now():
        until = timezone.localtime(last.created_at + HOLD)
        raise Conflict(f"A receipt may still come; wait until {until:%H:%M} before sending it again.")
