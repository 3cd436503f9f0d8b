"""Stores the elements of a webhook call, each piece of news once per account, whoever repeats it and how often."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Final

from django.db.models import F

from messaging.events.effects import News
from messaging.models import CallState, ItemState, WebhookCall, WebhookItem
from smsportal import clock
from smsportal.providers.base import Event, EventKind
from smsportal.text import clean, clean_json

LONGEST_KEY: Final = 300


def take_in(call: WebhookCall, first: int, events: Sequence[Event]) -> list[News]:
    """The rows of `events`, elements `first`… of `call`: stored if they are new, else counted as repetitions.

    Returns what has to be applied: everything of this call, known before or not, but what repeats another call or
    contradicts one. News with a known key and another content is a conflict: it is stored, shown and not applied.
    Three or four statements, however many events.
    """
    # Not by its tries: one in which the database went away counts as none, and may have stored items.
    first_reading = call.state == CallState.NEW and call.fence <= 1
    here = call.items.filter(position__gte=first, position__lt=first + len(events))
    known = {} if first_reading else {item.position: item for item in here}
    work, given = [], []
    for position, event in enumerate(events, start=first):
        if position in known:
            if known[position].state != ItemState.CONFLICT:
                work.append((_updated(known[position], event), event))
        else:
            given.append((_item(call, position, event), event))
    work += _store(given, count=first_reading)
    attempt = call.attempt
    return [
        News(
            item,
            event,
            received_at=call.created_at,
            batch_id=attempt.chunk.batch_id if attempt else None,
            chunk_id=attempt.chunk_id if attempt else None,
        )
        for item, event in work
    ]


def _item(call: WebhookCall, position: int, event: Event) -> WebhookItem:
    raw = clean_json(dict(event.raw))
    digest = hashlib.sha256(json.dumps(raw, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return WebhookItem(
        call=call,
        account_id=call.account_id,
        position=position,
        kind=event.kind,
        key=_key(event, digest),
        sha256=digest,
        raw=raw,
    )


def _key(event: Event, digest: str) -> str:
    """The provider's key; it tells a reply from an opt-in with the same eventId, as Ocelot's own samples show them."""
    key = clean(event.key) or digest
    return key if len(key) <= LONGEST_KEY else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _updated(item: WebhookItem, event: Event) -> WebhookItem:
    """The row of an element read again: the code may understand more of it by now."""
    if item.kind != event.kind:
        item.kind = event.kind
        WebhookItem.objects.filter(pk=item.pk).update(kind=item.kind)
    return item


def _store(given: Sequence[tuple[WebhookItem, Event]], *, count: bool) -> list[tuple[WebhookItem, Event]]:
    """Insert what is new; of the rest, `count` the repetitions and store the conflicts."""
    if not given:
        return []
    stored = _insert([item for item, _ in given])
    fresh: list[tuple[WebhookItem, Event]] = []
    repeated: set[int] = set()
    conflicts: list[WebhookItem] = []
    for item, event in given:
        there = stored[item.key]
        if there.uuid == item.uuid:
            fresh.append((there, event))
        elif there.sha256 == item.sha256:
            repeated.add(there.pk)
        else:
            conflicts.append(_conflict(item, there))
    if repeated and count:
        WebhookItem.objects.filter(pk__in=repeated).update(repeats=F("repeats") + 1, updated_at=clock.now())
    if conflicts:
        _insert(conflicts)
    return fresh


def _conflict(item: WebhookItem, there: WebhookItem) -> WebhookItem:
    item.problem = f"It repeats the event of item {there.uuid} with another content, so it is not applied."
    item.state = ItemState.CONFLICT
    item.key = f"conflict:{hashlib.sha256(f'{item.sha256}:{item.key}'.encode()).hexdigest()}"
    return item


def _insert(items: Sequence[WebhookItem]) -> dict[str, WebhookItem]:
    """Insert those whose key is new, in one order of keys for all workers; returns the stored rows by key."""
    account_id, keys = items[0].account_id, sorted({item.key for item in items})
    WebhookItem.objects.bulk_create(sorted(items, key=lambda item: item.key), ignore_conflicts=True)
    return {item.key: item for item in WebhookItem.objects.filter(account=account_id, key__in=keys).defer("raw")}


def unrecognised(news: News) -> bool:
    """Settle an element nobody understands: it is kept, counted and shown, and changes nothing."""
    if news.event.kind is not EventKind.UNRECOGNISED:
        return False
    news.fate(ItemState.UNRECOGNISED, news.event.problem or "Not an event the portal knows.")
    return True
