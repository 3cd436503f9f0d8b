"""Idempotency-Key: the same POST sent twice is done once and answered alike."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from smsportal import clock
from smsportal.accounts.models import IdempotencyKey
from smsportal.problems import Conflict, Problem, Wrong

_KEPT: Final = timedelta(days=7)
# A first call that has not answered for so long was killed; its effect was rolled back with it.
_GIVEN_UP: Final = timedelta(minutes=5)
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}\Z")


class OtherBody(Problem):
    """The key was used for something else: 422."""

    status = 422
    title = "The Idempotency-Key was used for another request"


class Overtaken(Conflict):
    """Another call took the key over while this one ran; this one must leave nothing."""


@dataclass(frozen=True, slots=True)
class _Ticket:
    """The right to answer for a key; void once another call has taken the key over (its time has changed)."""

    pk: int
    at: datetime

    def open(self) -> Any:
        return IdempotencyKey.objects.filter(pk=self.pk, status=None, created_at=self.at)


Do = Callable[[], Response]
Effect = Callable[[Do], Response]


def answer_once(request: Request, act: Callable[[Effect], Response], *, in_transaction: bool) -> Response:
    """What `act` answers, or what it answered when this key and this request came before.

    The answer is stored in the transaction of its effect, so either both exist or neither. Only answers below 400 are
    stored: a refusal had no effect and may be tried again with the same key.

    `in_transaction=False` is for acts that must not be in one transaction as a whole. Those that read much before they
    write call the `effect` they are given with what writes and answers; it is carried out in a transaction with the
    answer. Those that call a provider or write in many short transactions do not call it: when the process is killed
    within them, what they wrote stands, and the same key asks anew.

    Raises:
        Wrong: the key is no key. OtherBody: it belongs to another request. Conflict: the first call still runs.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return act(_plainly)
    if not _KEY.match(key):
        raise Wrong("An Idempotency-Key has 1 to 255 printable ASCII characters and no space.")
    fingerprint = _fingerprint(request)
    ticket, stored = _take(request.user, key, fingerprint)
    if ticket is None:
        return _again(stored, fingerprint)
    try:
        return _whole(ticket, lambda: act(_plainly)) if in_transaction else _in_parts(ticket, act)
    except BaseException:
        ticket.open().delete()
        raise


def _plainly(do: Do) -> Response:
    return do()


def _in_parts(ticket: _Ticket, act: Callable[[Effect], Response]) -> Response:
    kept: list[Response] = []

    def effect(do: Do) -> Response:
        kept.append(_whole(ticket, do))
        return kept[0]

    response = act(effect)
    return response if kept else _kept(ticket, response)


def _whole(ticket: _Ticket, do: Do) -> Response:
    with transaction.atomic():
        try:
            return _kept(ticket, do())
        except Overtaken:
            raise
        except Problem as refused:
            # A verb that refuses has undone what it wanted undone; what it left stands, as without a key.
            refusal = refused
    raise refusal


def _take(user: Any, key: str, fingerprint: str) -> tuple[_Ticket | None, IdempotencyKey]:
    """A ticket when this call is the first with this key, else the row of the first one."""
    now = clock.now()
    IdempotencyKey.objects.filter(created_at__lt=now - _KEPT).delete()
    for _ in range(3):
        try:
            with transaction.atomic():
                mine = IdempotencyKey.objects.create(user=user, key=key, fingerprint=fingerprint)
            return _Ticket(mine.pk, mine.created_at), mine
        except IntegrityError:
            first = IdempotencyKey.objects.filter(user=user, key=key).first()
        if first is None:  # its call failed between the two statements: the key is free again
            continue
        given_up = first.status is None and first.created_at < now - _GIVEN_UP and first.fingerprint == fingerprint
        if given_up and _Ticket(first.pk, first.created_at).open().update(created_at=now):
            return _Ticket(first.pk, now), first
        return None, first
    raise Conflict("Another call with this Idempotency-Key is running; ask again in a moment.")


def _again(stored: IdempotencyKey, fingerprint: str) -> Response:
    if stored.fingerprint != fingerprint:
        raise OtherBody("This Idempotency-Key belongs to a request with another address or body. Use a new key.")
    if stored.status is None:
        raise Conflict("The first call with this Idempotency-Key is still running; ask again in a moment.")
    return Response(stored.answer, status=stored.status, headers={"Idempotent-Replayed": "true"})


def _kept(ticket: _Ticket, response: Response) -> Response:
    """`response`, with its answer stored. Raises Overtaken, which undoes the effect."""
    if response.status_code >= 400:
        ticket.open().delete()
        return response
    answer = json.loads(JSONRenderer().render(response.data)) if response.data is not None else None
    if not ticket.open().update(status=response.status_code, answer=answer):
        raise Overtaken("Another call took this Idempotency-Key over, because this one took too long.")
    return response


def _fingerprint(request: Request) -> str:
    """A digest of method, address and content, the same however JSON is spaced or multipart is cut."""
    data = request.data
    parts = {name: [_part(item) for item in items] for name, items in data.lists()} if hasattr(data, "lists") else data
    said = json.dumps([request.method, request.get_full_path(), parts], sort_keys=True, default=str)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


def _part(item: Any) -> Any:
    if not isinstance(item, UploadedFile):
        return item
    digest = hashlib.sha256()
    for block in item.chunks():
        digest.update(block)
    item.seek(0)
    return [item.name, digest.hexdigest()]
