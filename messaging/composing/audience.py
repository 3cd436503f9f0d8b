"""Who a batch is for: the contacts of its lists in the order of their numbers, one text per number, each with its fate. Reads only."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Final, NamedTuple

from contacts.models import DEFAULT_FIELDS, Contact
from contacts.models.lists import contact_fields
from messaging import channels, wording
from messaging.models import Batch
from messaging.statuses import Reason
from smsportal import providers
from smsportal.accounts.models import ProviderAccount
from smsportal.providers.base import Abilities

PAGE: Final = 2000  # numbers per transaction of composing; twenty full chunks at Ocelot

_COLUMNS: Final = ("number_id", "pk", "number__e164", "number__opted_out", "email", "first_name", "last_name")
_by_number: Final = itemgetter(0)

Row = tuple[Any, ...]


class Person(NamedTuple):
    """One number of an audience and its text. `reason` blank: it is to be sent. A tuple, for there are very many."""

    number: int  # PhoneNumber.id
    contact: int
    e164: str
    name: str
    text: str
    segments: int
    reason: str
    blanks: tuple[str, ...]  # placeholders without a value
    linked: bool  # a value brings a web address into the text


@dataclass(frozen=True, slots=True)
class Page:
    """Some people of an audience; `contacts` counts the contacts they stand for, `last` is the highest number's id."""

    people: list[Person]
    contacts: int
    last: int


def abilities_of(account: ProviderAccount) -> Abilities:
    """What the provider of `account` can do."""
    return providers.get(account.provider).abilities


class Audience:
    """The people of one batch, ready to be walked. Raises Wrong when the text has broken braces."""

    def __init__(self, batch: Batch) -> None:
        self.lists: list[int] = list(batch.lists.order_by("pk").values_list("pk", flat=True))
        self.render = wording.compile_text(batch.text)
        self.names = wording.placeholders(batch.text)
        own = set(self.names) - {field.name for field in DEFAULT_FIELDS}
        self.columns = (*_COLUMNS, "extra") if own else _COLUMNS
        channel = channels.get(batch.channel)
        self.count = channel.count
        self.max_text: int = min(channel.MAX_TEXT, abilities_of(batch.account).max_text)

    def pages(self, after: int = 0) -> Iterator[Page]:
        """Everyone whose PhoneNumber.id is above `after`, at most PAGE at a time.

        Each list is read along its (contact_list, number) index and the lists are merged, so that memory stays flat
        and a number that stands in several lists comes once.
        """
        merged = heapq.merge(*(self._rows(pk, after) for pk in self.lists), key=_by_number)
        groups = (list(rows) for _, rows in groupby(merged, key=_by_number))
        while page := list(islice(groups, PAGE)):
            yield Page([self._person(rows) for rows in page], sum(map(len, page)), page[-1][0][0])

    def _rows(self, contact_list: int, after: int) -> Iterator[Row]:
        rows = Contact.objects.present().filter(contact_list=contact_list, active=True)
        columns = rows.order_by("number_id").values_list(*self.columns)
        while found := list(columns.filter(number_id__gt=after)[:PAGE]):
            yield from found
            after = found[-1][0]

    def _person(self, rows: list[Row]) -> Person:
        """The first contact of a number that fills every placeholder, or else the first, and what it would be sent."""
        row, fields, text, blanks = self._filled(rows[0])
        if blanks:
            others = (self._filled(other) for other in rows[1:])
            row, fields, text, blanks = next((o for o in others if not o[3]), (row, fields, text, blanks))
        number, contact, e164, opted_out, _, first, last = row[:7]
        return Person(
            number=number,
            contact=contact,
            e164=e164,
            name=f"{first} {last}".strip(),
            text=text,
            segments=self.count(text),
            reason=self._reason(text, blanks, opted_out=opted_out),
            blanks=tuple(blanks),
            linked=_has_link(fields.get(name, "") for name in self.names),
        )

    def _filled(self, row: Row) -> tuple[Row, dict[str, str], str, list[str]]:
        _, _, e164, _, email, first, last = row[:7]
        fields = contact_fields(e164, email, first, last, row[7] if len(row) > 7 else {})
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


def _has_link(values: Iterable[str]) -> bool:
    return any("://" in value or "www." in value for value in values)
