"""Who uses a list or segment just now, so that it is not emptied or removed under them: other apps say it, for contacts knows none."""

from __future__ import annotations

from collections.abc import Callable

from contacts.models import ContactList, Segment
from smsportal.problems import Conflict

# Each gives a sentence when it is in use, or "". `messaging` adds "a batch that uses it is on its way".
BUSY: list[Callable[[ContactList | Segment], str]] = []


def refuse_if_busy(used: ContactList | Segment) -> None:
    """Raise Conflict with the first sentence that says the list or segment is in use."""
    for ask in BUSY:
        if sentence := ask(used):
            raise Conflict(sentence)
