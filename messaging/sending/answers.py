"""What an answer to a send means: the one table that decides between accepted, unknown, again later and never. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smsportal.providers import errors
from smsportal.providers.base import Answer, Receipt


class Verdict(StrEnum):
    """What becomes of the chunk."""

    ACCEPTED = "accepted"  # each text by its receipt
    UNKNOWN = "unknown"  # it may have been accepted: never sent again by a machine
    REJECTED = "rejected"  # refused for good
    SPLIT = "split"  # refused as a whole: send it in two halves to find what is wrong
    SMALLER = "smaller"  # too much at once: send less per call from now on
    LATER = "later"  # not accepted: send it again after a while
    CLOSED = "closed"  # not accepted, and a person must act: nothing more goes through this account


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with what is worth keeping. `wait_s` holds the whole account back; `strike` counts for the breaker."""

    verdict: Verdict
    receipts: tuple[Receipt, ...] = ()
    remote_id: str = ""
    status: int | None = None
    text: str = ""
    body: str = ""
    wait_s: float = 0
    strike: bool = False


LONGEST_WAIT_S: Final = 15 * 60
STRIKES: Final = 3  # answers in a row that tell nothing, after which the breaker opens

# Kinds of error · verdict on several texts · verdict on one · seconds to wait unless the provider names some.
TABLE: Final = (
    ((errors.Uncertain, errors.Garbled), Verdict.UNKNOWN, Verdict.UNKNOWN, 0),
    ((errors.Throttled,), Verdict.LATER, Verdict.LATER, 5),
    ((errors.Unreachable,), Verdict.LATER, Verdict.LATER, 10),
    ((errors.TooLarge,), Verdict.SMALLER, Verdict.REJECTED, 0),
    ((errors.Refused, errors.Invalid), Verdict.SPLIT, Verdict.REJECTED, 0),
    ((errors.Misconfigured, errors.Missing, errors.Unable), Verdict.CLOSED, Verdict.CLOSED, 0),
)


def decide(outcome: Answer | Exception, size: int) -> Decision:
    """What to do with a chunk of `size` texts after `outcome`.

    Anything that is not known to have been refused is UNKNOWN: also an exception nobody foresaw.
    """
    if isinstance(outcome, Answer):
        return Decision(
            Verdict.ACCEPTED, outcome.receipts, outcome.remote_id, outcome.status, body=outcome.body, strike=False
        )
    if not isinstance(outcome, errors.ProviderError):
        return Decision(Verdict.UNKNOWN, text=f"The portal failed while sending: {outcome!r}"[:500], strike=True)
    verdict, wait_s = _of_error(outcome, size)
    return Decision(
        verdict,
        status=outcome.status,
        text=outcome.text,
        body=outcome.body,
        wait_s=wait_s,
        strike=outcome.sent is errors.Sent.MAYBE,
    )


def _of_error(error: errors.ProviderError, size: int) -> tuple[Verdict, float]:
    for kinds, of_many, of_one, wait_s in TABLE:
        if isinstance(error, kinds):
            return (of_many if size > 1 else of_one), min(error.retry_after_s or wait_s, LONGEST_WAIT_S)
    # A kind of error the table does not know: whether it was sent is the only thing that counts.
    return (Verdict.UNKNOWN if error.sent is errors.Sent.MAYBE else Verdict.CLOSED), 0
