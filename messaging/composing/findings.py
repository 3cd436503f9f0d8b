"""What is remembered of the people of an audience that went by: a few to be shown, counts, and what to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from messaging import channels, wording
from messaging.channels import plain
from messaging.composing.audience import Person
from messaging.composing.linting import Finding, lint, lint_content
from messaging.composing.opening import Opening
from messaging.models import Batch
from messaging.statuses import Reason
from messaging.zones import FIELD
from smsportal import phones

LONG_SEGMENTS: Final = 3
MOST_BLANK: Final = 5  # people with a blank who are named
MOST_LINTED: Final = 1000  # texts with a risky value that are read closely

_ASKED_THE_HOUR: Final = ("", Reason.EXPIRED)  # of whose zones something depends
_SHOWN: Final = ("First", "Longest", "Shortest", "Dearest")


class Findings:
    """Fed with every person of a batch in turn; memory does not grow with them."""

    def __init__(self, batch: Batch, opening: Opening) -> None:
        self.batch, self.opening = batch, opening
        self.culprits_of = channels.get(batch.channel).culprits
        self.literal = wording.literal(batch.text)
        self.links = _links(self.literal)
        self.shown: dict[str, Person] = {}  # note → person
        self.blank: list[Person] = []
        self.total = self.least = self.most = self.many = self.dear = self.too_long = self.linted = self.linked = 0
        self.culprits: Counter[str] = Counter()
        self.blanks: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.unread: Person | None = None  # the first whose time zone cannot be read
        self.nowhere = 0  # how many there are
        self.waits: Counter[datetime] = Counter()  # when texts may leave → how many
        self.content: dict[str, tuple[Finding, Person, int]] = {}  # code → what, the first it is about, how many

    def note(self, person: Person) -> None:
        """Remember what matters of one person."""
        if person.unread and person.reason in _ASKED_THE_HOUR:
            self.unread = self.unread or person
            self.nowhere += 1
        if person.reason:
            self._note_left_out(person)
            return
        self._show(person)
        self.total += person.segments
        self.least = min(self.least or person.segments, person.segments)
        self.most = max(self.most, person.segments)
        self.many += person.segments > LONG_SEGMENTS
        if person.risky:
            self._read(person)
        if culprits := self.culprits_of(person.text):
            self.dear += 1
            self.culprits.update(culprits)
        if opens := self.opening(person.zones):
            self.waits[opens] += 1

    def _note_left_out(self, person: Person) -> None:
        self.reasons[person.reason] += 1
        if person.reason == Reason.BLANK:
            self.blanks.update(person.blanks)
            if len(self.blank) < MOST_BLANK:
                self.blank.append(person)
        elif person.reason != Reason.OPTED_OUT:  # they are counted; their texts are nobody's business
            self.shown.setdefault(f"Left out: {Reason(person.reason).label.lower()}", person)

    def _show(self, person: Person) -> None:
        length, shown = len(person.text), self.shown
        if not shown.get("First"):
            shown.update(dict.fromkeys(_SHOWN, person))
            return
        if length > len(shown["Longest"].text):
            shown["Longest"] = person
        elif length < len(shown["Shortest"].text):
            shown["Shortest"] = person
        if person.segments > shown["Dearest"].segments:
            shown["Dearest"] = person

    def _read(self, person: Person) -> None:
        self.linked += _links(person.text) > self.links
        if self.linted < MOST_LINTED:
            self.linted += 1
            self._lint(person)

    def _lint(self, person: Person) -> None:
        for finding in lint_content(person.text):
            told, first, number = self.content.get(finding.code, (finding, person, 0))
            self.content[finding.code] = (told, first, number + 1)

    # --- what is told of them -------------------------------------------------------------------------------------
    def segments(self) -> dict[str, int]:
        return {"min": self.least, "max": self.most, "total": self.total}

    def people(self) -> list[tuple[Person, str]]:
        """Those to be shown, each once, with why: the first, the extremes, and some that are left out."""
        notes: dict[Person, list[str]] = {}
        for note, person in sorted(self.shown.items(), key=lambda each: _place(each[0])):
            if note != "Dearest" or self.most > self.least:
                notes.setdefault(person, []).append(note)
        found = [(person, ", ".join(told)) for person, told in notes.items()]
        cut = sum(1 for _, note in found if not note.startswith("Left out"))
        blank = [(person, f"Left out: {_blank_fields(person)}") for person in self.blank]
        return [*found[:cut], *blank, *found[cut:]]

    def findings(self, names: list[str]) -> Iterator[Finding]:
        """What to look at before going on, the text first. `names`: how the office may call itself."""
        of_text = lint(self.batch.text, names=names)
        yield from of_text
        yield from self._about_people({finding.code for finding in of_text})
        yield from self._about_size()
        yield from self._about_left_out()
        yield from self._about_zones()
        yield from self._about_hours()

    def _about_people(self, known: set[str]) -> Iterator[Finding]:
        for person in {person for note, person in self.shown.items() if note in _SHOWN and not person.risky}:
            self._lint(person)
        for code, (finding, person, number) in self.content.items():
            if code not in known:
                others = f" and {number - 1:,} more" if number > 1 else ""
                yield Finding(code, f"For {_called(person)}{others}: {finding.sentence}", finding.remedy)
        if self.linked:
            sentence = f"{_texts(self.linked)} given a web address by a field of the list."
            yield Finding("link_in_field", sentence, "Check that it is meant.")

    def _about_size(self) -> Iterator[Finding]:
        if self.dear:
            named = " ".join(_visible(culprit) for culprit, _ in self.culprits.most_common(8))
            sentence = (
                f"{_texts(self.dear)} sent as Unicode, 70 characters to a segment instead of 160, because of: {named}"
            )
            yield Finding("unicode", sentence, self._plainer())
        if self.many:
            worst = _called(self.shown["Dearest"])
            yield Finding(
                "long",
                f"{_texts(self.many)} longer than {LONG_SEGMENTS} segments, up to {self.most} (for {worst}).",
                "Each segment counts; shorten the text.",
            )

    def _plainer(self) -> str:
        """What could stand where a character forces Unicode: the text's own can be mended here, others in the list."""
        typed = plain.culprits(self.literal)
        instead = [
            f"{_said(each.instead)} for {_visible(each.character)}" for each in typed if each.instead is not None
        ]
        hopeless = [_visible(each.character) for each in typed if each.instead is None]
        foreign = [_visible(each) for each in self.culprits if each not in self.literal][:8]
        if hopeless and not (instead or foreign):  # the sentence has just named them
            return "Nothing plain says the same; leave out what is not needed."
        if foreign and not typed:
            return "They stand in people's fields: names are best left as they are."
        sentences = (
            f"In the text, write {', '.join(instead)}." if instead else "",
            f"Nothing plain says the same as {' '.join(hopeless)}; leave out what is not needed." if hopeless else "",
            f"{' '.join(foreign)} in people's fields: names are best left as they are." if foreign else "",
        )
        return " ".join(filter(None, sentences))

    def _about_left_out(self) -> Iterator[Finding]:
        for name, times in self.blanks.items():
            people = f"1 person has no {name} and gets" if times == 1 else f"{times:,} people have no {name} and get"
            remedy = f"A fallback would include {'the person' if times == 1 else 'them'}: {{{{{name}|there}}}}."
            yield Finding("blank", f"{people} no text.", remedy)
        if too_long := self.reasons[Reason.TOO_LONG]:
            yield Finding("too_long", f"{_texts(too_long)} too long to be sent and left out.", "Shorten the text.")
        if capped := self.reasons[Reason.CAPPED]:
            people = "1 person is" if capped == 1 else f"{capped:,} people are"
            sentence = f"{people} left out, because they got enough texts within a day or this very text just now."
            yield Finding("capped", sentence, "Send it to them tomorrow if it can wait.")

    def _about_zones(self) -> Iterator[Finding]:
        if self.unread is not None:
            example = f"“{self.unread.unread.strip()[:40]}” for {_called(self.unread)}"
            whose = "1 person" if self.nowhere == 1 else f"{self.nowhere:,} people"
            sentence = (
                f"{FIELD} of {whose} is no time zone ({example}): quiet hours anywhere in the country hold the text."
            )
            remedy = "In the list, write one like America/New_York or Eastern, or nothing: then the number decides."
            yield Finding("time_zone", sentence, remedy)

    def _about_hours(self) -> Iterator[Finding]:
        if late := self.reasons[Reason.EXPIRED]:
            yield self._about_late(late)
        if not self.waits:
            return
        first, last = (self._local(moment) for moment in (min(self.waits), max(self.waits)))
        when = first if first == last else f"the first {first}, the last {last}"
        held = _texts(self.waits.total())
        yield Finding(
            "quiet_hours", f"{held} held back until quiet hours or holidays end: {when}.", "They leave by themselves."
        )

    def _about_late(self, late: int) -> Finding:
        if self.batch.expires_at and self.batch.expires_at <= self.opening.moment:
            return Finding(
                "expires",
                f"{_texts(late)} not sent at all: the time you set as the latest is over.",
                "Set a later one.",
            )
        sentence = f"{_texts(late)} not sent at all: their quiet hours end after the time you set as the latest."
        return Finding("expires", sentence, "Set a later one, or send the batch earlier.")

    def _local(self, moment: datetime) -> str:
        return f"{moment.astimezone(ZoneInfo(self.batch.unit.time_zone)):%d %B, %H:%M %Z}"


def _place(note: str) -> tuple[int, str]:
    return (0, note) if note in _SHOWN else (1, note)


def _called(person: Person) -> str:
    return person.name or phones.display(person.e164)


def _blank_fields(person: Person) -> str:
    return f"{' and '.join(person.blanks)} {'is' if len(person.blanks) == 1 else 'are'} blank"


def _links(text: str) -> int:
    return text.count("://") + text.lower().count("www.")


def _visible(character: str) -> str:
    """A character, or its name where it cannot be seen."""
    return character if character.isprintable() and not character.isspace() else plain.culprits(character)[0].name


def _said(instead: str | None) -> str:
    return {"": "nothing", " ": "a space", "\n": "a new line"}.get(instead or "", instead or "")


def _texts(number: int) -> str:
    return "1 text is" if number == 1 else f"{number:,} texts are"
