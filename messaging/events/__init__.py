"""⑧ Turns stored calls into effects: raw bytes → items, each once and with its own fate → what they change.

Every step may be repeated: items are known by their key, effects are joins. So a worker may die anywhere, a call may
come twice, and everything can be read again with newer code (`replay`).

Next: messaging/statuses.py
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet

from messaging.events import effects, items
from messaging.events.effects import MAX_TRIES, RETRY_AFTER_S, News
from messaging.events.receipts import hear_receipts
from messaging.models import CallState, ItemState, WebhookCall, WebhookItem
from smsportal import clock, providers
from smsportal.claims import Claim, claim, free, let_go, renew
from smsportal.providers import payload
from smsportal.providers.base import Event, EventKind
from smsportal.providers.errors import Garbled
from smsportal.sql import AWAY
from smsportal.text import clean

log = logging.getLogger(__name__)

LEASE_S: Final = 120
PAGE: Final = 250  # elements stored and applied at a time
RETRIED_AT_ONCE: Final = 200
PERSONAL: Final = frozenset({EventKind.REPLY, EventKind.OPT_OUT, EventKind.OPT_IN})
# After the database was away. The later ones are for a call that meets this again and again while others do not (its
# statements take too long, say): it may not keep them waiting.
AGAIN_S: Final = (0.5, 0.5, 0.5, 0.5, 1, 2, 5, 10, 30, 60)
# How often in a row this process met it at a call.
_met: Final[Counter[int]] = Counter()


def next_call() -> Claim | None:
    """Take the oldest call nobody has read, or None. Counting the try first also counts those that kill a worker.

    Calls to an account's own address come before those to the addresses of attempts, which carry receipts: a campaign
    makes thousands of these, and until an opt-out is read, texts go out.
    """
    due = Q(retry_at=None) | Q(retry_at__lte=clock.now())
    waiting = WebhookCall.objects.filter(due, free(), state=CallState.NEW)
    tries = F("tries") + 1
    first = claim(own_address(waiting), LEASE_S, tries=tries)
    return first or claim(waiting.order_by("id"), LEASE_S, tries=tries)


def own_address(calls: QuerySet[WebhookCall]) -> QuerySet[WebhookCall]:
    """Of `calls`, those to an account's own address, the oldest first. In the order of their index, see there."""
    return calls.filter(attempt=None).order_by("attempt_id", "id")


def read_call(held: Claim, stopped: Callable[[], bool] = lambda: False) -> bool:
    """Read a claimed call and apply every element of it. Failing as a whole, it is tried again, five times.

    That the database goes away meanwhile, or ends a deadlock, is not the call's fault: it counts as no try, and the
    call is due again in a moment. False then.
    """
    try:
        _try(held, _call(held.pk))
    except AWAY as gone:
        log.warning("The database went away while webhook call %s was read: %s", held.pk, gone)
        _give_back(held, stopped)
        return False
    _met.pop(held.pk, None)
    return True


def _try(held: Claim, call: WebhookCall) -> None:
    if call.tries > MAX_TRIES:
        let_go(WebhookCall, held, state=CallState.PARKED, problem=f"Reading it failed {MAX_TRIES} times.")
        return
    try:
        _read(held, call)
    except AWAY:
        raise
    except Exception as error:
        log.exception("Webhook call %s could not be read", call.uuid)
        parked = call.tries >= MAX_TRIES
        let_go(
            WebhookCall,
            held,
            state=CallState.PARKED if parked else CallState.NEW,
            problem=clean(f"{type(error).__name__}: {error}", 500),
            retry_at=None if parked else clock.after(RETRY_AFTER_S[call.tries - 1]),
        )


def _give_back(held: Claim, stopped: Callable[[], bool]) -> None:
    """Give back a call as if it had not been tried, as soon as the database is there again.

    Nobody else may take it before its lease has run out, so until then this is tried, unless the worker is `stopped`.
    """
    until = time.monotonic() + LEASE_S
    wait_s = AGAIN_S[min(_met[held.pk], len(AGAIN_S) - 1)]
    _met[held.pk] += 1
    while True:
        try:
            let_go(WebhookCall, held, tries=F("tries") - 1, retry_at=clock.after(wait_s))
            return
        except AWAY:
            if connection.in_atomic_block:
                raise
            connection.close()
            if stopped() or time.monotonic() > until:
                log.exception("Webhook call %s is read again when its lease has run out", held.pk)
                return
            time.sleep(AGAIN_S[0])


def _call(pk: int) -> WebhookCall:
    return WebhookCall.objects.select_related("account", "attempt__chunk").defer("account__secrets").get(pk=pk)


def _read(held: Claim, call: WebhookCall) -> list[tuple[str, News]]:
    """Read and apply a call. Returns its items at work, each with the state it had before."""
    body = bytes(call.body)
    if hashlib.sha256(body).hexdigest() != call.sha256:
        let_go(WebhookCall, held, state=CallState.PARKED)  # too large to keep: `problem` says so already
        return []
    try:
        told = list(providers.get(call.account.provider).parse(payload.read(body)))
    except Garbled as unreadable:
        log.warning("Webhook call %s cannot be read: %s", call.uuid, unreadable.text)
        let_go(WebhookCall, held, state=CallState.PARKED, problem=clean(unreadable.text, 500), retry_at=None)
        return []
    done: list[tuple[str, News]] = []
    for first in range(0, len(told), PAGE):
        with transaction.atomic():
            if not renew(WebhookCall, held, LEASE_S):
                return done  # somebody else reads it by now
            work = items.take_in(call, first, told[first : first + PAGE])
        before = [each.item.state for each in work]
        _apply(call.account_id, work)
        done += zip(before, work, strict=True)
    let_go(WebhookCall, held, state=CallState.DONE, problem="", retry_at=None)
    return done


def _apply(account_id: int, work: Sequence[News]) -> None:
    """Opt-outs and replies first: until they are committed, texts go out."""
    effects.keep([each for each in work if items.unrecognised(each)])
    effects.one_by_one([each for each in work if each.event.kind in PERSONAL], effects.hear_person)
    hear_receipts(account_id, [each for each in work if each.event.kind is EventKind.RECEIPT])


def retry_items() -> int:
    """Try items again that matched nothing, or failed, and are due. Returns how many found their place."""
    lost = (ItemState.NEW, ItemState.UNMATCHED)
    with transaction.atomic():
        due = WebhookItem.objects.filter(state__in=lost, retry_at__lte=clock.now()).order_by("retry_at", "pk")
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True, of=("self",))
        chosen = list(due.values_list("pk", flat=True)[:RETRIED_AT_ONCE])
        if not chosen:
            return 0
        # Should this worker die, they are due again when its lease would have run out.
        WebhookItem.objects.filter(pk__in=chosen).update(retry_at=clock.after(LEASE_S))
    rows = WebhookItem.objects.filter(pk__in=chosen).select_related("call__attempt__chunk", "call__account")
    by_account: dict[int, list[News]] = {}
    for item in rows.defer("call__body", "call__account__secrets"):
        by_account.setdefault(item.account_id, []).append(_again(item))
    for account_id, work in by_account.items():
        _apply(account_id, work)
    return sum(each.item.state == ItemState.APPLIED for work in by_account.values() for each in work)


def _again(item: WebhookItem) -> News:
    """A stored item as news, read with the code of today."""
    nothing = Event(kind=EventKind.UNRECOGNISED, key=item.key, raw=item.raw, problem="It says nothing any more.")
    event = next(providers.get(item.call.account.provider).parse(item.raw), nothing)
    attempt = item.call.attempt
    return News(
        item,
        event,
        received_at=item.call.created_at,
        batch_id=attempt.chunk.batch_id if attempt else None,
        chunk_id=attempt.chunk_id if attempt else None,
    )


# --- reading again ---------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class Replayed:
    """What a replay did: calls read, those a worker was busy with, those that failed, and how often what changed."""

    calls: int = 0
    busy: int = 0
    failed: int = 0
    changes: Counter[str] = field(default_factory=Counter)


def replay(calls: Iterable[WebhookCall], *, dry_run: bool = False) -> Replayed:
    """Read calls again with the code of today. Effects are joins, so what was applied stays applied, once.

    With `dry_run` everything is done and rolled back, call by call; the answer says what would change.
    """
    told = Replayed()
    for call in calls:
        try:
            with transaction.atomic() if dry_run else nullcontext():
                _replay(call, told)
                if dry_run:
                    transaction.set_rollback(True)
        except Exception:
            log.exception("Webhook call %s could not be read again", call.uuid)
            told.failed += 1
    return told


def _replay(call: WebhookCall, told: Replayed) -> None:
    held = claim(WebhookCall.objects.filter(free(), pk=call.pk).order_by("pk"), LEASE_S)
    if held is None:
        told.busy += 1
        return
    for before, news in _read(held, _call(call.pk)):
        if before != news.item.state:
            told.changes[f"item {before} → {news.item.state}"] += 1
        told.changes.update(news.changes)
    after = WebhookCall.objects.values_list("state", flat=True).get(pk=call.pk)
    if after != call.state:
        told.changes[f"call {call.state} → {after}"] += 1
    told.calls += 1
