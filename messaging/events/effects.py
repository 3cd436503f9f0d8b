"""What webhook items do: replies, opt-outs and opt-ins one by one, receipts of a whole call at once. All idempotent.

Every effect is a join over what was reported, so that doubled, late and disordered news ends in the same state.
Opt-outs come first and commit by themselves: locks are taken in the order phone numbers, then messages, as the
intent to send does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from django.db import transaction

from contacts import consent
from contacts.models import ConsentEvent, ConsentKind, ConsentSource, PhoneNumber
from messaging import conversations
from messaging.channels import sms
from messaging.models import ItemState, Message, WebhookItem
from messaging.statuses import MessageState, Reason
from smsportal import clock, phones
from smsportal.providers.base import Event, EventKind
from smsportal.sql import AWAY, update_each
from smsportal.text import clean

log = logging.getLogger(__name__)

# An unmatched item may belong to a send that is not committed yet; after a day it belongs to nothing of ours.
RETRY_AFTER_S: Final = (60, 300, 1800, 2 * 3600, 8 * 3600, 24 * 3600)
MAX_TRIES: Final = 5  # of an item that fails in our own code
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class News:
    """One item at work: its row, what it says, and what came of it."""

    item: WebhookItem
    event: Event
    received_at: datetime
    batch_id: int | None = None  # of the attempt whose own address was called
    chunk_id: int | None = None
    changes: list[str] = field(default_factory=list)  # what it changed, in words for staff

    def fate(self, state: ItemState, problem: str = "") -> None:
        """Settle the item; what an earlier run changed stays written when this one changes nothing."""
        self.item.state = state
        self.item.problem = clean(problem, 1000)
        self.item.retry_at = None
        if self.changes:
            self.item.effect = clean("; ".join(self.changes), 300)

    def unmatched(self, problem: str, *, again: bool = True) -> None:
        """It belongs to nothing we know: yet, or `again=False` for ever."""
        self.fate(ItemState.UNMATCHED, problem)
        tries = self.item.tries
        self.item.tries = tries + 1
        if again and tries < len(RETRY_AFTER_S):
            self.item.retry_at = clock.after(RETRY_AFTER_S[tries])

    def failed(self, error: Exception) -> None:
        """Our own code failed on it: try again, and put it aside after five times."""
        log.exception("Webhook item %s failed", self.item.uuid, exc_info=error)
        self.item.tries += 1
        parked = self.item.tries >= MAX_TRIES
        self.item.state = ItemState.PARKED if parked else ItemState.NEW
        self.item.problem = clean(f"{type(error).__name__}: {error}", 1000)
        self.item.retry_at = None if parked else clock.after(RETRY_AFTER_S[self.item.tries - 1])

    def at(self) -> datetime | None:
        """When it happened, as far as that can be believed: never later than when we learned of it."""
        return None if self.event.at is None else max(EARLIEST, min(self.event.at, self.received_at))


def keep(news: Sequence[News]) -> None:
    """Write the fates."""
    now = clock.now()
    update_each(
        WebhookItem,
        ["state", "effect", "problem", "tries", "retry_at", "message", "number", "updated_at"],
        [
            (
                each.item.pk,
                each.item.state,
                each.item.effect,
                each.item.problem,
                each.item.tries,
                each.item.retry_at,
                each.item.message_id,
                each.item.number_id,
                now,
            )
            for each in news
        ],
    )


def one_by_one(news: Sequence[News], apply: Callable[[News], None]) -> None:
    """Apply each by itself, effect and fate in one transaction: one that fails leaves the others alone."""
    for each in news:
        try:
            with transaction.atomic():
                apply(each)
                keep([each])
        except AWAY:
            raise  # the database is away or in a deadlock: the whole call is read again
        except Exception as error:
            each.failed(error)
            keep([each])


def hear_person(news: News) -> None:
    """A reply, an opt-out or an opt-in."""
    number = number_of(news)
    if number is None:
        return
    news.item.number = number
    match news.event.kind:
        case EventKind.OPT_OUT:
            opt_out(news, number, ConsentSource.PROVIDER)
        case EventKind.OPT_IN:
            _opt_in(news, number, ConsentSource.PROVIDER)
        case EventKind.REPLY:
            _reply(news, number)
    news.fate(ItemState.APPLIED)


def number_of(news: News) -> PhoneNumber | None:
    """The locked row of the number the news names. None, and unmatched for good, when it is not one we may text."""
    try:
        e164 = phones.to_e164(news.event.number)
    except phones.BadNumber as bad:
        news.unmatched(f"“{news.event.number[:40]}”: {bad.message}", again=False)
        if news.event.kind is EventKind.OPT_OUT or sms.reply_kind(news.event.text) == "stop":
            log.error("Opt-out of an unusable number in webhook item %s: somebody must look", news.item.uuid)
        return None
    return locked(consent.numbers_for([e164])[e164])


def locked(number_id: int) -> PhoneNumber:
    """The number's row, held until the transaction ends: of two workers on one item only one records consent."""
    return PhoneNumber.objects.select_for_update().get(pk=number_id)


def _reply(news: News, number: PhoneNumber) -> None:
    at = news.at() or news.received_at
    kind = sms.reply_kind(news.event.text)
    if kind == "stop":
        opt_out(news, number, ConsentSource.REPLY)
    elif kind == "start":
        _opt_in(news, number, ConsentSource.REPLY)
    new = conversations.note_reply(
        account_id=news.item.account_id,
        number=number,
        text=news.event.text,
        at=at,
        item=news.item,
        wants_answer=kind not in ("stop", "start"),
    )
    if new:
        news.changes.append("reply noted")


def opt_out(news: News, number: PhoneNumber, source: ConsentSource) -> None:
    """Record an opt-out once per item, and take back what still waits to be sent to the number."""
    if _recorded(news, number, ConsentKind.OUT):
        return
    consent.opt_out(
        number,
        source=source,
        at=news.at() or news.received_at,
        reason=news.event.error_text[:500],
        evidence=_evidence(news),
    )
    number.refresh_from_db()
    if not number.opted_out:
        return  # an opt-in after it came in before it
    news.changes.append("opted out")
    waiting = Message.objects.filter(number=number, state__in=[MessageState.HELD, MessageState.READY])
    skipped = waiting.update(state=MessageState.SKIPPED, reason=Reason.OPTED_OUT, updated_at=clock.now())
    if skipped:
        news.changes.append(f"{skipped} waiting skipped")


def _opt_in(news: News, number: PhoneNumber, source: ConsentSource) -> None:
    """Record an opt-in once per item. One without a time never outweighs an opt-out (`contacts.consent`)."""
    if _recorded(news, number, ConsentKind.IN):
        return
    was_out = number.opted_out
    consent.opt_in(number, source=source, at=news.at(), evidence=_evidence(news))
    number.refresh_from_db()
    if was_out and not number.opted_out:
        news.changes.append("opted in")


def _recorded(news: News, number: PhoneNumber, kind: ConsentKind) -> bool:
    return ConsentEvent.objects.filter(number=number, kind=kind, evidence__item=str(news.item.uuid)).exists()


def _evidence(news: News) -> dict[str, str]:
    given = {
        "item": str(news.item.uuid),
        "text": clean(news.event.text, 500),
        "status": clean(news.event.status, 100),
        "error_code": clean(news.event.error_code, 100),
    }
    return {name: value for name, value in given.items() if value}
