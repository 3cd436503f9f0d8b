"""What a batch would do, before it does it: how its audience falls, sample texts, segments, what to look at. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from contacts.models import Contact, PhoneNumber
from messaging import channels, wording
from messaging.composing.audience import Audience, Person
from messaging.composing.findings import Findings
from messaging.composing.linting import Finding
from messaging.composing.snapshots import begin_snapshot, has_sources, snapshot, snapshot_of, voids, what_changed
from messaging.composing.waterfalls import INVALID, no_one, pour
from messaging.models import Batch, Sender, Waterfall
from messaging.statuses import Reason
from smsportal import phones
from smsportal.problems import Wrong

__all__ = [
    "Finding",
    "Preview",
    "Sample",
    "begin_snapshot",
    "has_sources",
    "no_one",
    "pour",
    "preview",
    "preview_for",
    "snapshot",
    "snapshot_of",
    "survey",
    "voids",
    "what_changed",
]


@dataclass(frozen=True, slots=True)
class Sample:
    """One person's text as it would be sent; `note` says why it is shown, `reason` why they would not get it."""

    to: str
    name: str
    text: str
    segments: int
    note: str
    reason: str = ""
    number: int = 0  # PhoneNumber.id
    contact: int | None = None  # Contact.id
    encoding: str = ""
    culprits: tuple[str, ...] = ()  # the characters that force it to Unicode


@dataclass(frozen=True, slots=True)
class Preview:
    """`segments` has min, max and total over the texts that will be sent, now or when the quiet hours end.

    `invalid` tells the waterfall's step of that name reason by reason; it sums up to it.
    """

    waterfall: Waterfall
    samples: list[Sample]
    segments: dict[str, int]
    findings: list[Finding]
    invalid: dict[str, int]

    @property
    def recipients(self) -> int:
        """How many texts there would be."""
        return self.waterfall["will_send"] + self.waterfall["quiet_hours"]

    @property
    def warnings(self) -> list[str]:
        """The findings as sentences, each with its remedy."""
        return [str(finding) for finding in self.findings]


def preview(batch: Batch) -> Preview:
    """Walk the audience as composing will, and tell what would become of it. Raises Wrong when the text is wrong.

    About two seconds per 100,000 contacts, in memory that does not grow with them.
    """
    return survey(batch)[0]


def survey(batch: Batch) -> tuple[Preview, str]:
    """The preview and the snapshot from one walk over the audience."""
    audience = Audience(batch)
    wording.refuse_unknown(batch.text, {each.name: [field.name for field in each.schema()] for each in audience.lists})
    opening, digest, waterfall = audience.opening, begin_snapshot(batch), no_one()
    found = Findings(batch, opening)
    for page in audience.pages():
        waterfall = pour(waterfall, page.people, page.contacts, opens=opening)
        digest.update(snapshot_of((person.e164, person.text) for person in page.people))
        for person in page.people:
            found.note(person)
    invalid = {str(reason): found.reasons[reason] for reason in INVALID}
    samples = [_sample(batch, person, note) for person, note in found.people()]
    findings = list(found.findings(_names(batch)))
    return Preview(waterfall, samples, found.segments(), findings, invalid), digest.hexdigest()


def preview_for(batch: Batch, whom: Contact | PhoneNumber | str) -> Sample:
    """What one person would get: a contact, a number, or a number however it is spelled.

    The text is the one the person would be sent, which may be filled from another contact with the same number.
    Raises Wrong when nobody in the audience has this number.
    """
    number = _number(whom)
    person = Audience(batch).only(number.pk) if number else None
    if number is None or person is None:
        shown = phones.display(number.e164) if number else str(whom)
        sentence = f"{shown} is not among the people of this batch; choose a contact of its lists."
        raise Wrong(sentence, errors={"to": [sentence]})
    return _sample(batch, person, Reason(person.reason).label if person.reason else "")


def _number(whom: Contact | PhoneNumber | str) -> PhoneNumber | None:
    if isinstance(whom, Contact):
        return whom.number
    if isinstance(whom, PhoneNumber):
        return whom
    try:
        return PhoneNumber.objects.filter(e164=phones.to_e164(whom)).first()
    except phones.BadNumber as bad:
        raise Wrong(bad.message, errors={"to": [bad.message]}) from None


def _sample(batch: Batch, person: Person, note: str) -> Sample:
    measured = channels.get(batch.channel).measure(person.text)
    return Sample(
        to=person.e164,
        name=person.name,
        text=person.text,
        segments=person.segments,
        note=note,
        reason=str(person.reason),
        number=person.number,
        contact=person.contact,
        encoding=measured.encoding,
        culprits=measured.culprits,
    )


def _names(batch: Batch) -> list[str]:
    """How the office may call itself in a text: its name, or what the sender is labelled with."""
    labels = Sender.objects.filter(account=batch.account_id, address=batch.sender).values_list("label", flat=True)
    return [batch.unit.name, *filter(None, labels)]
