"""⑨ What may become of a batch, a chunk and a message, and how news of a delivery joins what is known. Pure.

Two axes on a message: `state` is ours and moves only under a fence; `delivery` is a join over events, so that
duplicates, disorder and replays cannot change where it ends.

Next: docs/flow.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db import models
from django.db.models import Q

from smsportal.providers.base import Delivery


class MessageState(models.TextChoices):
    """Ours. `submitting` never becomes `ready` by time; `unknown` never by a machine."""

    HELD = "held", "Waiting for its hour"
    READY = "ready", "Ready to send"
    CLAIMED = "claimed", "Taken by a worker"
    SUBMITTING = "submitting", "Being handed over"
    ACCEPTED = "accepted", "Accepted by the provider"
    REJECTED = "rejected", "Refused by the provider"
    SKIPPED = "skipped", "Not sent"
    UNKNOWN = "unknown", "Unknown whether sent"
    WRITTEN_OFF = "written_off", "Unknown, closed by staff"


class Reason(models.TextChoices):
    """Why a message is skipped, rejected or held."""

    NONE = "", "-"
    OPTED_OUT = "opted_out", "The person opted out"
    BLANK = "blank", "A placeholder has no value"
    TOO_LONG = "too_long", "The text is too long"
    EMPTY = "empty", "The text is empty"
    CANCELLED = "cancelled", "The batch was cancelled"
    QUIET_HOURS = "quiet_hours", "Quiet hours"
    REFUSED = "refused", "The provider refused the text"
    CAPPED = "capped", "Too many texts in a day"
    EXPIRED = "expired", "Too late to be sent"


class ChunkState(models.TextChoices):
    """Of the messages of one provider request."""

    READY = "ready", "Ready"
    CLAIMED = "claimed", "Taken by a worker"
    SUBMITTING = "submitting", "Being handed over"
    ACCEPTED = "accepted", "Accepted"
    REJECTED = "rejected", "Refused"
    UNKNOWN = "unknown", "Unknown"
    SPLIT = "split", "Cut into smaller ones"
    EMPTY = "empty", "Nothing left to send"


def shown_state(state: str, chunk_state: str | None) -> str:
    """The state of a message as people and programs see it: claimed while its chunk is.

    A claim is written on the chunk alone, so that a hundred messages need not be (ADR 0006).
    """
    waits = state in (MessageState.READY, MessageState.HELD)
    return MessageState.CLAIMED.value if waits and chunk_state == ChunkState.CLAIMED else state


class BatchState(models.TextChoices):
    """Of a sending, as staff see it."""

    DRAFT = "draft", "Draft"
    PENDING_APPROVAL = "pending_approval", "Waiting for approval"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Not approved"
    EXPANDING = "expanding", "Being prepared"
    RUNNING = "running", "Sending"
    PAUSED = "paused", "Paused"
    FINISHED = "finished", "Finished"
    CANCELLED = "cancelled", "Cancelled"


def in_words(state: str) -> str:
    """The state of a batch after "it is"."""
    return "a draft" if state == BatchState.DRAFT else BatchState(state).label.lower()


# What staff may ask of a batch: action → the states it may be asked in. Where it leads is the verb's business.
MOVES: Final[dict[str, frozenset[str]]] = {
    "edit": frozenset({BatchState.DRAFT, BatchState.PENDING_APPROVAL, BatchState.APPROVED, BatchState.REJECTED}),
    "submit": frozenset({BatchState.DRAFT, BatchState.REJECTED}),
    "approve": frozenset({BatchState.PENDING_APPROVAL}),
    "reject": frozenset({BatchState.PENDING_APPROVAL}),
    "start": frozenset({BatchState.APPROVED}),
    "undo": frozenset({BatchState.EXPANDING}),
    "pause": frozenset({BatchState.EXPANDING, BatchState.RUNNING}),
    "resume": frozenset({BatchState.PAUSED}),
    "cancel": frozenset(set(BatchState) - {BatchState.FINISHED, BatchState.CANCELLED}),
    "retry-failed": frozenset({BatchState.FINISHED}),
}


def allowed(state: str, *, undoable: bool = False) -> list[str]:
    """The actions that may be asked of a batch in `state`; `undoable`: it was started, and nothing is prepared yet.

    `messaging.controls.possible` asks this for a batch as it stands.
    """
    return [action for action, states in MOVES.items() if state in states and (undoable or action != "undo")]


class Got(models.TextChoices):
    """Whether a person has the text, as far as is known. Every message of a batch is in one of these groups."""

    GOT = "got", "Got it"
    MAY_HAVE = "may_have", "May have got it"
    DID_NOT = "did_not", "Did not get it"


# A handset's receipt counts whichever attempt it is of, and so does a report that an earlier attempt went out, too.
_GOT: Final = (
    Q(delivery__gte=Delivery.DELIVERED)
    | Q(double_send=True)
    | Q(state=MessageState.ACCEPTED, delivery__lte=Delivery.SENT)
)
# Evidence "staff": a person had it sent again while nobody knew whether the earlier attempt had arrived.
_DOUBTFUL: Final = (
    Q(state__in=[MessageState.SUBMITTING, MessageState.UNKNOWN, MessageState.WRITTEN_OFF])
    | Q(state=MessageState.ACCEPTED, delivery__in=[Delivery.TEMPORARY_FAILURE, Delivery.UNCONFIRMED])
    | Q(evidence="staff")
)
WHO_GOT: Final[dict[str, Q]] = {
    Got.GOT: _GOT,
    Got.MAY_HAVE: ~_GOT & _DOUBTFUL,
    Got.DID_NOT: ~_GOT & ~_DOUBTFUL,
}


# Delivery ranks as the API writes them.
DELIVERY_WORDS: Final[dict[int, str]] = {int(rank): rank.name.lower() for rank in Delivery}
DELIVERY_TITLES: Final[list[tuple[int, str]]] = [
    (Delivery.NONE, "No report"),
    (Delivery.ACCEPTED, "Queued by the provider"),
    (Delivery.CARRIER, "With the carrier"),
    (Delivery.SENT, "Sent"),
    (Delivery.TEMPORARY_FAILURE, "Failed for now, being retried"),
    (Delivery.UNCONFIRMED, "Not known by the provider"),
    (Delivery.FAILED, "Failed"),
    (Delivery.DELIVERED, "Delivered"),
    (Delivery.READ, "Read"),
]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a delivery: its rank, and whether both a failure and a delivery were reported."""

    rank: Delivery = Delivery.NONE
    failed: bool = False
    delivered: bool = False

    @property
    def conflict(self) -> bool:
        return self.failed and self.delivered


def join(now: Known, news: Delivery) -> Known:
    """What is known after `news`: the higher rank, the flags together. Commutative, associative, idempotent."""
    return Known(
        rank=max(now.rank, news),
        failed=now.failed or news is Delivery.FAILED,
        delivered=now.delivered or news >= Delivery.DELIVERED,
    )
