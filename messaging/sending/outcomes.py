"""What is written once chunks were tried, or could not be: every row at once, and only with the current fence."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import connection, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Greatest

from messaging.models import Attempt, Batch, Chunk, Message, Receipt
from messaging.sending import releasing, standing
from messaging.sending.answers import Decision, Verdict
from messaging.statuses import BatchState, ChunkState, MessageState, Reason
from smsportal import clock, providers
from smsportal.claims import Claim, lock_shared
from smsportal.providers.base import Delivery, Fate
from smsportal.sql import among, read, run, update_each
from smsportal.text import clean, clean_all

if TYPE_CHECKING:
    from messaging.sending.intents import Intent

log = logging.getLogger(__name__)

# Reports that tell why a text did not arrive; the worst of them gives the message its error.
TROUBLE: Final = frozenset({Delivery.TEMPORARY_FAILURE, Delivery.UNCONFIRMED, Delivery.FAILED})
OPEN_CHUNKS: Final = (ChunkState.READY, ChunkState.CLAIMED, ChunkState.SUBMITTING)
FIRST_LOOK: Final = timedelta(minutes=2)  # after which an unknown chunk is looked for in the provider's transcripts

STATE_OF: Final[dict[Fate, tuple[str, str]]] = {
    Fate.ACCEPTED: (MessageState.ACCEPTED, Reason.NONE),
    Fate.REJECTED: (MessageState.REJECTED, Reason.REFUSED),
    Fate.UNKNOWN: (MessageState.UNKNOWN, Reason.NONE),
}
Done = tuple["Intent", Decision]


def record(done: Sequence[Done]) -> set[int]:
    """Write the outcomes of intents of one account, in one transaction. The ids of the chunks that were written.

    A chunk whose fence is stale is not: then the sweeper's judgement stands.
    """
    smooth = [each for each in done if is_smooth(each[1])]
    rough = [each for each in done if not is_smooth(each[1])] if len(smooth) < len(done) else []
    with transaction.atomic():
        if rough:  # only what may be sent again asks how its batch stands: whoever stops one seldom meets this
            lock_shared(Batch, {intent.batch.pk for intent, _ in rough})
        mine = _still_submitting([intent.held for intent, _ in done])
        if written := [each for each in smooth if _key(each) in mine]:
            _accept_all(written)
        for each in rough:
            if _key(each) in mine:
                _settle(*each)
        for each in done:
            if _key(each) not in mine:
                log.warning("The outcome of attempt %s came after its lease; it is not used", each[0].attempt.uuid)
        _close_attempts([(*each, _key(each) in mine) for each in done])
    return {pk for pk, _ in mine}


def _key(done: Done) -> tuple[int, int]:
    return done[0].held.pk, done[0].held.fence


def _still_submitting(held: Sequence[Claim]) -> set[tuple[int, int]]:
    """The chunks that nobody has judged or taken over, locked, each with its fence."""
    ids = list({each.pk for each in held})
    lock = "FOR UPDATE" if connection.vendor == "postgresql" else ""
    statement = f"""
        SELECT id, fence FROM messaging_chunk
        WHERE {among("id", ids)} AND state = 'submitting' ORDER BY id {lock}"""  # noqa: S608 - no data in it
    return {(pk, fence) for pk, fence in read(statement, ids)} & {(each.pk, each.fence) for each in held}


def is_smooth(decision: Decision) -> bool:
    """Whether every text was accepted: all but a few answers, so these are written together."""
    return decision.verdict is Verdict.ACCEPTED and {each.fate for each in decision.receipts} <= {Fate.ACCEPTED}


def _accept_all(done: Sequence[Done]) -> None:
    now, ids = clock.now(), [intent.held.pk for intent, _ in done]
    named: list[tuple[int, str]] = []
    unnamed: list[int] = []
    for intent, decision in done:
        names = clean_all([receipt.remote_id for receipt in decision.receipts], 120)
        if all(names):
            named += zip(intent.messages, names, strict=True)
        else:
            unnamed.append(intent.held.pk)
    # Not asked for `submitting` again: while the fence is ours nobody else moves these. And PostgreSQL, whose statistics
    # know of next to none in that state, would compare every row with every name.
    update_each(
        Message,
        ["remote_id"],
        sorted(named),
        same={"state": MessageState.ACCEPTED, "updated_at": now},
        also=f"delivery = CASE WHEN delivery < {Delivery.ACCEPTED:d} THEN {Delivery.ACCEPTED:d} ELSE delivery END",
    )
    if unnamed:
        Message.objects.filter(chunk__in=unnamed, state=MessageState.SUBMITTING).update(
            state=MessageState.ACCEPTED,
            delivery=Greatest(F("delivery"), Value(int(Delivery.ACCEPTED))),
            updated_at=now,
        )
    run(f"UPDATE messaging_chunk SET state = 'accepted', owner = '', lease_until = NULL WHERE {among('id', ids)}", ids)  # noqa: S608
    standing.went_well(done[0][0].batch.account_id)


def _settle(intent: Intent, decision: Decision) -> None:
    """Any outcome but the smooth one, for one chunk that is locked."""
    chunk = Chunk.objects.select_related("batch__account").get(pk=intent.held.pk)
    releasing.lock_messages(Message.objects.filter(chunk=chunk))
    match decision.verdict:
        case Verdict.ACCEPTED:
            _by_receipts(chunk, decision)
        case Verdict.UNKNOWN:
            _unknown(chunk, decision)
        case Verdict.REJECTED:
            _rejected(chunk, decision)
        case Verdict.SPLIT:
            releasing.pieces(chunk, -(-chunk.size // 2))
        case Verdict.SMALLER:
            standing.learn_limit(chunk.batch.account_id, chunk.size)
            releasing.pieces(chunk, -(-chunk.size // 2))
        case Verdict.LATER | Verdict.CLOSED:
            releasing.release(chunk.pk)
    standing.note(chunk.batch.account_id, decision)


def _close_attempts(done: Iterable[tuple[Intent, Decision, bool]]) -> None:
    """Complete the attempts, but for those an earlier try, whose answer was lost, has completed already."""
    rows = [
        (
            intent.attempt.pk,
            str(decision.verdict) if was_mine else "stale",
            decision.status,
            clean(decision.remote_id, 120),
            clean(decision.body or decision.text, 2000),
        )
        for intent, decision, was_mine in done
    ]
    columns = ["outcome", "status", "remote_id", "answer"]
    open_ones = "messaging_attempt.finished_at IS NULL"
    update_each(
        Attempt, columns, sorted(rows, key=lambda row: row[0]), where=open_ones, same={"finished_at": clock.now()}
    )


def _end(chunk: Chunk, state: ChunkState, problem: str = "", **more: Any) -> None:
    Chunk.objects.filter(pk=chunk.pk).update(
        state=state, owner="", lease_until=None, problem=clean(problem, 500), **more
    )


def _by_receipts(chunk: Chunk, decision: Decision) -> None:
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
        if fate is Fate.REJECTED:
            told: dict[str, Any] = {"status": fate, "error_code": code, "error_text": text}
            receipts.append(Receipt(message=message, attempt=message.attempt, source="answer", at=now, **told))
        delivery = max(message.delivery, Delivery.ACCEPTED) if fate is Fate.ACCEPTED else message.delivery
        changes.append((message.pk, state, reason, remote, code, text, delivery, now))
    columns = ["state", "reason", "remote_id", "error_code", "error_text", "delivery", "updated_at"]
    update_each(Message, columns, changes)
    Receipt.objects.bulk_create(receipts)
    left_out = any(state == MessageState.UNKNOWN for _, state, *_ in changes)
    _end(chunk, ChunkState.ACCEPTED, look_at=clock.now() + FIRST_LOOK if left_out else None)
    believe_receipts(chunk)


def _unknown(chunk: Chunk, decision: Decision) -> None:
    Message.objects.filter(chunk=chunk, state=MessageState.SUBMITTING).update(
        state=MessageState.UNKNOWN, error_text=clean(decision.text, 500), updated_at=clock.now()
    )
    _end(chunk, ChunkState.UNKNOWN, decision.text, look_at=clock.now() + FIRST_LOOK)
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


def believe_receipts(chunk: Chunk, *, missing: Sequence[int] = ()) -> int:
    """Make accepted what is unknown although a receipt proves that it was. Returns how many.

    Where a provider accepts a call as a whole and its answer was lost as a whole, one receipt proves every text of
    the call (SMS guide: the batch is validated and accepted as one). A text that a readable answer left out, and those
    of the messages `missing` in the provider's transcripts, stay unknown until a receipt names them.
    """
    unknown = Message.objects.filter(chunk=chunk, state=MessageState.UNKNOWN)
    now = clock.now()
    heard = unknown.filter(delivery__gt=Delivery.NONE)
    # That the answer was lost is no trouble of theirs any more; what a receipt complains of is.
    heard.exclude(delivery__in=TROUBLE).update(error_text="")
    proven = heard.update(state=MessageState.ACCEPTED, evidence="receipt", updated_at=now)
    whole = Chunk.objects.filter(pk=chunk.pk, state=ChunkState.UNKNOWN)
    abilities = providers.get(chunk.batch.account.provider).abilities
    if abilities.accepts_as_one and whole.exists() and _was_taken(chunk):
        proven += unknown.exclude(pk__in=missing).update(
            state=MessageState.ACCEPTED,
            evidence="inference",
            delivery=Delivery.ACCEPTED,
            error_text="",
            updated_at=now,
        )
        whole.update(state=ChunkState.ACCEPTED)
    if not unknown.exists():
        Chunk.objects.filter(pk=chunk.pk, look_at__isnull=False).update(look_at=None)
    return proven


def _was_taken(chunk: Chunk) -> bool:
    """Whether anything proves the latest request of a chunk: what is told of an earlier attempt proves that one's only."""
    proof = Q(delivery__gt=Delivery.NONE) | Q(source="lookup")
    return Receipt.objects.filter(proof, message__chunk=chunk, attempt=F("message__attempt")).exists()


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
