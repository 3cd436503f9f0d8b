"""Who falls at which step of a batch's waterfall, before anything is written: page by page, with the reason and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings

from messaging.composing.audience import Audience, Page, Person
from messaging.composing.capping import Texted
from messaging.composing.sources import Row
from messaging.composing.waterfalls import INVALID
from messaging.models import Batch
from messaging.statuses import Reason
from smsportal.problems import Wrong

# Step → what it says of those who stand at it. `invalid` is told reason by reason, too.
STEPS: Final[dict[str, str]] = {
    "audience": "In the lists and segments",
    "duplicates": "In several lists, or twice: written to once",
    "invalid": "No text can be sent to them",
    "blank": "A placeholder has no value",
    "empty": "The text is empty",
    "too_long": "The text is too long",
    "opted_out": "Opted out",
    "capped": "Got enough texts lately",
    "expired": "Cannot leave before it must not leave any more",
    "quiet_hours": "Held until quiet hours or holidays end",
    "will_send": "Will be sent",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One contact at a step. `number` is PhoneNumber.id, `contact` Contact.id (None when the contact is gone by now)."""

    name: str
    to: str
    number: int
    contact: int | None
    contact_list: str
    step: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class StepPage:
    """Some of those at a step; `after` leads to the next page, None when this is the last."""

    entries: list[Entry]
    after: int | None


def people(batch: Batch, step: str, after: int = 0, limit: int = 50) -> StepPage:
    """Those who fall at `step` of the waterfall, in the order of their numbers, at least `limit` unless there are no more.

    `after` is a PhoneNumber.id; the contacts of one number stay together, so a page may be a little longer than `limit`.
    Reads the audience from there on until the page is full: about two seconds per 100,000 contacts that do not
    fall there. Raises Wrong for a step that does not exist.
    """
    refuse_unknown(step)
    walk = _Walk(batch)
    entries: list[Entry] = []
    last = after
    for number, found in walk.fallen(step, after):
        if len(entries) >= limit:
            return StepPage(entries, last)
        entries += found
        last = number
    return StepPage(entries, None)


def refuse_unknown(step: str) -> None:
    """Raises Wrong for a step that does not exist."""
    if step not in STEPS:
        sentence = f"There is no step “{step}”; there are: {', '.join(STEPS)}."
        raise Wrong(sentence, errors={"step": [sentence]})


class _Walk:
    """One walk over the people of a batch, sorting them by step."""

    def __init__(self, batch: Batch) -> None:
        self.batch, self.audience = batch, Audience(batch)
        self.opening = self.audience.opening
        self.list_names = {each.pk: each.name for each in self.audience.lists}

    def fallen(self, step: str, after: int) -> Iterator[tuple[int, list[Entry]]]:
        """The entries of each number that has some at `step`, by PhoneNumber.id."""
        for page in self.audience.pages(after):
            texted = self._texted(page, step)
            for person, rows in zip(page.people, page.groups, strict=True):
                found = list(self._entries(step, person, rows, texted))
                if found:
                    yield person.number, found

    def _texted(self, page: Page, step: str) -> dict[int, Texted]:
        """For those of a page who are over the cap and to be shown, what they got."""
        capped = [(each.number, each.text) for each in page.people if each.reason == Reason.CAPPED]
        return self.audience.lately.told(capped) if capped and step in {"audience", "capped"} else {}

    def _entries(self, step: str, person: Person, rows: list[Row], texted: dict[int, Texted]) -> Iterator[Entry]:
        stands = self.stands(person)
        if step in {"audience", stands} or (step == "invalid" and stands in INVALID):
            yield self._entry(stands, person, texted.get(person.number))
        if step in {"audience", "duplicates"}:
            chosen = next(place for place, row in enumerate(rows) if row[1:3] == (person.contact, person.contact_list))
            for place, row in enumerate(rows):
                if place != chosen:
                    yield self._repeated(person, row)

    def stands(self, person: Person) -> str:
        """The step a person falls at, or `will_send`."""
        if person.reason:
            return person.reason
        return "quiet_hours" if self.opening(person.zones) else "will_send"

    def _entry(self, step: str, person: Person, texted: Texted | None) -> Entry:
        reason, remedy = _SAID[step](self, person, texted)
        return Entry(
            name=person.name,
            to=person.e164,
            number=person.number,
            contact=person.contact,
            contact_list=self.list_names.get(person.contact_list or 0, ""),
            step=step,
            reason=reason,
            remedy=remedy,
        )

    def _repeated(self, person: Person, row: Row) -> Entry:
        number, contact, contact_list, e164 = row[:4]
        chosen = self.list_names.get(person.contact_list or 0, "")
        same = contact == person.contact
        return Entry(
            name=f"{row[6] or ''} {row[7] or ''}".strip(),
            to=e164,
            number=number,
            contact=contact,
            contact_list=self.list_names.get(contact_list or 0, ""),
            step="duplicates",
            reason="Is chosen twice, by the list and a segment, or by two segments."
            if same
            else f"Has the same number as {person.name or 'the contact'} of “{chosen}”, who is written to.",
            remedy="Nothing to do: every number gets one text.",
        )

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.batch.unit.time_zone)


def _blank(walk: _Walk, person: Person, texted: Texted | None) -> tuple[str, str]:
    names = " and ".join(name.replace("_", " ") for name in person.blanks)
    reason = f"{names} {'is' if len(person.blanks) == 1 else 'are'} blank for this person."
    example = f"{{{{{person.blanks[0]}|…}}}}"
    return reason, f"Fill it in at the contact, or give the text a fallback, as in {example}."


def _empty(walk: _Walk, person: Person, texted: Texted | None) -> tuple[str, str]:
    return "The text is empty for this person.", "Give the placeholder a fallback, or write something beside it."


def _too_long(walk: _Walk, person: Person, texted: Texted | None) -> tuple[str, str]:
    reason = f"With this person's fields the text has more than {walk.audience.max_text:,} characters."
    return reason, "Shorten the text, or the long field at the contact."


def _opted_out(walk: _Walk, person: Person, texted: Texted | None) -> tuple[str, str]:
    return (
        "The person opted out.",
        "The person can change that by texting START; staff lift it with a reason when asked to.",
    )


def _capped(walk: _Walk, person: Person, texted: Texted | None) -> tuple[str, str]:
    if texted is not None and texted.same:
        reason = "Got this very text from another batch within ten minutes, or is about to."
        return reason, "Look whether the batch was written twice; if it is meant, send it later."
    most = settings.MAX_TEXTS_PER_DAY
    got = texted.texts if texted else most
    reason = f"Gets {got} text{'' if got == 1 else 's'} of other batches within a day; {most} {'is' if most == 1 else 'are'} the most."
    return reason, "Send it tomorrow if it can wait, or write to the person alone."


def _expired(walk: _Walk, person: Person, texted: Texted | None) -> tuple[str, str]:
    end = walk.batch.expires_at.astimezone(walk.zone) if walk.batch.expires_at else None
    reason = f"Cannot leave before {end:%d %B, %H:%M %Z}, after which nothing of the batch leaves."
    return reason, "Set a later time, or send the batch earlier."


def _held(walk: _Walk, person: Person, texted: Texted | None) -> tuple[str, str]:
    opens = walk.opening(person.zones)
    until = f"{opens.astimezone(walk.zone):%d %B, %H:%M %Z}" if opens else "they end"
    where = person.zones.replace("|", ", ").replace("_", " ")
    return (
        f"Quiet hours or a holiday where the person may be ({where}): held until {until}.",
        "It leaves by itself then.",
    )


def _gets_it(walk: _Walk, person: Person, texted: Texted | None) -> tuple[str, str]:
    return f"Gets the text, in {person.segments} segment{'' if person.segments == 1 else 's'}.", ""


_SAID: Final[dict[str, Callable[[_Walk, Person, Texted | None], tuple[str, str]]]] = {
    Reason.BLANK: _blank,
    Reason.EMPTY: _empty,
    Reason.TOO_LONG: _too_long,
    Reason.OPTED_OUT: _opted_out,
    Reason.CAPPED: _capped,
    Reason.EXPIRED: _expired,
    "quiet_hours": _held,
    "will_send": _gets_it,
}
