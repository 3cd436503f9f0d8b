"""What a batch would do, before it does it: how its audience falls, sample texts, segments and warnings. Writes nothing."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings

from messaging import channels, hours, wording
from messaging.composing.audience import Audience, Person
from messaging.models import Batch, Waterfall
from messaging.statuses import Reason
from smsportal import clock

LONG_SEGMENTS: Final = 3
LISTS_CHANGED: Final = (
    "The lists changed since this batch was approved, so it is a draft again. Look at the preview and submit it."
)
_SHORTENED: Final = re.compile(
    r"\b(bit\.ly|tinyurl\.com|t\.co|goo\.gl|ow\.ly|is\.gd|buff\.ly|rebrand\.ly)/", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One person's text as it would be sent; `note` says why it is shown."""

    to: str
    name: str
    text: str
    segments: int
    note: str


@dataclass(frozen=True, slots=True)
class Preview:
    """`segments` has min, max and total over the texts that will be sent, now or when the quiet hours end."""

    waterfall: Waterfall
    samples: list[Sample]
    segments: dict[str, int]
    warnings: list[str]

    @property
    def recipients(self) -> int:
        """How many texts there would be."""
        return self.waterfall["will_send"] + self.waterfall["quiet_hours"]


def no_one() -> Waterfall:
    """A waterfall nothing has come down yet."""
    return Waterfall(audience=0, duplicates=0, invalid=0, opted_out=0, capped=0, quiet_hours=0, will_send=0)


def pour(waterfall: Waterfall, people: Iterable[Person], contacts: int, *, held: bool) -> Waterfall:
    """`waterfall` with these people in it, who stand for `contacts` contacts. It always sums up to its audience."""
    reasons = Counter(person.reason for person in people)
    sendable, opted_out = reasons.pop(Reason.NONE, 0), reasons.pop(Reason.OPTED_OUT, 0)
    invalid = reasons.total()
    return Waterfall(
        audience=waterfall["audience"] + contacts,
        duplicates=waterfall["duplicates"] + contacts - sendable - opted_out - invalid,
        invalid=waterfall["invalid"] + invalid,
        opted_out=waterfall["opted_out"] + opted_out,
        capped=waterfall["capped"],
        quiet_hours=waterfall["quiet_hours"] + (sendable if held else 0),
        will_send=waterfall["will_send"] + (0 if held else sendable),
    )


def opens_at(batch: Batch) -> datetime | None:
    """None when texts of `batch` may leave as soon as it is time to send it, else when its quiet hours end."""
    moment = max(clock.now(), batch.send_at) if batch.send_at else clock.now()
    return hours.opens_at(moment, zone=batch.unit.time_zone, quiet=settings.QUIET_HOURS)


def preview(batch: Batch) -> Preview:
    """Walk the audience as composing will, and tell what would become of it. Raises Wrong when the text is wrong.

    About a second and a half per 100,000 contacts, in memory that does not grow with them.
    """
    return survey(batch)[0]


def snapshot(batch: Batch) -> str:
    """What an approval is bound to: a hash over each number and its text, sender, account, options and time."""
    digest = begin_snapshot(batch)
    for page in Audience(batch).pages():
        digest.update(snapshot_of((person.e164, person.text) for person in page.people))
    return digest.hexdigest()


def survey(batch: Batch) -> tuple[Preview, str]:
    """The preview and the snapshot from one walk over the audience."""
    schemas = {each.name: [remote.name for remote in each.schema()] for each in batch.lists.all()}
    wording.refuse_unknown(batch.text, schemas)
    opens, digest, found = opens_at(batch), begin_snapshot(batch), _Findings(batch)
    waterfall = no_one()
    for page in Audience(batch).pages():
        waterfall = pour(waterfall, page.people, page.contacts, held=opens is not None)
        digest.update(snapshot_of((person.e164, person.text) for person in page.people))
        for person in page.people:
            found.note(person)
    warnings = [*_about_text(batch), *found.warnings(), *_about_hours(batch, opens, waterfall["quiet_hours"])]
    return Preview(waterfall, found.samples(), found.segments(), warnings), digest.hexdigest()


def begin_snapshot(batch: Batch) -> hashlib._Hash:
    """The hash of everything but the audience, to be fed with `snapshot_of` in the order of the numbers' ids."""
    time = batch.send_at.timestamp() if batch.send_at else None
    what = [batch.account_id, batch.channel, batch.sender, batch.operator, batch.provider_options, time, batch.text]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode())


def snapshot_of(texts: Iterable[tuple[str, str]]) -> bytes:
    """Numbers and their texts as a snapshot hashes them, however many come at once."""
    return "".join(f"{e164}\0{text}\0" for e164, text in texts).encode("utf-8", "surrogatepass")


@dataclass(slots=True)
class _Findings:
    """What is remembered of the people that went by: a few of them and some counts."""

    batch: Batch
    kept: dict[str, Person] = field(default_factory=dict)  # note → person
    total: int = 0
    least: int = 0
    most: int = 0
    many: int = 0  # texts of more than LONG_SEGMENTS
    dear: int = 0  # texts some character forces to UCS-2
    culprits: Counter[str] = field(default_factory=Counter)
    blanks: Counter[str] = field(default_factory=Counter)
    too_long: int = 0
    linked: int = 0

    def note(self, person: Person) -> None:
        self.blanks.update(person.blanks)
        if person.reason:
            self.too_long += person.reason == Reason.TOO_LONG
            if person.reason != Reason.OPTED_OUT:
                self.kept.setdefault(f"Left out: {Reason(person.reason).label.lower()}", person)
            return
        size = (person.segments, len(person.text))
        shortest, longest = self.kept.get("Shortest"), self.kept.get("Longest")
        self.kept.setdefault("First", person)
        if longest is None or size > (longest.segments, len(longest.text)):
            self.kept["Longest"] = person
        if shortest is None or size < (shortest.segments, len(shortest.text)):
            self.kept["Shortest"] = person
        self._count(person)

    def _count(self, person: Person) -> None:
        self.total += person.segments
        self.least = min(self.least or person.segments, person.segments)
        self.most = max(self.most, person.segments)
        self.many += person.segments > LONG_SEGMENTS
        self.linked += person.linked
        if culprits := channels.get(self.batch.channel).culprits(person.text):
            self.dear += 1
            self.culprits.update(culprits)

    def segments(self) -> dict[str, int]:
        return {"min": self.least, "max": self.most, "total": self.total}

    def samples(self) -> list[Sample]:
        notes: dict[Person, list[str]] = {}
        for note in sorted(self.kept, key=lambda note: (note.startswith("Left out"), note)):
            notes.setdefault(self.kept[note], []).append(note)
        return [
            Sample(person.e164, person.name, person.text, person.segments, ", ".join(found))
            for person, found in notes.items()
        ]

    def warnings(self) -> Iterator[str]:
        if self.dear:
            named = " ".join(_visible(culprit) for culprit, _ in self.culprits.most_common(8))
            yield f"{_texts(self.dear)} sent as Unicode, 67 characters to a segment instead of 153, because of: {named}"
        if self.many:
            yield f"{_texts(self.many)} longer than {LONG_SEGMENTS} segments, up to {self.most}; each segment counts."
        for name, times in self.blanks.items():
            people = "1 person has" if times == 1 else f"{times:,} people have"
            yield f"{people} no {name} and get no text. A fallback would include them: {{{{{name}|there}}}}."
        if self.too_long:
            yield f"{_texts(self.too_long)} too long to be sent and left out. Shorten the text."
        if self.linked:
            yield f"{_texts(self.linked)} given a web address by a field of the list. Check that it is meant."


def _visible(character: str) -> str:
    """A character, or its name where it cannot be seen."""
    if character.isprintable():
        return character
    return unicodedata.name(character, f"U+{ord(character):04X}").lower()


def _texts(number: int) -> str:
    return "1 text is" if number == 1 else f"{number:,} texts are"


def _about_text(batch: Batch) -> Iterator[str]:
    """What carriers and people stumble over (Ocelot's support page on blocked texts)."""
    text = batch.text
    if batch.unit.name.casefold() not in text.casefold():
        yield f"The text does not say who writes; name your office, such as “{batch.unit.name}”."
    if not re.search(r"\bstop\b", text, re.IGNORECASE):
        yield "The text does not say how to opt out, such as “Reply STOP to opt out”."
    if found := _SHORTENED.search(text):
        yield f"Carriers block texts with shortened links ({found[1]}); write the full address."
    letters = [character for character in wording.literal(text) if character.isalpha()]
    if len(letters) > 20 and sum(map(str.isupper, letters)) > len(letters) * 0.7:
        yield "Carriers may block texts in capital letters."


def _about_hours(batch: Batch, opens: datetime | None, held: int) -> Iterator[str]:
    if opens is not None and held:
        there = opens.astimezone(ZoneInfo(batch.unit.time_zone))
        yield f"{_texts(held)} held back until the quiet hours end: {there:%d %B, %H:%M %Z}."
