"""Carries a plan out in calls: reads a list completely or not at all, and adds contacts in parts a provider takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from smsportal.providers.base import Provider, Rejection, RemoteContact
from smsportal.providers.errors import Invalid, Refused, TooLarge

BISECT_CALLS = 200  # calls a run may spend on finding the contacts a refused call was refused for


class Incomplete(Exception):
    """The list could not be read as a whole; nothing may be concluded from what was read. The text says it to staff."""


def read_all(provider: Provider, remote_id: str, beat: Callable[[], None] = lambda: None) -> list[RemoteContact]:
    """All contacts of a list. `beat` is called for every page.

    Pages are told by number, so a list that changes meanwhile shifts under them: another total, too few contacts or one
    contact twice make the reading begin again, once. Then it raises Incomplete. Raises ProviderError as the calls do.
    """
    for last in (False, True):
        try:
            return _read_once(provider, remote_id, beat)
        except Incomplete:
            if last:
                raise
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _read_once(provider: Provider, remote_id: str, beat: Callable[[], None]) -> list[RemoteContact]:
    found: list[RemoteContact] = []
    seen: set[frozenset[tuple[str, tuple[str, str]]]] = set()
    total: int | None = None
    for page in provider.contact_pages(remote_id):
        beat()
        if total is not None and page.total != total:
            raise Incomplete(
                f"The list changed at the provider while it was read ({total:,} contacts, then {page.total:,}). "
                "Nothing was changed; plan again."
            )
        total = page.total
        for contact in page.contacts:
            whole = frozenset(contact.fields.items())
            if whole in seen:
                raise Incomplete("The provider told one contact twice, so another may be missing. Plan again.")
            seen.add(whole)
            found.append(contact)
    if len(found) != (total or 0):
        raise Incomplete(
            f"Only {len(found):,} of {total or 0:,} contacts could be read from the provider. "
            "Nothing was changed; plan again."
        )
    return found


@dataclass(slots=True)
class Adding:
    """Adds contacts to one list in calls of at most `per_call`, halved whenever the provider finds a call too large.

    `before` is told each call's contacts, `after` those stored and those rejected: every contact exactly once, whatever
    happens to the calls before it. A call refused as a whole is cut until the contacts at fault are found.
    """

    provider: Provider
    remote_id: str
    before: Callable[[Sequence[RemoteContact]], None]
    after: Callable[[Sequence[RemoteContact], Sequence[Rejection]], None]
    per_call: int = 500
    bisects: int = BISECT_CALLS
    notes: list[str] = field(default_factory=list)  # what the provider said that names no contact

    def run(self, contacts: Sequence[RemoteContact]) -> None:
        """Raises ProviderError as the calls do; contacts not reported to `after` then may or may not be stored."""
        at = 0
        while at < len(contacts):
            part = contacts[at : at + self.per_call]
            at += len(part)
            self._add(part)

    def _add(self, part: Sequence[RemoteContact]) -> None:
        self.before(part)
        try:
            answer = self.provider.add_contacts(self.remote_id, part)
        except TooLarge as large:
            self.per_call = max(1, min(self.per_call, len(part) // 2))
            self._halve(part, large.text)
        except (Refused, Invalid) as refused:
            self.bisects -= 1
            self._halve(part, refused.text, give_up=self.bisects < 0)
        else:
            self.notes.extend(answer.notes)
            named = {id(each.contact) for each in answer.rejected}
            self.after([contact for contact in part if id(contact) not in named], answer.rejected)

    def _halve(self, part: Sequence[RemoteContact], text: str, *, give_up: bool = False) -> None:
        if len(part) == 1 or give_up:
            self.after([], [Rejection(contact, text) for contact in part])
            return
        middle = len(part) // 2
        self._add(part[:middle])
        self._add(part[middle:])
