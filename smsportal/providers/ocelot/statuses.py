"""Ocelot's words for what became of a text, in ours, and what staff are told about each error.

Of all statuses the documents name only `permanent_failure`, and of all error codes only `BlockedByCarrierUser` (Texting
API 1.0.0-beta2, "Callback payload samples"). The other rows are assumption A7 of docs/providers/ocelot.md: both sets
are open, and a word that no row fits is kept and shown but changes nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from smsportal.providers.base import Delivery

STATUSES: Final[dict[str, Delivery]] = {
    "accepted": Delivery.ACCEPTED,
    "queued": Delivery.ACCEPTED,
    "enqueued": Delivery.ACCEPTED,
    "pending": Delivery.ACCEPTED,
    "scheduled": Delivery.ACCEPTED,
    "still_in_queue": Delivery.ACCEPTED,
    "sending": Delivery.SENT,
    "sent": Delivery.SENT,
    "submitted": Delivery.SENT,
    "dispatched": Delivery.SENT,
    "temporary_failure": Delivery.TEMPORARY_FAILURE,
    "soft_bounce": Delivery.TEMPORARY_FAILURE,
    "retrying": Delivery.TEMPORARY_FAILURE,
    "permanent_failure": Delivery.FAILED,
    "failed": Delivery.FAILED,
    "failure": Delivery.FAILED,
    "undelivered": Delivery.FAILED,
    "rejected": Delivery.FAILED,
    "expired": Delivery.FAILED,
    "opted_out": Delivery.FAILED,
    "blocked": Delivery.FAILED,
    "delivered": Delivery.DELIVERED,
    "delivery_success": Delivery.DELIVERED,
    "success": Delivery.DELIVERED,
    "read": Delivery.READ,
}
# For words the table lacks, in this order: what sounds final comes after what says that it is tried again.
_KEYWORDS: Final[tuple[tuple[re.Pattern[str], Delivery], ...]] = (
    (re.compile(r"soft_?bounce|temporar|transient|retr(y|ies|ied)"), Delivery.TEMPORARY_FAILURE),
    (re.compile(r"fail|undeliver|not_deliver|unsent|not_sent|reject|hard_?bounce|opt(ed)?_out"), Delivery.FAILED),
    (re.compile(r"delivered_to_(carrier|network|operator|gateway)"), Delivery.CARRIER),
    (re.compile(r"(^|_)delivered($|_)"), Delivery.DELIVERED),
    (re.compile(r"(^|_)(sent|sending)($|_)"), Delivery.SENT),
    (re.compile(r"queue|(^|_)(pending|scheduled|accepted)($|_)"), Delivery.ACCEPTED),
)


class Failure(NamedTuple):
    """What an error means: a title, a sentence for staff, whether to try again, and whether the person refuses our texts."""

    title: str
    text: str
    again: bool = False
    blocked_by_person: bool = False


BLOCKED: Final = Failure(
    "Blocked by the person",
    "The person has blocked our texts with their carrier, for example by answering STOP. "
    "They are not texted again; reach them another way.",
    blocked_by_person=True,
)
OPTED_OUT: Final = Failure(
    "Opted out at Ocelot",
    "The person has opted out at Ocelot. They are not texted again; reach them another way.",
    blocked_by_person=True,
)
FILTERED: Final = Failure(
    "Filtered by the carrier",
    "The carrier filtered the text as unwanted. Say who is writing, leave out shortened links and words in capitals, "
    "then send it again.",
)
LANDLINE: Final = Failure(
    "A landline", "The number is a landline and takes no texts. Ask the person for a mobile number."
)
ABROAD: Final = Failure(
    "Outside the United States",
    "The number is outside the United States, where Ocelot does not text. Ask for a US number.",
)
BAD_NUMBER: Final = Failure(
    "Not in service", "The number is not in service. Check it with the person and correct it in the list."
)
UNREACHABLE: Final = Failure(
    "Phone not reached", "The phone could not be reached in time. Try again later.", again=True
)
NO_REASON: Final = Failure(
    "No reason given", "Ocelot could not deliver the text and gave no reason. Try again later.", again=True
)

# Keywords in an error code or a failed reason, in this order (A7): some reasons are those Ocelot's Admin Portal shows.
_ERRORS: Final[tuple[tuple[re.Pattern[str], Failure], ...]] = (
    (re.compile(r"blocked_?by_?(carrier_?)?(user|person|recipient|contact)|blacklist"), BLOCKED),
    (re.compile(r"opt(ed)?[_ -]?out|unsubscri"), OPTED_OUT),
    (re.compile(r"landline|not_?text|not_?sms|not_?mobile"), LANDLINE),
    (re.compile(r"international|foreign|region"), ABROAD),
    (re.compile(r"unreachable|time_?out|switched_?off|absent|unavailable"), UNREACHABLE),
    (re.compile(r"spam|filter|carrier|violation|blocked"), FILTERED),
    (re.compile(r"invalid|unknown|not_?in_?service|no_?such|disconnected|bad_?number|does_?not_?exist"), BAD_NUMBER),
)


def fold(word: str) -> str:
    """A status or code as the tables write it: PermanentFailure, "permanent-failure" → permanent_failure."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word.strip())
    return re.sub(r"[\s_.-]+", "_", parted).lower()


@lru_cache(maxsize=256)
def delivery(status: str) -> Delivery | None:
    """How far a text has come according to `status`; None for a word that is not understood."""
    word = fold(status)
    if word in STATUSES:
        return STATUSES[word]
    return next((rank for pattern, rank in _KEYWORDS if pattern.search(word)), None)


def failure(code: str, status: str = "") -> Failure:
    """What to tell staff about an error code, or about a failing status that came without one."""
    for words in (fold(code), fold(status)):
        for pattern, found in _ERRORS:
            if pattern.search(words):
                return found
    if not code:
        return NO_REASON
    return Failure(
        f"Failed: {code}", f"Ocelot could not deliver the text and gives the reason “{code}”. Ask Ocelot what it means."
    )
