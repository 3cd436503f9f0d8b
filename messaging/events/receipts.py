"""What delivery receipts do to messages: all receipts of a call in a handful of statements, whatever their order.

News of the current attempt joins what is known of the delivery.
News of an earlier attempt never makes it look worse; when it says that the earlier one went out too, that is an
incident and is marked as one.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from django.db import transaction

from contacts.models import ConsentSource, PhoneNumber
from messaging.events import effects
from messaging.events.effects import News
from messaging.events.matching import Match, find_messages
from messaging.models import Chunk, ItemState, Message, Receipt
from messaging.sending import outcomes
from messaging.statuses import DELIVERY_WORDS, Known, MessageState, join
from smsportal import clock
from smsportal.providers.base import Delivery
from smsportal.sql import AWAY, update_each
from smsportal.text import clean

log = logging.getLogger(__name__)

SEEN_BY_PERSON: Final = Delivery.DELIVERED
# What a receipt may change of a message; `delivery` stands first because the statement compares it.
COLUMNS: Final = (
    "delivery", "reported_failed", "reported_delivered", "double_send", "error_code", "error_text", "remote_id",
    "evidence", "state", "reason",
)  # fmt: skip
# About to be sent, for the first time or again: `attempt` counts what was tried before.
WAITING: Final = (MessageState.HELD, MessageState.READY)


def hear_receipts(account_id: int, news: Sequence[News]) -> None:
    """Apply receipts; when the whole lot fails, each by itself, so that a bad one leaves the others alone."""
    if not news:
        return
    matched = [pair for pair in find_messages(account_id, news) if _suppressed_if_blocked(*pair)]
    said = {id(each): len(each.changes) for each in news}
    try:
        with transaction.atomic():
            _apply(matched)
            effects.keep([each for each, _ in matched])
    except AWAY:
        raise  # the database is away or in a deadlock: the whole call is read again
    except Exception:
        log.exception("A call with %s receipts failed as a whole; they are applied one by one", len(matched))
        found = {id(each): where for each, where in matched}
        for each, _ in matched:
            del each.changes[said[id(each)] :]
        effects.one_by_one([each for each, _ in matched], lambda each: _apply([(each, found[id(each)])]))


def _suppressed_if_blocked(news: News, match: Match | None) -> bool:
    """A recipient whose carrier says that they block us has opted out. Committed first: see `messaging.events.effects`.

    It holds for texts that are not ours, too (a campaign run at the provider), when the report names the number.
    False when our code failed on it: then the whole item is tried again.
    """
    if not news.event.blocked_by_person:
        return True
    try:
        with transaction.atomic():
            number = effects.locked(match.number_id) if match else _named(news)
            if number is not None:
                effects.opt_out(news, number, ConsentSource.CARRIER)
                if match is None:
                    news.item.number = number
                    news.fate(ItemState.APPLIED)
    except AWAY:
        raise
    except Exception as error:
        news.failed(error)
        effects.keep([news])
        return False
    return True


def _named(news: News) -> PhoneNumber | None:
    return effects.number_of(news) if news.event.number else None


def _apply(matched: Sequence[tuple[News, Match | None]]) -> None:
    """Write receipts, deliveries, errors, evidence and states. The fates are set on the items, not yet stored."""
    by_message: defaultdict[int, list[tuple[News, Match]]] = defaultdict(list)
    for news, match in matched:
        if match is None:
            continue
        news.item.message_id, news.item.number_id = match.message_id, match.number_id
        if news.event.delivery is Delivery.NONE:
            news.fate(ItemState.UNRECOGNISED, news.event.problem or f"Unknown status “{news.event.status[:80]}”.")
        else:
            by_message[match.message_id].append((news, match))
    rows = _locked(by_message)
    for gone in by_message.keys() - {row.pk for row in rows}:
        for news, _ in by_message[gone]:
            news.item.message_id = None
            news.unmatched("Its message was removed.", again=False)
    _write([(row, by_message[row.pk]) for row in rows])
    proven = {row.chunk_id for row in rows if row.state == MessageState.UNKNOWN and row.chunk_id is not None}
    if proven:
        _prove(proven)


def _locked(by_message: Mapping[int, Sequence[tuple[News, Match]]]) -> list[Message]:
    """The messages, locked in one order, and before them the chunks that a receipt may prove.

    The sender locks chunks before messages, too, so that workers wait for each other instead of deadlocking. SQLite
    has one writer.
    """
    chunks = {match.unknown_in for pairs in by_message.values() for _, match in pairs if match.unknown_in}
    if chunks:
        list(Chunk.objects.select_for_update().filter(pk__in=chunks).order_by("pk").values_list("pk"))
    return list(Message.objects.select_for_update().filter(pk__in=by_message).order_by("pk"))


def _write(heard: Sequence[tuple[Message, Sequence[tuple[News, Match]]]]) -> None:
    """Join what was heard of each message and write all of them in two statements."""
    told = _told([row for row, _ in heard])
    changed: list[Message] = []
    fresh: list[Receipt] = []
    for row, pairs in heard:
        before = _columns(row)
        new = [receipt for pair in pairs if (receipt := _tell(told[row.pk], row, *pair))]
        _join(row, pairs, told[row.pk])
        for news, _ in pairs:
            news.fate(ItemState.APPLIED)
        if new or _columns(row) != before:
            changed.append(row)
            fresh += new
    Receipt.objects.bulk_create(fresh)
    now = clock.now()
    # Only ever upwards, even if the lock is one day forgotten.
    upwards = "messaging_message.delivery <= new.c0"
    update_each(Message, [*COLUMNS, "updated_at"], [(row.pk, *_columns(row), now) for row in changed], where=upwards)


def _columns(row: Message) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in COLUMNS)


def _told(rows: Sequence[Message]) -> defaultdict[int, list[Receipt]]:
    """What was reported of these messages before."""
    told: defaultdict[int, list[Receipt]] = defaultdict(list)
    for receipt in Receipt.objects.filter(message__in=rows):
        told[receipt.message_id].append(receipt)
    return told


def _tell(told: list[Receipt], row: Message, news: News, match: Match) -> Receipt | None:
    """Add the receipt to what was told, or None when the same was told before (a replay)."""
    event = news.event
    receipt = Receipt(
        message=row,
        attempt=match.attempt,
        source="webhook",
        delivery=event.delivery,
        status=clean(event.status, 100),
        error_code=clean(event.error_code, 100),
        error_text=clean(event.error_text, 500),
        at=news.at() or news.received_at,
    )
    if _what(receipt) in {_what(each) for each in told}:
        return None
    told.append(receipt)
    return receipt


def _what(receipt: Receipt) -> tuple[int, str, int, str, str]:
    return (receipt.attempt, receipt.source, receipt.delivery, receipt.status, receipt.error_code)


def _join(row: Message, pairs: Sequence[tuple[News, Match]], told: Sequence[Receipt]) -> None:
    """Join the news into the row. Depends on what was told, not on the order it was told in."""
    for news, match in pairs:
        rank = news.event.delivery
        if row.state in WAITING and _went_out(told, match.attempt):
            # It was to be sent again, and need not be. The row is locked, so no intent can hold it.
            row.state, row.reason, row.evidence = MessageState.ACCEPTED, "", "receipt"
            news.changes.append("not sent again")
        current = match.attempt == row.attempt and row.state not in WAITING
        if current or rank >= SEEN_BY_PERSON:
            known = join(Known(Delivery(row.delivery), row.reported_failed, row.reported_delivered), rank)
            if known.rank != row.delivery:
                news.changes.append(f"{DELIVERY_WORDS[row.delivery]} → {DELIVERY_WORDS[known.rank]}")
            row.delivery, row.reported_failed, row.reported_delivered = known.rank, known.failed, known.delivered
        if current:
            row.remote_id = row.remote_id or clean(news.event.remote_id, 120)
            if row.state == MessageState.ACCEPTED and row.evidence == "inference":
                row.evidence = "receipt"
    if row.state not in WAITING:
        _see_doubles(row, pairs, told)
        trouble = [each for each in told if each.attempt == row.attempt and each.delivery in outcomes.TROUBLE]
        if trouble:
            worst = max(trouble, key=lambda each: (each.delivery, each.error_code, each.error_text))
            row.error_code, row.error_text = worst.error_code, worst.error_text


def _went_out(told: Iterable[Receipt], attempt: int) -> bool:
    """Whether the reports of an attempt, taken together, say that it left and has not failed."""
    rank = max((each.delivery for each in told if each.attempt == attempt), default=Delivery.NONE)
    return rank not in (Delivery.NONE, Delivery.FAILED)


def _see_doubles(row: Message, pairs: Sequence[tuple[News, Match]], told: Sequence[Receipt]) -> None:
    """An earlier attempt that went out as well is an incident: the person may have the text twice.

    Where the latest was refused they have it once; that is no incident, but it must not be sent again.
    """
    earlier = {each.attempt for each in told if each.attempt < row.attempt}
    doubled = any(_went_out(told, attempt) for attempt in earlier)
    if doubled and not row.double_send:
        once = row.state == MessageState.REJECTED
        pairs[-1][0].changes.append("sent before" if once else "sent twice")
        if not once:
            log.error("Message %s went out in more than one of its %s attempts", row.uuid, row.attempt)
    row.double_send = doubled


def _prove(chunk_ids: Iterable[int]) -> None:
    """Receipts are evidence: what was unknown is accepted now, and with it what was accepted as one with it."""
    chunks = Chunk.objects.filter(pk__in=list(chunk_ids)).order_by("pk")
    for chunk in chunks.select_related("batch__account").defer("batch__account__secrets"):
        outcomes.believe_receipts(chunk)
