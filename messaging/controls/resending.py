"""Sends again what failed and settles what is unknown: the only ways a text may leave twice, both asked by a person."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final, NamedTuple

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, QuerySet
from django.utils import timezone

from messaging.composing import per_call
from messaging.composing.capping import Lately, hold
from messaging.composing.opening import Opening
from messaging.controls.moves import move, possible
from messaging.controls.recipients import failed, refuse_unknown_classes
from messaging.models import Attempt, Batch, Chunk, Message, Receipt
from messaging.statuses import MOVES, WHO_GOT, BatchState, Got, MessageState, Reason
from smsportal import clock
from smsportal.accounts.models import User
from smsportal.claims import lock_in_turn
from smsportal.problems import Conflict, Wrong
from smsportal.providers.base import Abilities, Delivery, pack
from smsportal.sql import insert_each, update_each
from smsportal.text import clean

# How long an unknown text waits for evidence before a person may send it again.
HOLD: Final = timedelta(minutes=15)
PAGE: Final = 2000  # messages per transaction; twenty full chunks at Ocelot

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
    number: int
    zones: str | None
    text: str


# --- what failed -----------------------------------------------------------------------------------------------------
def retry_failed(batch: Batch, *, actor: User | None, classes: Collection[str] = ()) -> Batch:
    """Set a finished batch running again for what failed in it; ring "sending" afterwards.

    `classes`: only what failed with one of these codes (see `failure_classes`). One short transaction per PAGE texts:
    killed within them, it is asked again once the batch has finished. Raises Wrong for a code no text failed with or
    when nothing in it failed, Conflict when it is not finished, too late to be sent, or everyone got enough texts lately.
    """
    if batch.state in MOVES["retry-failed"]:
        refuse_unknown_classes(batch, classes)
    chosen, again, begun = failed(batch, classes), _Ready(batch), False
    try:
        for asked in _asked(chosen):
            with transaction.atomic():
                if not begun:
                    _begin_retry(batch, actor)
                elif not _may_go_on(batch):
                    break
                if again.make(chosen, asked, also=_DOUBT_STAYS):
                    begun = True
                    _reopen(batch, actor)
                elif not begun:  # nobody of this page: it is as if nothing had been asked yet
                    transaction.set_rollback(True)
        if not begun:
            with transaction.atomic():
                _begin_retry(batch, actor)
                again.refuse_capped()
                raise Wrong("Nothing in this batch failed that could be sent again.")
    except (Wrong, Conflict):
        batch.refresh_from_db()
        raise
    batch.refresh_from_db()
    return batch


def _begin_retry(batch: Batch, actor: User | None) -> None:
    move(batch, "retry-failed", actor=actor, state=BatchState.RUNNING, finished_at=None, problem="")
    _refuse_late(batch)


class _Ready:
    """Puts messages of one batch into new chunks as if they had never been sent; the attempts go on counting.

    Who got enough texts of other batches lately is left out, counted in `capped`. Single texts are never capped.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.opens = Opening(batch)
        self.abilities: Abilities = per_call(batch.account)
        self.lately = None if batch.single else Lately(batch)
        self.capped = 0

    def make(self, chosen: QuerySet[Message], asked: Mapping[int, int], **how: Any) -> Sequence[_Again]:
        """Make ready, within a transaction, those of a page of `_asked` that are still `chosen`; returns them.

        `how`: what else to write, as `update_each` takes it.
        """
        lock_in_turn(Message, asked)
        # Chosen once more, now that they are locked: a late receipt may have told another fate just before, and whoever
        # had the same texts sent again at the same moment was first.
        rows = chosen.filter(pk__in=asked).order_by("pk")
        found = map(_Again._make, rows.values_list("pk", "attempt", "number", "chunk__zones", "text"))
        page = self._uncapped([each for each in found if each.attempt == asked[each.pk]])
        self._write(page, **how)
        return page

    def _uncapped(self, page: list[_Again]) -> list[_Again]:
        if self.lately is None or not page:
            return page
        hold(each.number for each in page)
        if self.lately.changed():
            self.lately = Lately(self.batch)
        capped = self.lately.over((each.number, each.text) for each in page)
        self.capped += len(capped)
        return [each for each in page if each.number not in capped]

    def refuse_capped(self) -> None:
        """Raise Conflict when somebody was left out for having got enough."""
        if self.capped:
            raise Conflict("They got enough texts of other batches within a day; send it again tomorrow.")

    def _write(self, page: Sequence[_Again], *, also: str = "", **same: Any) -> None:
        """New chunks and their messages; those of one chunk are in the same zones, so that none waits for another's."""
        now = clock.now()
        calls = [
            (zones or "", call)
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


def _asked(chosen: QuerySet[Message]) -> Iterator[dict[int, int]]:
    """The keys of `chosen` as it is now, PAGE by PAGE, each with the attempt that is to be followed by another one.

    Read in one pass, sixteen bytes each: to look for the next page anew would take the longer the more there are, and
    would find again what failed anew meanwhile.
    """
    rows = chosen.order_by("pk").values_list("pk", "attempt")
    flat, step = array("q", chain.from_iterable(rows.iterator(PAGE))), 2 * PAGE
    starts = range(0, len(flat), step)
    return (dict(zip(flat[at : at + step : 2], flat[at + 1 : at + step : 2], strict=True)) for at in starts)


def _may_go_on(batch: Batch) -> bool:
    """Lock the row of `batch` and read it again: whether texts of it may still be made ready.

    Locked also while it is running, lest it be finished before the new chunks are committed. A paused one is gone on
    with: nothing of it leaves.
    """
    lock_in_turn(Batch, [batch.pk])
    batch.refresh_from_db(fields=["state", "expires_at"])
    return batch.state != BatchState.CANCELLED and not _is_late(batch)


def _reopen(batch: Batch, actor: User | None) -> None:
    """Set it running again where it has finished, for there is something to send in it now."""
    now = clock.now()
    Batch.objects.filter(pk=batch.pk, state=BatchState.FINISHED).update(
        state=BatchState.RUNNING, finished_at=None, moved_by=actor, moved_at=now, updated_at=now
    )


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
    return _resent(batch, unknown, actor) if resend else _written_off(unknown, actor)


def _resent(batch: Batch, unknown: QuerySet[Message], actor: User) -> int:
    """Page by page, each in a transaction of its own. Returns how many; those who got enough lately stay unknown."""
    _refuse_resending(batch, actor)
    fresh = Batch.objects.select_related("account", "unit").get(pk=batch.pk)
    _refuse_cancelled(fresh)
    _refuse_late(fresh)
    chosen, again, settled = _resendable(unknown), _Ready(fresh), 0
    for asked in _asked(chosen):
        with transaction.atomic():
            if not _may_go_on(fresh):
                break
            page = again.make(chosen, asked, evidence="staff")
            if page:
                _note([(each.pk, each.attempt) for each in page], actor, "sent again")
                _reopen(fresh, actor)
        settled += len(page)
    if not settled:
        _refuse_cancelled(fresh)
        again.refuse_capped()
        _explain_why_none(unknown)
    return settled


def _resendable(unknown: QuerySet[Message]) -> QuerySet[Message]:
    fresh = Attempt.objects.filter(chunk=OuterRef("chunk"), created_at__gt=clock.now() - HOLD)
    return unknown.filter(~Exists(fresh), number__opted_out=False).exclude(WHO_GOT[Got.GOT])


def _written_off(unknown: QuerySet[Message], actor: User) -> int:
    """Page by page, each in a transaction of its own. Returns how many."""
    settled = 0
    for asked in _asked(unknown):
        with transaction.atomic():
            lock_in_turn(Message, asked)
            rows = list(unknown.filter(pk__in=asked).values_list("pk", "attempt"))
            _note(rows, actor, "written off")
            now = clock.now()
            settled += Message.objects.filter(pk__in=[pk for pk, _ in rows]).update(
                state=MessageState.WRITTEN_OFF, evidence="staff", updated_at=now
            )
    return settled


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
    if not actor.has_perm("messaging.approve_batch") or batch.is_of(actor):
        raise Conflict("Sending again takes somebody who may approve batches and did not write this one.")


def _refuse_cancelled(batch: Batch) -> None:
    if batch.state == BatchState.CANCELLED:
        raise Conflict(
            "The batch was cancelled, so nothing of it is sent; write the text off.", allowed=possible(batch)
        )


def _is_late(batch: Batch) -> bool:
    return batch.expires_at is not None and batch.expires_at <= clock.now()


def _refuse_late(batch: Batch) -> None:
    if _is_late(batch):
        until = timezone.localtime(batch.expires_at)
        raise Conflict(f"It was not to be sent after {until:%d %B at %H:%M}, so nothing of it leaves any more.")


def _explain_why_none(unknown: QuerySet[Message]) -> None:
    """Raise Conflict when there are unknown texts, but none that may be sent again."""
    waiting = unknown.filter(number__opted_out=False).exclude(WHO_GOT[Got.GOT])
    last = waiting.aggregate(last=Max("chunk__attempts__created_at"))["last"]
    if last is not None:
        until = timezone.localtime(last + HOLD)
        raise Conflict(f"A receipt may still come; wait until {until:%H:%M} before sending it again.")
    if unknown.filter(WHO_GOT[Got.GOT]).exists():
        raise Conflict("By a report on an earlier attempt the person has the text; write this one off.")
    if unknown.exists():
        raise Conflict("The person opted out meanwhile; write the text off.")
