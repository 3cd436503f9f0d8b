"""Finds the message a receipt is about: by our reference, else by the provider's id, else by the address that was called.

Only among the messages of the account that was called; and the address of an attempt speaks of its own batch only.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from messaging.events.effects import News
from messaging.models import Attempt, Message
from messaging.statuses import MessageState
from smsportal import phones
from smsportal.text import clean


@dataclass(frozen=True, slots=True)
class Match:
    """The message a receipt is about, and which attempt of it."""

    message_id: int
    attempt: int
    number_id: int
    unknown_in: int | None  # the chunk, when the message was unknown as it was looked up


@dataclass(frozen=True, slots=True)
class _Candidate:
    pk: int
    uuid: uuid.UUID
    attempt: int
    number_id: int
    batch_id: int
    remote_id: str
    state: str
    chunk_id: int | None


def find_messages(account_id: int, news: Sequence[News]) -> list[tuple[News, Match | None]]:
    """Each receipt with its message, or with None and the reason set on it. At most five statements for all."""
    ours = Message.objects.filter(batch__account=account_id)
    references = {id(each): _reference(each.event.reference) for each in news}
    uuids = {reference[0] for reference in references.values() if reference}
    by_uuid = {each.uuid: each for each in _candidates(ours.filter(uuid__in=uuids))} if uuids else {}
    left = [each for each in news if not (reference := references[id(each)]) or reference[0] not in by_uuid]
    by_remote = _by_remote_id(ours, left)
    alone = _alone(ours, [each for each in left if _remote_id(each) not in by_remote])
    pairs: list[tuple[News, Match | None]] = []
    for each in news:
        reference = references[id(each)]
        found = by_uuid.get(reference[0]) if reference else None
        attempt = reference[1] if reference and found else None
        found = found or by_remote.get(_remote_id(each)) or alone.get(each.chunk_id)
        pairs.append((each, _checked(each, found, attempt)))
    return pairs


def _remote_id(news: News) -> str:
    return clean(news.event.remote_id, 120)


def _by_remote_id(ours: QuerySet[Message], news: Sequence[News]) -> dict[str, _Candidate]:
    """By the provider's id, among the texts to the numbers they name and of the requests they name or were called at.

    The id alone has no index: kept for every text, it would double the cost of writing what was accepted (ADR 0006).
    """
    ids = {_remote_id(each) for each in news} - {""}
    if not ids:
        return {}
    numbers = {number for each in news if (number := _e164(each.event.number))}
    chunks = {each.chunk_id for each in news if each.chunk_id}
    if requests := {clean(each.event.remote_batch_id, 120) for each in news} - {""}:
        chunks |= set(Attempt.objects.filter(remote_id__in=requests).values_list("chunk_id", flat=True))
    named = ours.filter(remote_id__in=ids)
    found = _candidates(named.filter(number__e164__in=numbers)) if numbers else []
    found += _candidates(named.filter(chunk__in=chunks)) if chunks else []
    return {each.remote_id: each for each in found}


def _e164(written: str) -> str:
    try:
        return phones.to_e164(written)
    except phones.BadNumber:
        return ""


def _alone(ours: QuerySet[Message], news: Sequence[News]) -> dict[int | None, _Candidate]:
    """The messages that are alone in the chunk of an attempt whose own address was called without any reference."""
    chunks = {each.chunk_id for each in news if each.chunk_id and not each.event.reference}
    found: dict[int | None, list[_Candidate]] = {}
    for each in _candidates(ours.filter(chunk__in=chunks)) if chunks else ():
        found.setdefault(each.chunk_id, []).append(each)
    return {chunk: texts[0] for chunk, texts in found.items() if len(texts) == 1}


def _candidates(messages: QuerySet[Message]) -> list[_Candidate]:
    columns = ("pk", "uuid", "attempt", "number_id", "batch_id", "remote_id", "state", "chunk_id")
    return [_Candidate(*row) for row in messages.values_list(*columns)]


def _reference(text: str) -> tuple[uuid.UUID, int | None] | None:
    """Our reference taken apart, or None when it is not one of ours."""
    name, _, number = text.partition(".")
    try:
        return uuid.UUID(name), int(number[:5]) if number.isascii() and number.isdecimal() else None
    except ValueError:
        return None


def _checked(news: News, found: _Candidate | None, attempt: int | None) -> Match | None:
    if found is None and not (news.event.reference or news.event.remote_id):
        news.unmatched("It names no message of ours.", again=False)
        return None
    if found is None:
        news.unmatched("No message of this account has this reference or id.")
        return None
    if news.batch_id is not None and news.batch_id != found.batch_id:
        # An attempt's address may speak of its own batch only: it is known to whoever saw that one call.
        news.unmatched("It came to the address of another batch.", again=False)
        return None
    if attempt is not None and attempt > found.attempt:
        news.unmatched(f"It reports attempt {attempt}, but only {found.attempt} were made.")
        return None
    if not (attempt or found.attempt):
        news.unmatched("Nothing of this message was sent yet.")
        return None
    unknown_in = found.chunk_id if found.state == MessageState.UNKNOWN else None
    return Match(found.pk, attempt or found.attempt, found.number_id, unknown_in)
