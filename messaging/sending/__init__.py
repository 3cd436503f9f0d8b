"""⑤ Hands chunks to a provider so that nothing is lost and nothing is doubled by us: claim, intent, POST, outcome.

Three short transactions and one request. The intent is committed before the request leaves, and it holds the consent
of every recipient; after it a chunk is never made ready again by time, only by an answer that says it was refused.

Next: smsportal/providers/ocelot/__init__.py
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Q

from contacts.models import PhoneNumber
from messaging import addresses, hours
from messaging.models import Attempt, Batch, Chunk, Message
from messaging.sending import outcomes
from messaging.sending.answers import Decision, Verdict, decide
from messaging.statuses import BatchState, ChunkState, MessageState, Reason
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.claims import Claim, claim, lock_shared
from smsportal.providers.base import Answer, Envelope, Outgoing, Provider
from smsportal.providers.errors import Misconfigured, ProviderError

log = logging.getLogger(__name__)

# Longer than any request may take (45 s), so that a lease runs out only when its worker is dead or frozen.
LEASE_S: Final = 180
# A worker that was frozen between the intent and the POST must not send: the sweeper may already have judged.
FRESH_S: Final = 2.0
# The pauses between tries to write an outcome while the database is away or in a deadlock: far less than the lease.
AGAIN_AFTER_S: Final = (0.2, 1.0, 3.0, 6.0)


@dataclass(frozen=True, slots=True)
class Intent:
    """What was committed to be sent, and when (on this process's monotonic clock)."""

    held: Claim
    attempt: Attempt
    envelope: Envelope
    texts: tuple[Outgoing, ...]
    committed_at: float


def send_next() -> bool:
    """Take one chunk that is due and see it through. False when none is due."""
    held = take()
    if held is None:
        return False
    chunk = Chunk.objects.select_related("batch__account", "batch__unit").get(pk=held.pk)
    limit = chunk.batch.account.max_per_call
    if limit and chunk.size > limit:
        outcomes.cut(held, limit)
        return True
    try:
        provider = chunk.batch.account.at_provider()
        provider.connect()
    except Exception as error:
        # Nothing was intended yet, so nothing can be unknown: decide as for a refusal. A mistake of our own closes the
        # account, too: kept, the claims of its chunks would hold up everybody's, lease after lease.
        if not isinstance(error, ProviderError):
            log.exception("%s cannot be used", chunk.batch.account)
            error = Misconfigured(f"The portal cannot use this account: {error!r}")
        outcomes.give_back(held)
        outcomes.hold_account(chunk.batch.account, decide(error, chunk.size))
        return True
    intent = intend(held, chunk)
    if intent is not None:
        write_down(intent, hand_over(provider, intent))
    outcomes.finish_if_done(chunk.batch_id)
    return True


def take() -> Claim | None:
    """Claim the next chunk that is due, single texts first, and its messages with it."""
    due = Q(state=ChunkState.READY) & (Q(not_before=None) | Q(not_before__lte=clock.now()))
    left = Q(state=ChunkState.CLAIMED, lease_until__lt=clock.now())
    waiting = Chunk.objects.filter(
        due | left,
        batch__state=BatchState.RUNNING,
        batch__account__in=ProviderAccount.objects.filter(ProviderAccount.open()),
    ).order_by("-batch__single", "id")
    with transaction.atomic():
        held = claim(waiting, LEASE_S, state=ChunkState.CLAIMED)
        if held is not None:
            Message.objects.filter(chunk=held.pk, state__in=[MessageState.READY, MessageState.HELD]).update(
                state=MessageState.CLAIMED, reason="", updated_at=clock.now()
            )
    return held


def intend(held: Claim, chunk: Chunk) -> Intent | None:
    """Commit the intent to send, or give the chunk back and return None when it must not be sent now.

    Whoever pauses or stops a batch, or records an opt-out, changes a row that is locked here: their change is
    either seen by this intent or commits after it, never in between.
    """
    with transaction.atomic():
        now = clock.now()
        # Locks in the order batch, chunk, account, numbers, messages: whoever pauses or cancels takes the batch first.
        lock_shared(Batch, [chunk.batch_id])
        mine = Chunk.objects.filter(pk=held.pk, fence=held.fence, state=ChunkState.CLAIMED, lease_until__gt=now)
        if not mine.update(state=ChunkState.SUBMITTING, lease_until=clock.after(LEASE_S)):
            return None
        lock_shared(ProviderAccount, [chunk.batch.account_id])
        batch = Batch.objects.select_related("account", "unit").get(pk=chunk.batch_id)
        opens_at = hours.opens_at(now, zone=batch.unit.time_zone, quiet=settings.QUIET_HOURS)
        if not _may_send(batch) or opens_at is not None:
            outcomes.release(held.pk, opens_at=opens_at)
            return None
        messages = Message.objects.filter(chunk=held.pk, state=MessageState.CLAIMED)
        lock_shared(PhoneNumber, messages.values_list("number_id", flat=True))
        # A late receipt of an earlier attempt may be settling some of them: they are chosen once it is committed.
        outcomes.lock_messages(messages)
        messages.filter(number__opted_out=True).update(
            state=MessageState.SKIPPED, reason=Reason.OPTED_OUT, updated_at=now
        )
        if not messages.update(state=MessageState.SUBMITTING, attempt=F("attempt") + 1, updated_at=now):
            Chunk.objects.filter(pk=held.pk).update(state=ChunkState.EMPTY, owner="", lease_until=None)
            return None
        texts = _texts(held.pk)
        attempt = Attempt.objects.create(chunk_id=held.pk, fence=held.fence, texts=len(texts))
        # Still in the transaction: between its commit and the request nothing may ask the database any more.
        envelope = _envelope(batch, attempt)
    return Intent(held, attempt, envelope, texts, time.monotonic())


def hand_over(provider: Provider, intent: Intent) -> Decision:
    """Make the one request of an intent and judge its answer. Never raises: what is not known is UNKNOWN."""
    if time.monotonic() - intent.committed_at > FRESH_S:
        return Decision(Verdict.LATER, text="The worker stood still before the request; nothing left.")
    outcome: Answer | Exception
    try:
        outcome = provider.send(intent.envelope, intent.texts)
    except Exception as error:
        outcome = error
        if not isinstance(error, ProviderError):
            log.exception("Sending attempt %s failed in the portal itself", intent.attempt.uuid)
    return decide(outcome, len(intent.texts))


def write_down(intent: Intent, decision: Decision) -> bool:
    """Record what came of an intent, also when the database was away or chose this transaction to end a deadlock.

    What was answered is known only here: lost, a plain refusal would be unknown for ever. The fence makes a repetition
    harmless.
    """
    for pause_s in AGAIN_AFTER_S:
        try:
            return outcomes.record(intent.held, intent.attempt, decision)
        except (OperationalError, InterfaceError) as gone:
            if connection.in_atomic_block:
                raise
            log.warning("The outcome of attempt %s could not be written yet: %s", intent.attempt.uuid, gone)
            connection.close()
            time.sleep(pause_s)
    return outcomes.record(intent.held, intent.attempt, decision)


def _may_send(batch: Batch) -> bool:
    return (
        batch.state == BatchState.RUNNING
        and ProviderAccount.objects.filter(ProviderAccount.open(), pk=batch.account_id).exists()
    )


def _envelope(batch: Batch, attempt: Attempt) -> Envelope:
    return Envelope(
        sender=batch.sender,
        operator=batch.operator,
        callback_url=addresses.attempt_url(attempt.uuid),
        request_key=str(attempt.uuid),
        options=batch.provider_options,
    )


def _texts(chunk_id: int) -> tuple[Outgoing, ...]:
    rows = (
        Message.objects.filter(chunk=chunk_id, state=MessageState.SUBMITTING)
        .order_by("id")
        .values_list("uuid", "attempt", "number__e164", "text", "contact__uuid")
    )
    return tuple(
        Outgoing(to=e164, text=text, reference=f"{uuid}.{attempt}", contact_reference=str(contact or ""))
        for uuid, attempt, e164, text, contact in rows
    )
