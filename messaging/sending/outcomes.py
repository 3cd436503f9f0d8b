"""What is written once a chunk was tried, or could not be: every row at once, and only with the current fence."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Q, QuerySet

from messaging.models import Attempt, Batch, Chunk, Message, Receipt
from messaging.sending.answers import LONGEST_WAIT_S, STRIKES, Decision, Verdict
from messaging.statuses import BatchState, ChunkState, MessageState, Reason
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.claims import Claim, lock_shared
from smsportal.providers.base import Delivery, Fate
from smsportal.sql import update_each
from smsportal.text import clean

log = logging.getLogger(__name__)

# Reports that tell why a text did not arrive; the worst of them gives the message its error.
TROUBLE: Final = frozenset({Delivery.TEMPORARY_FAILURE, Delivery.UNCONFIRMED, Delivery.FAILED})
PROBE_S: Final = 30  # how long an open circuit rests before the account is asked again
OPEN_CHUNKS: Final = (ChunkState.READY, ChunkState.CLAIMED, ChunkState.SUBMITTING)

STATE_OF: Final[dict[Fate, tuple[str, str]]] = {
    Fate.ACCEPTED: (MessageState.ACCEPTED, Reason.NONE),
    Fate.REJECTED: (MessageState.REJECTED, Reason.REFUSED),
    Fate.UNKNOWN: (MessageState.UNKNOWN, Reason.NONE),
}


def record(held: Claim, attempt: Attempt, decision: Decision) -> bool:
    """Write the outcome of an attempt. False when the fence is stale: then the sweeper's judgement stands."""
    with transaction.atomic():
        lock_batch(held.pk)
        mine = Chunk.objects.filter(pk=held.pk, fence=held.fence, state=ChunkState.SUBMITTING)
        chunk = mine.select_for_update(of=("self",)).select_related("batch__account").first()
        if chunk is None:
            log.warning("The outcome of attempt %s came after its lease; it is not used", attempt.uuid)
            _close(attempt, "stale", decision)
            return False
        lock_messages(Message.objects.filter(chunk=chunk))
        match decision.verdict:
            case Verdict.ACCEPTED:
                _accepted(chunk, decision)
            case Verdict.UNKNOWN:
                _unknown(chunk, decision)
            case Verdict.REJECTED:
                _rejected(chunk, decision)
            case Verdict.SPLIT:
                _pieces(chunk, -(-chunk.size // 2))
            case Verdict.SMALLER:
                _learn_limit(chunk)
                _pieces(chunk, -(-chunk.size // 2))
            case Verdict.LATER | Verdict.CLOSED:
                release(chunk.pk)
        _close(attempt, decision.verdict, decision)
        hold_account(chunk.batch.account, decision)
    return True


def _close(attempt: Attempt, outcome: str, decision: Decision) -> None:
    """Complete the attempt, unless an earlier try to do so was committed although its answer was lost."""
    Attempt.objects.filter(pk=attempt.pk, finished_at=None).update(
        finished_at=clock.now(),
        outcome=outcome,
        status=decision.status,
        remote_id=clean(decision.remote_id, 120),
        answer=clean(decision.body or decision.text, 2000),
    )


def _end(chunk: Chunk, state: ChunkState, problem: str = "") -> None:
    Chunk.objects.filter(pk=chunk.pk).update(state=state, owner="", lease_until=None, problem=clean(problem, 500))


def _accepted(chunk: Chunk, decision: Decision) -> None:
    """Each message by its receipt; one the answer does not mention is unknown by itself."""
    by_reference = {receipt.reference: receipt for receipt in decision.receipts}
    changes, receipts, now = [], [], clock.now()
    for message in Message.objects.filter(chunk=chunk, state=MessageState.SUBMITTING).order_by("id"):
        receipt = by_reference.get(message.reference)
        fate = receipt.fate if receipt else Fate.UNKNOWN
        state, reason = STATE_OF[fate]
        remote, code, text = message.remote_id, message.error_code, message.error_text
        if receipt:
            remote = clean(receipt.remote_id, 120) or remote
            code = clean(receipt.error_code, 100) or code
            text = clean(receipt.error_text, 500) or text
            rank = Delivery.ACCEPTED if fate is Fate.ACCEPTED else Delivery.NONE
            told: dict[str, Any] = {"delivery": rank, "status": fate, "error_code": code, "error_text": text}
            receipts.append(Receipt(message=message, attempt=message.attempt, source="answer", at=now, **told))
        delivery = max(message.delivery, Delivery.ACCEPTED) if fate is Fate.ACCEPTED else message.delivery
        changes.append((message.pk, state, reason, remote, code, text, delivery, now))
    columns = ["state", "reason", "remote_id", "error_code", "error_text", "delivery", "updated_at"]
    update_each(Message, columns, changes)
    Receipt.objects.bulk_create(receipts)
    _end(chunk, ChunkState.ACCEPTED)
    believe_receipts(chunk)


def _unknown(chunk: Chunk, decision: Decision) -> None:
    Message.objects.filter(chunk=chunk, state=MessageState.SUBMITTING).update(
        state=MessageState.UNKNOWN, error_text=clean(decision.text, 500), updated_at=clock.now()
    )
    _end(chunk, ChunkState.UNKNOWN, decision.text)
    believe_receipts(chunk)


def _rejected(chunk: Chunk, decision: Decision) -> None:
    now, code = clock.now(), str(decision.status or "")
    refused = Message.objects.filter(chunk=chunk, state=MessageState.SUBMITTING)
    rows = list(refused.values_list("pk", "attempt"))
    refused.update(
        state=MessageState.REJECTED,
        reason=Reason.REFUSED,
        error_code=code,
        error_text=clean(decision.text, 500),
        updated_at=now,
    )
    told: dict[str, Any] = {"status": Fate.REJECTED, "error_code": code, "error_text": clean(decision.text, 500)}
    Receipt.objects.bulk_create(
        Receipt(message_id=pk, attempt=number, source="answer", at=now, **told) for pk, number in rows
    )
    _end(chunk, ChunkState.REJECTED, decision.text)


def believe_receipts(chunk: Chunk) -> int:
    """Make accepted what is unknown although a receipt proves that it was. Returns how many.

    Where a provider accepts a call as a whole and its answer was lost as a whole, one receipt proves every text of
    the call (SMS guide: the batch is validated and accepted as one). A text that a readable answer left out stays
    unknown until a receipt names it.
    """
    unknown = Message.objects.filter(chunk=chunk, state=MessageState.UNKNOWN)
    now = clock.now()
    heard = unknown.filter(delivery__gt=Delivery.NONE)
    # That the answer was lost is no trouble of theirs any more; what a receipt complains of is.
    heard.exclude(delivery__in=TROUBLE).update(error_text="")
    proven = heard.update(state=MessageState.ACCEPTED, evidence="receipt", updated_at=now)
    whole = Chunk.objects.filter(pk=chunk.pk, state=ChunkState.UNKNOWN)
    abilities = chunk.batch.account.at_provider().abilities
    heard_of = Message.objects.filter(chunk=chunk, delivery__gt=Delivery.NONE)
    if abilities.accepts_as_one and whole.exists() and heard_of.exists():
        proven += unknown.update(
            state=MessageState.ACCEPTED,
            evidence="inference",
            delivery=Delivery.ACCEPTED,
            error_text="",
            updated_at=now,
        )
        whole.update(state=ChunkState.ACCEPTED)
    return proven


def _ready_again(chunk_id: int, opens_at: datetime | None = None) -> None:
    """Back to ready, which is allowed only because nothing was accepted; outside the hours to `held`."""
    Message.objects.filter(chunk=chunk_id, state__in=[MessageState.CLAIMED, MessageState.SUBMITTING]).update(
        state=MessageState.HELD if opens_at else MessageState.READY,
        reason=Reason.QUIET_HOURS if opens_at else Reason.NONE,
        updated_at=clock.now(),
    )
    given = {"not_before": opens_at} if opens_at else {}
    Chunk.objects.filter(pk=chunk_id).update(state=ChunkState.READY, owner="", lease_until=None, **given)


def lock_batch(chunk_id: int) -> Batch:
    """The batch of a chunk as it is, kept from moving until the transaction ends. Lock it before the chunk."""
    lock_shared(Batch, Chunk.objects.filter(pk=chunk_id).values_list("batch_id", flat=True))
    return Batch.objects.get(chunks=chunk_id)


def lock_messages(messages: QuerySet[Message]) -> None:
    """Lock messages in the order in which receipts lock them, too; the next statement reads what is committed by then."""
    list(messages.select_for_update(of=("self",)).order_by("pk").values_list("pk"))


def release(chunk_id: int, *, opens_at: datetime | None = None) -> None:
    """Let go of a chunk nothing of which left: ready again, or skipped when its batch was cancelled.

    Call it inside the transaction in which the chunk was taken, after `lock_batch`.
    """
    if lock_batch(chunk_id).state == BatchState.CANCELLED:
        at_work = [MessageState.READY, MessageState.HELD, MessageState.CLAIMED, MessageState.SUBMITTING]
        Message.objects.filter(chunk=chunk_id, state__in=at_work).update(
            state=MessageState.SKIPPED, reason=Reason.CANCELLED, updated_at=clock.now()
        )
        Chunk.objects.filter(pk=chunk_id).update(state=ChunkState.EMPTY, owner="", lease_until=None)
    else:
        _ready_again(chunk_id, opens_at)


def give_back(held: Claim) -> None:
    """Undo a claim before anything was intended, if it is still ours."""
    with transaction.atomic():
        lock_batch(held.pk)
        mine = Chunk.objects.filter(pk=held.pk, fence=held.fence, state=ChunkState.CLAIMED)
        if mine.update(fence=F("fence") + 1):
            release(held.pk)


def cut(held: Claim, size: int) -> None:
    """Cut a claimed chunk that is larger than the account takes into pieces of at most `size`."""
    with transaction.atomic():
        lock_batch(held.pk)
        mine = Chunk.objects.filter(pk=held.pk, fence=held.fence, state=ChunkState.CLAIMED)
        if mine.update(fence=F("fence") + 1):
            _pieces(Chunk.objects.get(pk=held.pk), size)


def _pieces(chunk: Chunk, size: int) -> None:
    """Move the messages of a chunk nothing of which was accepted into new chunks of at most `size`.

    Of a batch that was cancelled meanwhile nothing is sent any more, in however small chunks.
    """
    if lock_batch(chunk.pk).state == BatchState.CANCELLED:
        release(chunk.pk)
        return
    at_work = [MessageState.CLAIMED, MessageState.SUBMITTING]
    ids = list(Message.objects.filter(chunk=chunk, state__in=at_work).order_by("id").values_list("pk", flat=True))
    for start in range(0, len(ids), size):
        part = ids[start : start + size]
        piece = Chunk.objects.create(batch_id=chunk.batch_id, size=len(part), not_before=chunk.not_before)
        Message.objects.filter(pk__in=part).update(chunk=piece, state=MessageState.READY, updated_at=clock.now())
    _end(chunk, ChunkState.SPLIT)


def hold_account(account: ProviderAccount, decision: Decision) -> None:
    """Let the account rest as the decision asks, and open its circuit when nothing sensible comes back any more."""
    row, now = ProviderAccount.objects.filter(pk=account.pk), clock.now()
    if decision.wait_s:
        row.filter(Q(paused_until=None) | Q(paused_until__lt=clock.after(decision.wait_s))).update(
            paused_until=clock.after(min(decision.wait_s, LONGEST_WAIT_S))
        )
    if decision.strike:
        row.update(bad_answers=F("bad_answers") + 1)
    elif decision.verdict is Verdict.ACCEPTED:
        row.filter(bad_answers__gt=0).update(bad_answers=0)
    if decision.verdict is Verdict.CLOSED or row.filter(bad_answers__gte=STRIKES).exists():
        opened = row.filter(circuit_open=False).update(
            circuit_open=True,
            circuit_reason=clean(decision.text or "The provider's answers tell nothing.", 500),
            paused_until=clock.after(PROBE_S),
            updated_at=now,
        )
        if opened:
            log.error("Sending through %s is stopped: %s", account.slug, decision.text)


def finish_if_done(batch_id: int) -> bool:
    """Finish a running batch whose chunks are all through. The sweeper asks again, should two workers miss it.

    Asked once more under the batch's lock: whoever has something sent again adds a chunk under the same lock, and a
    chunk added after the first look would stand in a finished batch, where nobody sends it.
    """
    open_chunks = Chunk.objects.filter(batch=batch_id, state__in=OPEN_CHUNKS)
    if open_chunks.exists():
        return False
    with transaction.atomic():
        running = Batch.objects.filter(pk=batch_id, state=BatchState.RUNNING)
        if running.select_for_update().first() is None or open_chunks.exists():
            return False
        return bool(running.update(state=BatchState.FINISHED, finished_at=clock.now(), updated_at=clock.now()))


def _learn_limit(chunk: Chunk) -> None:
    """Remember that the account takes fewer texts per call than its chunks had."""
    half = max(1, chunk.size // 2)
    account = ProviderAccount.objects.filter(pk=chunk.batch.account_id)
    account.filter(Q(max_per_call=None) | Q(max_per_call__gt=half)).update(max_per_call=half)
