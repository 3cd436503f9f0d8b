"""Sends again what failed and settles what is unknown: the only ways a text may leave twice, both asked by a person."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, QuerySet
from django.utils import timezone

from messaging.composing import per_call
from messaging.composing.opening import Opening
from messaging.controls.moves import move, possible
from messaging.controls.recipients import failed
from messaging.models import Attempt, Batch, Chunk, Message, Receipt
from messaging.statuses import BatchState, MessageState, Reason
from smsportal import clock
from smsportal.accounts.models import User
from smsportal.problems import Conflict, Wrong
from smsportal.providers.base import Abilities, Delivery, pack
from smsportal.sql import insert_each, update_each
from smsportal.text import clean

# How long an unknown text waits for evidence before a person may send it again.
HOLD: Final = timedelta(minutes=15)
PAGE: Final = 2000  # messages per round of four statements; twenty full chunks at Ocelot

# Everything an earlier attempt left on a message but its number of attempts.
_FRESH: Final[dict[str, Any]] = {
    "delivery": Delivery.NONE,
    "reported_failed": False,
    "reported_delivered": False,
    "error_code": "",
    "error_text": "",
    "remote_id": "",
}
# That a person had it sent again, not knowing whether it had arrived, stays true in every later attempt.
_DOUBT_STAYS: Final = "evidence = CASE WHEN evidence = 'staff' THEN evidence ELSE '' END"


class _Again(NamedTuple):
    pk: int
    attempt: int
    zones: str
    text: str


# --- what failed -----------------------------------------------------------------------------------------------------
def retry_failed(batch: Batch, *, actor: User | None, classes: Collection[str] = ()) -> Batch:
    """Set a finished batch running again for what failed in it; ring "sending" afterwards.

    `classes`: only what failed with one of these codes (see `failure_classes`). Two statements per 1,000 texts. Raises
    Wrong when nothing in it (of these codes) failed, Conflict when it is not finished or too late to be sent.
    """
    try:
        with transaction.atomic():
            move(batch, "retry-failed", actor=actor, state=BatchState.RUNNING, finished_at=None, problem="")
            _refuse_late(batch)
            again = _Ready(batch)
            if not sum(len(page) for page in again.make(failed(batch, classes), also=_DOUBT_STAYS)):
                raise Wrong("Nothing in this batch failed that could be sent again.")
    except (Wrong, Conflict):
        batch.refresh_from_db()
        raise
    return batch


class _Ready:
    """Puts messages of one batch into new chunks as if they had never been sent; the attempts go on counting."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.opens = Opening(batch)
        self.abilities: Abilities = per_call(batch.account)

    def make(self, chosen: QuerySet[Message], **how: Any) -> Iterator[list[_Again]]:
        """Page by page, until none of `chosen` is left; `how`: what else to write, as `update_each` takes it."""
        for keys in _locked(chosen):
            names = ("pk", "attempt", "chunk__zones", *(("text",) if self.abilities.shared_text else ()))
            # Chosen once more, now that they are locked: a late receipt may have told another fate just before, and
            # the statement that waited for its row has not looked at the joined conditions again.
            rows = chosen.filter(pk__in=keys).order_by("pk").values_list(*names)
            page = [_Again(row[0], row[1], row[2] or "", row[3] if len(row) > 3 else "") for row in rows]
            self._write(page, **how)
            yield page

    def _write(self, page: Sequence[_Again], *, also: str = "", **same: Any) -> None:
        """New chunks and their messages; those of one chunk are in the same zones, so that none waits for another's."""
        now = clock.now()
        calls = [
            (zones, call)
            for zones in dict.fromkeys(each.zones for each in page)
            for call in pack([each for each in page if each.zones == zones], self.abilities)
        ]
        chunks = Chunk.objects.bulk_create(
            Chunk(batch=self.batch, size=len(call), zones=zones, not_before=self._opens(zones)) for zones, call in calls
        )
        rows = sorted(
            (each.pk, chunk.pk, *_standing(chunk.not_before))
            for chunk, (_, call) in zip(chunks, calls, strict=True)
            for each in call
        )
        update_each(Message, ["chunk", "state", "reason"], rows, also=also, same={**_FRESH, **same, "updated_at": now})

    def _opens(self, zones: str) -> datetime | None:
        return self.opens(zones or self.batch.unit.time_zone)


def _standing(opens: datetime | None) -> tuple[str, str]:
    state, reason = (MessageState.HELD, Reason.QUIET_HOURS) if opens else (MessageState.READY, Reason.NONE)
    return str(state), str(reason)


def _locked(chosen: QuerySet[Message]) -> Iterator[Sequence[int]]:
    """The keys of `chosen`, PAGE by PAGE; their rows are locked, in one order for everybody, until the transaction ends.

    Found in one pass, eight bytes each: to look for the next page anew would take the longer the more there are.
    """
    rows = chosen.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True)
    keys = array("q", rows.iterator(PAGE))
    for start in range(0, len(keys), PAGE):
        yield keys[start : start + PAGE]


# --- what nobody knows -----------------------------------------------------------------------------------------------
def resolve_unknown(message: Message, *, actor: User, resend: bool) -> Message:
    """Settle a text nobody knows the fate of: send it again at the risk of a second one, or write it off.

    Sending again takes somebody who may approve batches and neither wrote nor submitted this one, a quarter of an hour
    after the last attempt; ring "sending" afterwards. Raises Conflict when it is not unknown any more or this person
    may not.
    """
    only = Message.objects.filter(pk=message.pk)
    if not _settle(message.batch, only, actor=actor, resend=resend):
        raise Conflict("What became of this text is known by now; nothing needs to be settled.")
    message.refresh_from_db()
    return message


def resolve_unknowns(batch: Batch, *, actor: User, resend: bool) -> int:
    """As `resolve_unknown`, for all unknown texts of `batch` for which it may be asked by now. Returns how many.

    Sending again leaves out, still unknown, those whose receipt may yet come and those whose people opted out. Raises
    Conflict when that leaves none.
    """
    settled = _settle(batch, Message.objects.filter(batch=batch), actor=actor, resend=resend)
    if not settled:
        raise Conflict("No text of this batch is unknown any more; nothing needs to be settled.")
    batch.refresh_from_db()
    return settled


def _settle(batch: Batch, among: QuerySet[Message], *, actor: User, resend: bool) -> int:
    unknown = among.filter(state=MessageState.UNKNOWN)
    if not resend:
        with transaction.atomic():
            return sum(_written_off(unknown, actor))
    _refuse_resending(batch, actor)
    with transaction.atomic():
        # Locked also while it is running, lest it be finished before the new chunks are committed.
        locked = Batch.objects.select_for_update().select_related("account", "unit").get(pk=batch.pk)
        _refuse_cancelled(locked)
        _refuse_late(locked)
        settled = 0
        for page in _Ready(locked).make(_resendable(unknown), evidence="staff"):
            _note([(each.pk, each.attempt) for each in page], actor, "sent again")
            settled += len(page)
        if settled:
            Batch.objects.filter(pk=batch.pk, state=BatchState.FINISHED).update(
                state=BatchState.RUNNING, finished_at=None, moved_by=actor, moved_at=clock.now(), updated_at=clock.now()
            )
        else:
            _explain_why_none(unknown)
    return settled


def _resendable(unknown: QuerySet[Message]) -> QuerySet[Message]:
    fresh = Attempt.objects.filter(chunk=OuterRef("chunk"), created_at__gt=clock.now() - HOLD)
    return unknown.filter(~Exists(fresh), number__opted_out=False)


def _written_off(unknown: QuerySet[Message], actor: User) -> Iterator[int]:
    """How many of each page."""
    for keys in _locked(unknown):
        page = unknown.filter(pk__in=keys)
        rows = list(page.values_list("pk", "attempt"))
        _note(rows, actor, "written off")
        yield page.update(state=MessageState.WRITTEN_OFF, evidence="staff", updated_at=clock.now())


def _note(rows: Sequence[tuple[int, int]], actor: User, what: str) -> None:
    """Write into the history of these messages (key and attempt of each) who settled them."""
    same: dict[str, Any] = {
        "source": "staff",
        "status": clean(f"{what} by {actor.get_full_name() or actor.get_username()}", 100),
        "delivery": Delivery.NONE,
        "error_code": "",
        "error_text": "",
        "at": clock.now(),
    }
    insert_each(Receipt, ["message", "attempt"], rows, same)


def _refuse_resending(batch: Batch, actor: User) -> None:
    if not actor.has_perm("messaging.approve_batch") or actor.pk in {batch.author_id, batch.submitter_id}:
        raise Conflict("Sending again takes somebody who may approve batches and did not write this one.")


def _refuse_cancelled(batch: Batch) -> None:
    if batch.state == BatchState.CANCELLED:
        raise Conflict(
            "The batch was cancelled, so nothing of it is sent; write the text off.", allowed=possible(batch)
        )


def _refuse_late(batch: Batch) -> None:
    if batch.expires_at is not None and batch.expires_at <= clock.now():
        until = timezone.localtime(batch.expires_at)
        raise Conflict(f"It was not to be sent after {until:%d %B at %H:%M}, so nothing of it leaves any more.")


def _explain_why_none(unknown: QuerySet[Message]) -> None:
    """Raise Conflict when there are unknown texts, but none that may be sent again."""
    waiting = unknown.filter(number__opted_out=False)
    last = waiting.aggregate(last=Max("chunk__attempts__created_at"))["last"]
    if last is not None:
        until = timezone.localtime(last + HOLD)
        raise Conflict(f"A receipt may still come; wait until {until:%H:%M} before sending it again.")
    if unknown.exists():
        raise Conflict("The person opted out meanwhile; write the text off.")
