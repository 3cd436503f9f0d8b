"""Who uses a list just now, so that it is not emptied or removed under them: other apps say it, for contacts knows none."""

from __future__ import annotations

from collections.abc import Callable

from contacts.models import ContactList
from smsportal.problems import Conflict

# Each gives a sentence when the list is in use, or "". `messaging` adds "a batch that uses the list is running".
BUSY: list[Callable[[ContactList], str]] = []


def refuse_if_busy(contact_list: ContactList) -> None:
    """Raise Conflict with the first sentence that says the list is in use."""
    for ask in BUSY:
        if sentence := ask(contact_list):
            raise Conflict(sentence)
