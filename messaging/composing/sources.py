"""Where the people of a batch come from: its lists and segments, or whoever has the text it corrects. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet

from contacts import segments
from contacts.models import Contact, ContactList
from messaging.models import Batch, Message
from messaging.statuses import WHO_GOT, BatchState, Got
from messaging.zones import FIELD

HAS_IT: Final = WHO_GOT[Got.GOT] | WHO_GOT[Got.MAY_HAVE]
PAGE: Final = 2000  # numbers per transaction of composing; twenty full chunks at Ocelot
# Contacts read at a time, of all sources together. Few and large: a database that has not counted a list just imported
# sorts the rest of it for every query, and one that chooses to merge reads the numbers from the first on.
READ: Final = 10_000

# One contact: PhoneNumber.id, Contact.id, ContactList.id, E.164, opted out, e-mail, first and last name, and where a
# text or a time zone needs them, the list's own fields.
Row = tuple[Any, ...]
_OF_CONTACT: Final = (
    "number_id",
    "pk",
    "contact_list_id",
    "number__e164",
    "number__opted_out",
    "email",
    "first_name",
    "last_name",
)
_OF_MESSAGE: Final = (
    "number_id",
    "contact_id",
    "contact__contact_list_id",
    "number__e164",
    "number__opted_out",
    "contact__email",
    "contact__first_name",
    "contact__last_name",
)


def first_of(batch: Batch) -> Batch:
    """The batch itself, or what it corrects, and what that corrected in turn: the one with lists and segments."""
    while batch.corrects is not None:
        batch = batch.corrects
    return batch


def lists_of(batch: Batch) -> list[ContactList]:
    """The lists the people of `batch` stand in, by way of segments, too; each once, with its schema. Three queries."""
    first = first_of(batch)
    used = {*first.lists.order_by().values_list("pk", flat=True)}
    used.update(first.segments.order_by().values_list("contact_list", flat=True))
    return list(ContactList.objects.filter(pk__in=used).order_by("pk").prefetch_related("own_fields")) if used else []


class ToCorrect(NamedTuple):
    """The texts whose people a correction is for.

    `narrowed`: without those who are in an earlier correction; `again`: with them, for it would leave nobody.
    """

    texts: QuerySet[Message]
    narrowed: bool = False
    again: bool = False


def to_correct(wrong: Batch, correction: Batch | None = None) -> ToCorrect:
    """Whom `correction`, or the next one, of `wrong` is for: who has its text or may have it, and no earlier correction.

    Who is in an earlier one that was not cancelled counts as having it, for what waits still leaves and what failed can
    be sent again. Where that leaves nobody, or it is not known yet whom an earlier one goes to, it is for all of them.
    """
    everybody = wrong.messages.filter(HAS_IT)
    before = wrong.corrections.filter(pk__lt=correction.pk) if correction else wrong.corrections.all()
    earlier = list(before.exclude(started_at=None).order_by("pk").only("state", "resume_to"))
    if not earlier:
        return ToCorrect(everybody)
    if any(BatchState.EXPANDING in (each.state, _goes_on_to(each)) for each in earlier):
        return ToCorrect(everybody, again=True)
    stands = Q(batch__in=[each.pk for each in earlier if each.state != BatchState.CANCELLED])
    theirs = Message.objects.filter(stands | HAS_IT, number=OuterRef("number"), batch__in=[each.pk for each in earlier])
    others = everybody.filter(~Exists(theirs))
    return ToCorrect(others, narrowed=True) if others.exists() else ToCorrect(everybody, again=True)


def _goes_on_to(batch: Batch) -> str:
    return batch.resume_to if batch.state == BatchState.PAUSED else ""


def sources_of(batch: Batch, lists: list[ContactList], *, own_fields: bool) -> list[QuerySet[Any, Row]]:
    """What to read, each in the order of the numbers. Raises Wrong when a segment asks for a field its list lost.

    A list is read along its (contact_list, number) index, a corrected batch along (batch, number). Whoever got the text
    of that batch is written to even if removed from the lists since.
    """
    if batch.corrects is not None:
        columns = (*_OF_MESSAGE, "contact__extra") if own_fields else _OF_MESSAGE
        return [to_correct(batch.corrects, batch).texts.order_by("number_id").values_list(*columns)]
    by_pk = {each.pk: each for each in lists}
    whole = [by_pk[pk] for pk in batch.lists.order_by("pk").values_list("pk", flat=True)]
    contacts: list[QuerySet[Any]] = [Contact.objects.present().filter(contact_list=each, active=True) for each in whole]
    for segment in batch.segments.order_by("pk"):
        segment.contact_list = by_pk[segment.contact_list_id]
        segments.refuse(segment.contact_list, segment.match, segment.conditions)
        contacts.append(segments.contacts_of(segment))
    columns = (*_OF_CONTACT, "extra") if own_fields else _OF_CONTACT
    return [each.order_by("number_id").values_list(*columns) for each in contacts]


def names_zones(lists: list[ContactList]) -> bool:
    """Whether one of the lists says in which time zone its people are."""
    return any(field.name == FIELD for each in lists for field in each.own_fields.all())


def read(source: QuerySet[Any, Row], after: int, sources: int = 1) -> Iterator[Row]:
    """The rows of `source` whose number's id is above `after`. Memory stays flat, however many `sources` are merged."""
    at_once = READ // sources + 1
    while found := list(source.filter(number_id__gt=after)[:at_once]):
        yield from found
        if len(found) < at_once:
            return
        after = found[-1][0]
        del found  # else twice as many are held while the next ones are read
