"""What the admin says of a message in plain words: what became of it, why, and what to do."""

from __future__ import annotations

from typing import Final

from messaging.composing.sources import to_correct
from messaging.models import Batch, Message
from messaging.statuses import MOVES, BatchState, MessageState, Reason
from smsportal import clock
from smsportal.providers.base import Delivery

BATCH_TONES: Final[dict[str, str]] = {
    BatchState.DRAFT: "",
    BatchState.PENDING_APPROVAL: "warn",
    BatchState.APPROVED: "info",
    BatchState.REJECTED: "bad",
    BatchState.EXPANDING: "info",
    BatchState.RUNNING: "info",
    BatchState.PAUSED: "warn",
    BatchState.FINISHED: "good",
    BatchState.CANCELLED: "bad",
}
SCHEDULED: Final = "Scheduled"
TAGS: Final[dict[str, str]] = {"good": "success", "warn": "warning", "bad": "danger", "info": "info", "": ""}

_WAITING: Final = "It waits for its turn."
_BY_STATE: Final[dict[str, str]] = {
    MessageState.HELD: "It is held back until quiet hours or a holiday end, then it is sent by itself.",
    MessageState.READY: _WAITING,
    MessageState.CLAIMED: _WAITING,
    MessageState.SUBMITTING: "It is being handed to the provider at this moment.",
    MessageState.WRITTEN_OFF: "Nobody knows whether it was sent. Staff closed it: it is not sent again.",
    MessageState.UNKNOWN: (
        "Nobody knows whether it was sent: it was handed over, but no answer came back. It is never sent again by itself, "
        "so that nobody gets it twice. A report may still settle it; after a quarter of an hour, staff may decide."
    ),
}
_BY_DELIVERY: Final[dict[int, str]] = {
    Delivery.NONE: "The provider took it. No report has come yet.",
    Delivery.ACCEPTED: "The provider took it and has it in its queue.",
    Delivery.CARRIER: "The provider gave it to the phone company.",
    Delivery.SENT: "It was sent. Whether it arrived is not reported yet.",
    Delivery.TEMPORARY_FAILURE: "It did not arrive yet; the provider is still trying. Nothing needs to be done.",
    Delivery.UNCONFIRMED: "It was sent, but the phone company never said whether it arrived.",
    Delivery.FAILED: "It did not arrive.",
    Delivery.DELIVERED: "It arrived.",
    Delivery.READ: "It arrived and was read.",
}
_BY_REASON: Final[dict[str, str]] = {
    Reason.OPTED_OUT: "It was not sent, because the person opted out. The person can change that by texting START; staff can lift it with a reason.",
    Reason.BLANK: "It was not sent, because a field in the text is blank for this person. Fill it in the list, or add a fallback.",
    Reason.TOO_LONG: "It was not sent, because the text is too long with this person's fields. Shorten it.",
    Reason.EMPTY: "It was not sent, because the text is empty for this person.",
    Reason.CANCELLED: "It was not sent, because the batch was cancelled.",
    Reason.QUIET_HOURS: "It is held back until quiet hours or a holiday end, then it is sent by itself.",
    Reason.REFUSED: "The provider refused it. It was not sent.",
    Reason.CAPPED: "It was not sent, because the person got enough texts that day. Write to them on another day.",
    Reason.EXPIRED: "It was not sent, because its time had run out before it could leave. If it still matters, write a new batch.",
}
# Why texts of a batch were not sent, and what to do, of any number of them.
SKIPPED: Final[dict[str, str]] = {
    Reason.OPTED_OUT: "They opted out before their text left. They can change that by texting START; staff can lift it with a reason.",
    Reason.BLANK: "A field in the text is blank for them. Fill it in the list, or give it a fallback, then write to them in a new batch.",
    Reason.TOO_LONG: "With their fields the text is longer than can be sent. Shorten it and write to them in a new batch.",
    Reason.EMPTY: "With their fields nothing is left of the text. Write to them in a new batch.",
    Reason.CANCELLED: "They waited when the batch was cancelled. Write a new batch if they should get it after all.",
    Reason.CAPPED: "They got enough texts that day. Write to them on another day.",
    Reason.EXPIRED: "Its time had run out before their text could leave. Write a new batch if it still matters.",
}


def sentence(message: Message) -> str:
    """What became of a message, why, and what to do, for people."""
    if message.state == MessageState.ACCEPTED:
        said = _BY_DELIVERY[message.delivery]
    elif message.state in {MessageState.SKIPPED, MessageState.REJECTED}:
        said = _BY_REASON.get(message.reason, "It was not sent.")
    else:
        said = _BY_STATE[message.state]
    why = message.error_text or message.error_code
    arrived = message.state == MessageState.ACCEPTED and message.delivery >= Delivery.DELIVERED
    if arrived or not why:
        return said
    # Of an unknown text the provider has said nothing; it is we who lost its answer.
    return f"{said} {'What happened' if message.state == MessageState.UNKNOWN else 'The provider says'}: {why.rstrip('.')}."


def earlier_try(message: Message) -> str:
    """That an earlier try than the last one was sent, for people; blank when none is known to have been."""
    if not message.double_send:
        return ""
    if message.state == MessageState.ACCEPTED:
        return "An earlier try turned out to have been sent as well: this person got the text twice."
    if message.state in {MessageState.UNKNOWN, MessageState.WRITTEN_OFF, MessageState.SUBMITTING}:
        return "An earlier try turned out to have been sent: this person got the text, perhaps twice."
    return "An earlier try turned out to have been sent: this person got the text once. Do not send it again."


def tone(message: Message) -> str:
    """good, warn, bad or info."""
    if message.state == MessageState.ACCEPTED:
        if message.delivery == Delivery.FAILED:
            return "bad"
        return "good" if message.delivery >= Delivery.DELIVERED else "info"
    bad = {MessageState.REJECTED, MessageState.WRITTEN_OFF}
    return (
        "warn"
        if message.state in {MessageState.UNKNOWN, MessageState.SKIPPED}
        else "bad"
        if message.state in bad
        else ""
    )


_WATERFALL: Final[tuple[tuple[str, str], ...]] = (
    ("audience", "Contacts in the lists and segments"),
    ("duplicates", "In several lists, or twice: written to once"),
    ("invalid", "Left out: a field is blank, or the text is too long for them"),
    ("opted_out", "Left out: opted out"),
    ("capped", "Left out: got enough texts lately"),
    ("expired", "Left out: cannot leave before it must not leave any more"),
    ("quiet_hours", "Held until the quiet hours end, then sent"),
    ("will_send", "Will be sent"),
)


def waterfall(batch: Batch) -> list[tuple[str, str]]:
    """The steps from the audience of `batch` to what is sent, each with its sentence."""
    first = _WATERFALL[0][1]
    if batch.corrects is not None:
        first = "Got the first text, or may have got it"
        if batch.state in MOVES["edit"] and to_correct(batch.corrects, batch).narrowed:
            first += ", and no earlier correction"
    return [("audience", first), *_WATERFALL[1:]]


def how_many(batch: Batch) -> int:
    """How many texts a submitted batch sends in all, those held for their hour included; 0 of a draft."""
    fall = batch.waterfall or {}
    return int(fall.get("will_send", 0)) + int(fall.get("quiet_hours", 0))


def is_scheduled(batch: Batch) -> bool:
    """Whether it was started for a moment that has not come: nothing of it is prepared."""
    return batch.state == BatchState.EXPANDING and batch.send_at is not None and batch.send_at > clock.now()


def standing(batch: Batch) -> str:
    """The state of a batch as staff read it."""
    return SCHEDULED if is_scheduled(batch) else BatchState(batch.state).label
