"""How an audience becomes those written to: it always sums up, and what is invalid is told reason by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from messaging.composing.audience import Person
from messaging.models import Waterfall
from messaging.statuses import Reason

INVALID: Final = (Reason.BLANK, Reason.EMPTY, Reason.TOO_LONG)


def no_one() -> Waterfall:
    """A waterfall nothing has come down yet."""
    return Waterfall(audience=0, duplicates=0, invalid=0, opted_out=0, capped=0, expired=0, quiet_hours=0, will_send=0)


def pour(
    waterfall: Waterfall, people: Iterable[Person], contacts: int, *, opens: Callable[[str], datetime | None]
) -> Waterfall:
    """`waterfall` with these people in it, who stand for `contacts` contacts. It always sums up to its audience.

    `opens`: when a text to the zones of a person may leave; who must wait counts as quiet hours.
    """
    reasons: Counter[str] = Counter()
    waiting = 0
    for person in people:
        reasons[person.reason] += 1
        waiting += not person.reason and opens(person.zones) is not None
    # A batch half composed by an earlier release has none that expired.
    return Waterfall(
        audience=waterfall["audience"] + contacts,
        duplicates=waterfall["duplicates"] + contacts - reasons.total(),
        invalid=waterfall["invalid"] + sum(reasons[each] for each in INVALID),
        opted_out=waterfall["opted_out"] + reasons[Reason.OPTED_OUT],
        capped=waterfall["capped"] + reasons[Reason.CAPPED],
        expired=waterfall.get("expired", 0) + reasons[Reason.EXPIRED],
        quiet_hours=waterfall["quiet_hours"] + waiting,
        will_send=waterfall["will_send"] + reasons[Reason.NONE] - waiting,
    )
