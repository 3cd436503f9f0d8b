"""The verbs of saved segments: make, change and remove one, and count the contacts it would have before it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Count, Q

from contacts import segments
from contacts.busy import refuse_if_busy
from contacts.models import ContactList, Segment
from contacts.segments import Condition
from smsportal.accounts.models import Unit
from smsportal.problems import Problem, Wrong
from smsportal.text import clean

MAX_NAME = 120


@dataclass(frozen=True, slots=True)
class Counted:
    """How many contacts a segment has now, and how many of them opted out."""

    count: int
    opted_out: int


def count(contact_list: ContactList, match: str, conditions: Sequence[Condition]) -> Counted:
    """The contacts that meet these conditions now; nothing is kept. Raises Wrong by field."""
    good = segments.refuse(contact_list, match, conditions)
    rows = segments.found(contact_list, match, good)
    return Counted(*rows.aggregate(n=Count("pk"), out=Count("pk", filter=Q(number__opted_out=True))).values())


def create_segment(
    *, contact_list: ContactList, name: str, match: str, conditions: Sequence[Condition], unit: Unit | None = None
) -> Segment:
    """A new segment of a list, owned by `unit` or the list's own. Raises Wrong by field."""
    return _keep(Segment(contact_list=contact_list, unit=unit or contact_list.unit), name, match, conditions)


def change_segment(
    segment: Segment,
    *,
    name: str | None = None,
    match: str | None = None,
    conditions: Sequence[Condition] | None = None,
) -> Segment:
    """Rename it or let it ask for something else. Raises Wrong by field.

    A batch that was approved with it, or is just being prepared, becomes a draft again: what it asks for is part of
    what was approved. Texts that are written already go on.
    """
    return _keep(
        segment,
        segment.name if name is None else name,
        segment.match if match is None else match,
        segment.conditions if conditions is None else conditions,
    )


def remove_segment(segment: Segment) -> None:
    """Remove it; its contacts stay. Raises Conflict when a batch that is submitted or on its way uses it."""
    refuse_if_busy(segment)
    segment.delete()


def _keep(segment: Segment, name: str, match: str, conditions: Sequence[Condition]) -> Segment:
    """Store it, with everything that is wrong told at once."""
    plain = clean(name).strip()
    errors: dict[str, list[str]] = {}
    if mistake := _name_mistake(segment, plain):
        errors["name"] = [mistake]
    try:
        segment.conditions = segments.refuse(segment.contact_list, match, conditions)
    except Problem as problem:
        errors |= problem.errors
    if errors:
        raise Wrong(" ".join(sentence for found in errors.values() for sentence in found), errors=errors)
    segment.name, segment.match = plain, match
    try:
        with transaction.atomic():
            segment.save()
    except IntegrityError:
        sentence = _taken(segment.contact_list, plain)
        raise Wrong(sentence, errors={"name": [sentence]}) from None
    return segment


def _name_mistake(segment: Segment, name: str) -> str:
    if not name or len(name) > MAX_NAME:
        return f"Give the segment a name of at most {MAX_NAME} characters."
    others = Segment.objects.filter(contact_list=segment.contact_list, name=name).exclude(pk=segment.pk)
    return _taken(segment.contact_list, name) if others.exists() else ""


def _taken(contact_list: ContactList, name: str) -> str:
    return f"“{contact_list}” already has a segment “{name}”; choose another name."
