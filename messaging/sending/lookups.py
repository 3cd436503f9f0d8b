"""Looks for texts whose fate is unknown in the provider's own transcripts: the one evidence besides a receipt.

Two, ten and sixty minutes after an answer was lost, up to three people of the chunk are asked for. A transcript that
holds the text proves that the request was accepted; one that does not proves nothing, so the text stays unknown.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F

from messaging.models import Attempt, Batch, Chunk, Message, Receipt
from messaging.sending import outcomes, releasing
from messaging.statuses import MessageState
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.claims import lock_shared
from smsportal.providers.base import Delivery, Provider, RemoteTurn
from smsportal.providers.errors import ProviderError, Unable

log = logging.getLogger(__name__)

# When it is looked again, counted from the look before; after the last one only a receipt or a person decides.
NEXT_LOOKS: Final = (timedelta(minutes=8), timedelta(minutes=50))
PEOPLE: Final = 3  # asked for in each look
AT_ONCE: Final = 10  # chunks in one call, each a few requests
LEASE: Final = timedelta(minutes=10)  # of one look: three people, each asked for up to three times
LONGEST_S: Final = 20.0  # after which no further chunk is begun: where a provider hangs, each takes minutes
# The provider's clock and ours may differ by this much.
EARLIER: Final = timedelta(minutes=2)
# Another text with the same words to the same person so near in time would be mistaken for this one.
TWIN_WITHIN: Final = timedelta(hours=2)


def look_up() -> int:
    """Look for what is unknown and due to be looked for. How many texts were found to have been sent.

    Any number of workers may do it at once: a conditional UPDATE takes each chunk. Never raises a provider's error.
    """
    waiting = Chunk.objects.filter(
        look_at__lte=clock.now(), batch__account__in=ProviderAccount.objects.filter(ProviderAccount.open())
    )
    found, until = 0, time.monotonic() + LONGEST_S
    chunks = waiting.select_related("batch__account").defer("batch__account__secrets")  # read one by one, if at all
    for chunk in chunks.order_by("look_at")[:AT_ONCE]:
        found += _look_for(chunk)
        if time.monotonic() > until:
            break
    return found


def _look_for(chunk: Chunk) -> int:
    mine = Chunk.objects.filter(pk=chunk.pk, looks=chunk.looks, look_at=chunk.look_at)
    # Counted once it was made: one whose worker dies meanwhile is made again.
    if not mine.update(look_at=clock.now() + LEASE):
        return 0  # another worker is looking
    try:
        provider = chunk.batch.account.at_provider()
        if not provider.abilities.shows_transcripts:
            Chunk.objects.filter(pk=chunk.pk).update(look_at=None)
            return 0
        return _believe(chunk, *_asked(provider, chunk))
    except ProviderError as error:
        log.info("Unknown texts of chunk %s could not be looked up: %s", chunk.pk, error)
        # When its address is not known, asking again is in vain.
        _count(chunk, last=isinstance(error, Unable))
    except Exception:
        log.exception("Unknown texts of chunk %s could not be looked up", chunk.pk)
        _count(chunk)
    return 0


def _count(chunk: Chunk, *, last: bool = False) -> None:
    """Note that a look was made, and when the next one is, unless what it was for is known by now."""
    later = NEXT_LOOKS[chunk.looks] if chunk.looks < len(NEXT_LOOKS) and not last else None
    Chunk.objects.filter(pk=chunk.pk, looks=chunk.looks, look_at__isnull=False).update(
        looks=F("looks") + 1, look_at=clock.now() + later if later else None
    )


def _asked(provider: Provider, chunk: Chunk) -> tuple[list[int], list[int]]:
    """The ids of unknown messages of the chunk that a transcript holds, and of those it does not."""
    attempt = Attempt.objects.filter(chunk=chunk).order_by("-pk").first()
    if attempt is None:
        return [], []
    unknown = Message.objects.filter(chunk=chunk, state=MessageState.UNKNOWN).select_related("number").order_by("pk")
    found: list[int] = []
    missing: list[int] = []
    for message in [each for each in unknown[: 4 * PEOPLE] if not _has_twin(each, attempt.created_at)][:PEOPLE]:
        turns = provider.transcript(chunk.batch.operator, message.number.e164)
        is_there = any(_is(turn, message, attempt.created_at - EARLIER) for turn in turns)
        (found if is_there else missing).append(message.pk)
    return found, missing


def _is(turn: RemoteTurn, message: Message, since: datetime) -> bool:
    """Whether a line of a transcript is this very text. One without a time proves nothing."""
    same = " ".join(turn.text.split()) == " ".join(message.text.split())
    return same and turn.at is not None and since <= turn.at <= clock.now() + EARLIER


def _has_twin(message: Message, at: datetime) -> bool:
    """Whether the person may have got the same words by another message of ours, or by an earlier attempt."""
    others = Message.objects.filter(number=message.number_id, text=message.text, attempt__gt=0).exclude(pk=message.pk)
    near = others.filter(updated_at__gte=at - TWIN_WITHIN, created_at__lte=at + TWIN_WITHIN)
    return message.attempt > 1 or near.exists()


def _believe(chunk: Chunk, messages: list[int], missing: list[int]) -> int:
    """Make accepted what was found and, where a call is accepted as one, its neighbours too, but for those `missing`.

    Their own transcript speaks against it: they may have been refused one by one, or it is late.
    """
    with transaction.atomic():
        lock_shared(Batch, [chunk.batch_id])
        _count(chunk)
        if not messages:
            return 0
        locked = Chunk.objects.select_for_update(of=("self",)).select_related("batch__account").get(pk=chunk.pk)
        releasing.lock_messages(Message.objects.filter(chunk=chunk))
        unknown = Message.objects.filter(chunk=chunk, state=MessageState.UNKNOWN)
        found = list(unknown.filter(pk__in=messages).values_list("pk", "attempt"))
        unknown.filter(pk__in=messages).update(
            state=MessageState.ACCEPTED,
            evidence="lookup",
            delivery=Delivery.ACCEPTED,
            error_text="",
            updated_at=clock.now(),
        )
        Receipt.objects.bulk_create(
            Receipt(message_id=pk, attempt=attempt, source="lookup", status="in the transcript", at=clock.now())
            for pk, attempt in found
        )
        return len(found) + outcomes.believe_receipts(locked, missing=missing)
