"""Who a batch is for: its people in the order of their numbers, one text per number, each with its fate. Reads only."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, islice
from operator import itemgetter
from typing import Final, NamedTuple

from contacts.models import DEFAULT_FIELDS
from contacts.models.lists import contact_fields
from messaging import channels, wording
from messaging.composing.capping import Lately, hold
from messaging.composing.opening import Opening
from messaging.composing.sources import PAGE, Row, lists_of, names_zones, read, sources_of
from messaging.models import Batch
from messaging.statuses import Reason
from messaging.zones import FIELD, is_unread, zones_of
from smsportal import clock, providers
from smsportal.accounts.models import ProviderAccount
from smsportal.providers.base import Abilities

_by_number: Final = itemgetter(0)
# What makes a value worth a closer look: a web address, or so many digits that they may be a secret.
_RISKY: Final = re.compile(r"://|www\.|[0-9][0-9 -]{2,}[0-9]|\$ ?[0-9]", re.IGNORECASE).search
_CONTACT_DATA: Final = {"Phone_Number", "Email_Address"}  # digits are nothing to wonder at there


class Person(NamedTuple):
    """One number of an audience and its text. `reason` blank: it is to be sent. A tuple, for there are very many."""

    number: int  # PhoneNumber.id
    contact: int | None  # Contact.id; None of a corrected text whose contact is gone
    contact_list: int | None
    e164: str
    name: str
    text: str
    segments: int
    reason: str
    blanks: tuple[str, ...]  # placeholders without a value
    risky: bool  # a value brings a web address or many digits into the text
    zones: str  # as messaging.zones writes them
    unread: str  # what stands in the field Time_Zone and is no time zone


@dataclass(frozen=True, slots=True)
class Page:
    """Some people of an audience; `groups` are the contacts each of them stands for, `last` the highest number's id."""

    people: list[Person]
    groups: list[list[Row]]
    last: int

    @property
    def contacts(self) -> int:
        """How many contacts the people stand for."""
        return sum(map(len, self.groups))


def abilities_of(account: ProviderAccount) -> Abilities:
    """What the provider of `account` can do."""
    return providers.get(account.provider).abilities


class Audience:
    """The people of one batch, ready to be walked. Raises Wrong when the text has broken braces or a segment is wrong."""

    def __init__(self, batch: Batch) -> None:
        self.lists = lists_of(batch)
        self.render = wording.compile_text(batch.text)
        self.names = wording.placeholders(batch.text)
        self.looked_at = tuple(name for name in self.names if name not in _CONTACT_DATA)
        self.zoned = names_zones(self.lists)
        self.own = self.zoned or bool(set(self.names) - {field.name for field in DEFAULT_FIELDS})
        self.sources = sources_of(batch, self.lists, own_fields=self.own)
        self.batch, self.lately = batch, Lately(batch)
        self.unit_zone: str = batch.unit.time_zone
        channel = channels.get(batch.channel)
        self.count = channel.count
        self.max_text: int = min(channel.MAX_TEXT, abilities_of(batch.account).max_text)

    def pages(self, after: int = 0) -> Iterator[Page]:
        """Everyone whose PhoneNumber.id is above `after`, at most PAGE at a time.

        The sources are read in the order of the numbers and merged, so that memory stays flat and a number that stands
        in several of them comes once.
        """
        merged = heapq.merge(*(read(source, after, len(self.sources)) for source in self.sources), key=_by_number)
        groups = (list(rows) for _, rows in groupby(merged, key=_by_number))
        while page := list(islice(groups, PAGE)):
            yield self._page(page)

    def only(self, number: int) -> Person | None:
        """The person with this PhoneNumber.id, or None when nobody in the audience has it."""
        rows = [row for source in self.sources for row in source.filter(number_id=number)]
        return self._page([rows]).people[0] if rows else None

    def held(self, page: Page) -> Page:
        """`page` as it is to be written, in this transaction: without those another batch has reached since it was read."""
        if not self.lately.most:
            return page
        hold(person.number for person in page.people)
        if not self.lately.changed():
            return page
        self.lately = Lately(self.batch)
        return replace(page, people=_capped(page.people, self.lately))

    def _page(self, groups: list[list[Row]]) -> Page:
        people = _capped([self._person(rows) for rows in groups], self.lately)
        return Page(self._in_time(people), groups, groups[-1][0][0])

    @cached_property
    def opening(self) -> Opening:
        """When the texts may leave."""
        return Opening(self.batch)

    def _in_time(self, people: list[Person]) -> list[Person]:
        """`people`, of whom those are left out whose text could not leave before the batch expires."""
        if (expires_at := self.batch.expires_at) is None:
            return people
        now = max(clock.now(), self.opening.moment)
        late = {zones for zones in {each.zones for each in people} if (self.opening(zones) or now) >= expires_at}
        return [
            each._replace(reason=str(Reason.EXPIRED)) if each.zones in late and not each.reason else each
            for each in people
        ]

    def _person(self, rows: list[Row]) -> Person:
        """The first contact of a number that fills every placeholder, or else the first, and what it would be sent."""
        row, fields, text, blanks = self._filled(rows[0])
        if blanks:
            others = (self._filled(other) for other in rows[1:])
            row, fields, text, blanks = next((o for o in others if not o[3]), (row, fields, text, blanks))
        number, contact, contact_list, e164, opted_out, _, first, last = row[:8]
        named = fields.get(FIELD, "") if self.zoned else ""
        return Person(
            number,
            contact,
            contact_list,
            e164,
            f"{first or ''} {last or ''}".strip(),
            text,
            self.count(text),
            self._reason(text, blanks, opted_out=opted_out),
            tuple(blanks),
            _RISKY("\n".join([fields.get(name, "") for name in self.looked_at])) is not None,
            zones_of(e164, named, self.unit_zone),
            named if is_unread(named) else "",
        )

    def _filled(self, row: Row) -> tuple[Row, dict[str, str], str, list[str]]:
        fields = contact_fields(row[3], row[5], row[6], row[7], (row[8] or {}) if self.own else {})
        text, blanks = self.render(fields)
        return row, fields, text[: self.max_text + 1], blanks  # a runaway text stays too long, not endless

    def _reason(self, text: str, blanks: list[str], *, opted_out: bool) -> str:
        if opted_out:
            return Reason.OPTED_OUT
        if blanks:
            return Reason.BLANK
        if not text.strip():
            return Reason.EMPTY
        return Reason.TOO_LONG if len(text) > self.max_text else Reason.NONE


def _capped(people: list[Person], lately: Lately) -> list[Person]:
    """`people`, of whom those are left out who got enough."""
    capped = lately.over((person.number, person.text) for person in people if not person.reason)
    if not capped:
        return people
    return [
        person._replace(reason=str(Reason.CAPPED)) if person.number in capped and not person.reason else person
        for person in people
    ]
