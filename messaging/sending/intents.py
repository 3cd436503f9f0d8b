"""Commits the intent to send: from here on a chunk may have left, so here every reason not to send it is looked at."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db import connection, transaction

from messaging import addresses, hours
from messaging.models import Attempt, Batch, Chunk, Message
from messaging.models.calendar import holidays_of
from messaging.sending import releasing, standing
from messaging.sending.claiming import Taken, lease_s
from messaging.statuses import BatchState, ChunkState, MessageState, Reason
from smsportal import clock
from smsportal.claims import Claim, lock_in_turn
from smsportal.problems import Wrong
from smsportal.providers.base import Envelope, Outgoing
from smsportal.sql import among, insert_few, read, run


@dataclass(frozen=True, slots=True)
class Intent:
    """What was committed to be sent, and when its lease began (on this process's monotonic clock).

    `messages` are the ids of the messages, in the order of `texts`.
    """

    held: Claim
    batch: Batch
    attempt: Attempt
    envelope: Envelope
    texts: tuple[Outgoing, ...]
    messages: tuple[int, ...]
    leased_at: float


WAITING = (MessageState.READY, MessageState.HELD)


def intend(taken: Sequence[Taken], *, answered: Collection[int] = ()) -> list[Intent]:
    """Commit the intents to send these chunks of one account, all in one transaction; those that may not go now are let go.

    `answered`: chunks (Chunk.id) whose request is over although its outcome may not be written yet; they take no room.

    Whoever pauses or stops a batch, closes the account or records an opt-out changes a row that is locked here: their
    change is either seen by these intents or commits after them, never in between.
    """
    leased_at = 0.0
    with transaction.atomic():
        going, staying = _allowed(taken, answered)
        if going:
            _skip_opted_out(going)
            # Before the lease is written, not after the commit: a worker that freezes in between must not seem fresh.
            leased_at = time.monotonic()
            going = _submit(going)
        for let_go in staying:
            let_go()
        # Still in the transaction: between its commit and the requests nothing may ask the database any more.
        intents = _attempts(going) if going else []
    return [
        Intent(each.held, each.batch, attempt, envelope, each.texts, each.messages, leased_at)
        for each, attempt, envelope in intents
    ]


def _allowed(taken: Sequence[Taken], answered: Collection[int]) -> tuple[list[Taken], list[Callable[[], None]]]:
    """Those that may go now, their chunks and the rows that could forbid it locked; and how the others are let go.

    Locks in the order batch, chunk, account, numbers, messages: whoever pauses or cancels takes the batch first, and
    letting go writes messages, so it waits until the numbers of those that go are locked. The batch is locked in turn,
    lest senders who queue for their account keep the one who wants to stop them waiting.
    """
    now = clock.now()
    lock_in_turn(Batch, {each.batch.pk for each in taken})
    states = _batch_states(taken, now)
    taken = [each for each in taken if (each.held.pk, each.held.fence) in states]
    if not taken:
        return [], []
    room = standing.room(taken[0].batch.account_id, answered)
    going: list[Taken] = []
    staying: list[Callable[[], None]] = []
    for each in taken:
        if each.batch.expires_at is not None and each.batch.expires_at <= now:
            staying.append(partial(releasing.expire, each.held.pk))
            continue
        try:
            opens_at = _opens_at(each)
        except Wrong as never:
            staying.append(partial(releasing.shelve, each.held.pk, never.detail))
            continue
        if states[each.held.pk, each.held.fence] != BatchState.RUNNING or opens_at is not None or len(going) >= room:
            staying.append(partial(releasing.release, each.held.pk, opens_at=opens_at))
        else:
            going.append(each)
    return going, staying


def _batch_states(taken: Sequence[Taken], now: datetime) -> dict[tuple[int, int], str]:
    """The chunks that are still ours, locked, by id and fence, each with the state of its batch.

    A worker that stood still past its lease may claim a chunk that it holds already: only the later claim counts.
    """
    ids = [each.held.pk for each in taken]
    lock = "FOR UPDATE OF c" if connection.vendor == "postgresql" else ""
    statement = f"""
        SELECT c.id, c.fence, b.state FROM messaging_chunk c JOIN messaging_batch b ON b.id = c.batch_id
        WHERE {among("c.id", ids)} AND c.state = 'claimed' AND c.lease_until > %s
        ORDER BY c.id {lock}"""  # noqa: S608 - no data in it
    return {(pk, fence): state for pk, fence, state in read(statement, ids, now)}


def _opens_at(each: Taken) -> datetime | None:
    unit = each.batch.unit_id
    return hours.opens_at(clock.now(), zones=each.zones, quiet=settings.QUIET_HOURS, holidays=holidays_of(unit))


def _skip_opted_out(going: Sequence[Taken]) -> None:
    """Lock the numbers and leave out whoever has opted out by now.

    The numbers are read by the statement that locks them: on PostgreSQL it waits for a STOP that is being committed,
    and then reads what was committed (READ COMMITTED, "Row-level locks").
    """
    ids = [each.held.pk for each in going]
    lock = "FOR SHARE OF n" if connection.vendor == "postgresql" else ""
    statement = f"""
        WITH locked AS (
            SELECT n.id, n.opted_out FROM contacts_phonenumber n JOIN messaging_message m ON m.number_id = n.id
            WHERE {among("m.chunk_id", ids)} AND m.state IN ('ready', 'held')
            ORDER BY n.id {lock})
        SELECT id FROM locked WHERE opted_out"""  # noqa: S608 - no data in it
    opted_out = [pk for (pk,) in read(statement, ids)]
    if opted_out:
        Message.objects.filter(chunk__in=ids, number__in=opted_out, state__in=WAITING).update(
            state=MessageState.SKIPPED, reason=Reason.OPTED_OUT, updated_at=clock.now()
        )


def _submit(going: Sequence[Taken]) -> list[Taken]:
    """Write `submitting`; what has changed since it was taken is left out. Those with nothing left are ended."""
    ids, now = [each.held.pk for each in going], clock.now()
    if any(each.again for each in going):
        # A late receipt of an earlier attempt may be settling some of them: they are chosen once it is committed.
        releasing.lock_messages(Message.objects.filter(chunk__in=ids))
    statement = f"""
        UPDATE messaging_message SET state = 'submitting', reason = '', attempt = attempt + 1, updated_at = %s
        WHERE {among("chunk_id", ids)} AND state IN ('ready', 'held')"""  # noqa: S608 - no data in it
    if run(statement, now, ids) != sum(len(each.texts) for each in going):
        going = _as_they_are(going)
    full = [each.held.pk for each in going if each.texts]
    if full:
        statement = f"UPDATE messaging_chunk SET state = 'submitting', lease_until = %s WHERE {among('id', full)}"  # noqa: S608
        run(statement, clock.after(lease_s()), full)
    empty = set(ids) - set(full)
    if empty:
        Chunk.objects.filter(pk__in=empty).update(state=ChunkState.EMPTY, owner="", lease_until=None)
    return [each for each in going if each.texts]


def _as_they_are(going: Sequence[Taken]) -> list[Taken]:
    """The chunks with only those texts that are being submitted."""
    ids = [each.held.pk for each in going]
    submitting = set(Message.objects.filter(chunk__in=ids, state=MessageState.SUBMITTING).values_list("pk", flat=True))
    left = []
    for each in going:
        kept = [(pk, text) for pk, text in zip(each.messages, each.texts, strict=True) if pk in submitting]
        left.append(replace(each, messages=tuple(pk for pk, _ in kept), texts=tuple(text for _, text in kept)))
    return left


def _attempts(going: Sequence[Taken]) -> list[tuple[Taken, Attempt, Envelope]]:
    attempts = [
        Attempt(uuid=uuid.uuid4(), chunk_id=each.held.pk, fence=each.held.fence, texts=len(each.texts))
        for each in going
    ]
    rows = [(each.uuid, each.chunk_id, each.fence, each.texts) for each in attempts]
    now = clock.now()
    blank = {"created_at": now, "updated_at": now, "outcome": "", "remote_id": "", "answer": ""}
    for attempt, pk in zip(attempts, insert_few(Attempt, _COLUMNS, rows, blank), strict=True):
        attempt.pk = pk
    return [(each, attempt, _envelope(each.batch, attempt)) for each, attempt in zip(going, attempts, strict=True)]


_COLUMNS = ("uuid", "chunk", "fence", "texts")


def _envelope(batch: Batch, attempt: Attempt) -> Envelope:
    return Envelope(
        sender=batch.sender,
        operator=batch.operator,
        callback_url=addresses.attempt_url(batch.account.provider, attempt.uuid),
        request_key=str(attempt.uuid),
        options=batch.provider_options,
    )
