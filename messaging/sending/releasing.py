"""Lets go of chunks nothing of which left: ready again, held for their hour, cut into smaller ones, or skipped for good."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Case, F, QuerySet, Value, When

from messaging.models import Alert, AlertKind, Attempt, Batch, Chunk, Message
from messaging.sending.answers import Verdict
from messaging.statuses import BatchState, ChunkState, MessageState, Reason
from smsportal import clock
from smsportal.claims import Claim, lock_shared, still_held
from smsportal.text import clean

log = logging.getLogger(__name__)

SHELVED: Final = timedelta(days=1)
AT_WORK: Final = (MessageState.READY, MessageState.HELD, MessageState.SUBMITTING)


def lock_batch(chunk_id: int) -> Batch:
    """The batch of a chunk as it is, kept from moving until the transaction ends. Lock it before the chunk."""
    lock_shared(Batch, Chunk.objects.filter(pk=chunk_id).values_list("batch_id", flat=True))
    return Batch.objects.get(chunks=chunk_id)


def lock_messages(messages: QuerySet[Message]) -> None:
    """Lock messages in the order in which receipts lock them, too; the next statement reads what is committed by then."""
    list(messages.select_for_update(of=("self",)).order_by("pk").values_list("pk"))


def release(chunk_id: int, *, opens_at: datetime | None = None) -> None:
    """Let go of a chunk nothing of which left: ready again, or skipped when its batch was cancelled.

    Outside the hours it is held until `opens_at`. Call it inside the transaction in which the chunk was locked, after
    `lock_batch`.
    """
    if lock_batch(chunk_id).state == BatchState.CANCELLED:
        _skip(chunk_id, Reason.CANCELLED)
        return
    state, reason = (MessageState.HELD, Reason.QUIET_HOURS) if opens_at else (MessageState.READY, Reason.NONE)
    # Those that stand so already are left alone: what finds no room is let go and taken again several times a second.
    other = Message.objects.filter(chunk=chunk_id, state__in=AT_WORK).exclude(state=state, reason=reason)
    other.update(state=state, reason=reason, updated_at=clock.now())
    given = {"not_before": opens_at} if opens_at else {}
    Chunk.objects.filter(pk=chunk_id).update(state=ChunkState.READY, owner="", lease_until=None, **given)


def shelve(chunk_id: int, why: str) -> None:
    """Hold a chunk nothing of which left and that may leave at no hour anybody can foresee; pause its batch, and tell staff `why`.

    It is looked at again when holidays or quiet hours change, and after a day; whoever resumes the batch has the rest of
    it sent meanwhile. In the transaction of its lock.
    """
    batch, now = lock_batch(chunk_id), clock.now()
    release(chunk_id, opens_at=now + SHELVED)
    problem = clean(f"It paused itself. {why}", 500)
    running = Batch.objects.filter(pk=batch.pk, state=BatchState.RUNNING)
    if running.update(
        state=BatchState.PAUSED,
        resume_to=BatchState.RUNNING,
        problem=problem,
        moved_by=None,
        moved_at=now,
        updated_at=now,
    ):
        text = clean(f"“{batch.name}” paused itself. {why} Resume it to send what may leave, or cancel it.", 500)
        Alert.objects.create(unit_id=batch.unit_id, batch=batch, kind=AlertKind.OVERDUE, text=text)
        log.error("Batch %s paused itself: %s", batch.pk, why)


def expire(chunk_id: int) -> None:
    """Skip a chunk nothing of which left, because its batch was not to be sent so late. In the transaction of its lock."""
    _skip(chunk_id, Reason.EXPIRED)


def _skip(chunk_id: int, reason: Reason) -> None:
    Message.objects.filter(chunk=chunk_id, state__in=AT_WORK).update(
        state=MessageState.SKIPPED, reason=reason, updated_at=clock.now()
    )
    Chunk.objects.filter(pk=chunk_id).update(state=ChunkState.EMPTY, owner="", lease_until=None)


def give_back(held: Sequence[Claim]) -> None:
    """Let go of chunks that were not handed over, as far as they are still ours, whatever was intended of them."""
    with transaction.atomic():
        chunks = Chunk.objects.filter(pk__in=[each.pk for each in held])
        lock_shared(Batch, set(chunks.values_list("batch_id", flat=True)))
        mine = still_held(chunks.filter(state__in=[ChunkState.CLAIMED, ChunkState.SUBMITTING]), held)
        Chunk.objects.filter(pk__in=mine).update(fence=F("fence") + 1)
        for pk in sorted(mine):
            release(pk)
        Attempt.objects.filter(chunk__in=mine, finished_at=None).update(
            finished_at=clock.now(), outcome=Verdict.LATER, answer="It was not handed over."
        )


def cut(held: Claim, size: int) -> None:
    """Cut a claimed chunk that is larger than the account takes into pieces of at most `size`."""
    with transaction.atomic():
        lock_batch(held.pk)
        mine = Chunk.objects.filter(pk=held.pk, fence=held.fence, state=ChunkState.CLAIMED)
        if mine.update(fence=F("fence") + 1):
            pieces(Chunk.objects.get(pk=held.pk), size)


def pieces(chunk: Chunk, size: int) -> None:
    """Move the messages of a chunk nothing of which was accepted into new chunks of at most `size`.

    Of a batch that was cancelled meanwhile nothing is sent any more, in however small chunks.
    """
    if lock_batch(chunk.pk).state == BatchState.CANCELLED:
        release(chunk.pk)
        return
    # A late receipt of an earlier attempt may be settling some of them: they are chosen once it is committed.
    lock_messages(Message.objects.filter(chunk=chunk))
    ids = list(Message.objects.filter(chunk=chunk, state__in=AT_WORK).order_by("id").values_list("pk", flat=True))
    for start in range(0, len(ids), size):
        part = ids[start : start + size]
        piece = Chunk.objects.create(
            batch_id=chunk.batch_id, size=len(part), not_before=chunk.not_before, zones=chunk.zones
        )
        Message.objects.filter(pk__in=part).update(
            chunk=piece,
            # What waits for its hour goes on waiting; what was being handed over may be sent again.
            state=Case(When(state=MessageState.HELD, then=F("state")), default=Value(MessageState.READY)),
            updated_at=clock.now(),
        )
    Chunk.objects.filter(pk=chunk.pk).update(state=ChunkState.SPLIT, owner="", lease_until=None, problem="")
