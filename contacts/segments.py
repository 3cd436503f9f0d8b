"""Saved segments: which contacts of a list meet some conditions, as one query that both databases answer alike."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, cast

from django.db.models import Q, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from contacts.models import Contact, ContactList, Segment, SegmentMatch
from contacts.models.lists import ContactQuerySet
from smsportal import phones
from smsportal.problems import Wrong
from smsportal.text import clean

# Test → how people say it.
TESTS: Final[dict[str, str]] = {
    "is": "is",
    "is_not": "is not",
    "contains": "contains",
    "starts_with": "starts with",
    "one_of": "is one of",
    "is_blank": "is blank",
    "is_not_blank": "is not blank",
}
WITHOUT_VALUE: Final = frozenset({"is_blank", "is_not_blank"})
MAX_CONDITIONS: Final = 20
MAX_VALUE: Final = 2000  # characters; several values of `one_of` together

_COLUMNS: Final = {
    "Phone_Number": "number__e164",
    "Email_Address": "email",
    "First_Name": "first_name",
    "Last_Name": "last_name",
}
_PHONE: Final = "Phone_Number"
Condition = Mapping[str, str]


def refuse(contact_list: ContactList, match: str, conditions: Sequence[Condition]) -> list[dict[str, str]]:
    """The conditions as they are stored. Raises Wrong with `match` and `conditions` as fields, every mistake at once."""
    errors: dict[str, list[str]] = {}
    if match not in SegmentMatch.values:
        errors["match"] = ["Contacts meet “all” of the conditions or “any” of them."]
    names = [field.name for field in contact_list.schema()]
    cleaned = [_cleaned(condition) for condition in conditions]
    sentences = [] if conditions else ["Add at least one condition; without one, write to the whole list."]
    if len(conditions) > MAX_CONDITIONS:
        sentences = [f"There are {len(conditions)} conditions; a segment has at most {MAX_CONDITIONS}."]
    else:
        for place, condition in enumerate(cleaned, 1):
            if mistake := _mistake(condition, names, contact_list):
                sentences.append(f"Condition {place}: {mistake}")
    if sentences:
        errors["conditions"] = sentences
    if errors:
        raise Wrong(" ".join(sentence for found in errors.values() for sentence in found), errors=errors)
    return cleaned


def _cleaned(condition: object) -> dict[str, str]:
    given = condition if isinstance(condition, Mapping) else {}
    field, test, value = (clean(given.get(part)).strip() for part in ("field", "test", "value"))
    return {"field": field, "test": test, "value": "" if test in WITHOUT_VALUE else value}


def _mistake(condition: Condition, names: Collection[str], contact_list: ContactList) -> str:
    field, test, value = condition["field"], condition["test"], condition["value"]
    if field not in names:
        return f"“{field}” is not a field of “{contact_list}”; there are: {', '.join(names)}."
    if test not in TESTS:
        return f"“{test}” is not a test; there are: {', '.join(TESTS)}."
    if test in WITHOUT_VALUE:
        return ""
    if not values_of(test, value):
        return f"say what {field.replace('_', ' ')} is compared with; a blank field is the test “is_blank”."
    if len(value) > MAX_VALUE:
        return f"the value has {len(value):,} characters; at most {MAX_VALUE:,} are compared."
    return _phone_mistake(test, value) if field == _PHONE else ""


def _phone_mistake(test: str, value: str) -> str:
    for each in values_of(test, value):
        if test in {"contains", "starts_with"}:
            if not re.search("[0-9]", each):
                return f"“{each}” has no digits to look for in a phone number."
            continue
        try:
            phones.to_e164(each)
        except phones.BadNumber as bad:
            return f"“{each}”: {bad.message}"
    return ""


def values_of(test: str, value: str) -> list[str]:
    """What a field is compared with: for `one_of` the lines of `value`, or its parts between commas; else itself."""
    if test != "one_of":
        return [value] if value else []
    parts = value.splitlines() if "\n" in value else value.split(",")
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def contacts_of(segment: Segment) -> ContactQuerySet:
    """The contacts of a segment now: present, active, and meeting its conditions. In no order."""
    return found(segment.contact_list, segment.match, segment.conditions)


def found(contact_list: ContactList, match: str, conditions: Sequence[Condition]) -> ContactQuerySet:
    """The contacts of `contact_list` a segment with these good conditions would have. Capitals do not matter."""
    own = {condition["field"] for condition in conditions} - _COLUMNS.keys()
    names = {name: f"field_{place}" for place, name in enumerate(sorted(own))}
    contacts: QuerySet[Any] = Contact.objects.present().filter(contact_list=contact_list, active=True)
    contacts = contacts.alias(**{alias: _text(name) for name, alias in names.items()}).order_by()
    wanted = Q()
    for condition in conditions:
        met = _met(condition, names.get(condition["field"]) or _COLUMNS[condition["field"]])
        wanted = wanted | met if match == SegmentMatch.ANY else wanted & met
    return cast(ContactQuerySet, contacts.filter(wanted))


def _text(name: str) -> Cast:
    """A list's own field as text; without the cast it is compared as JSON."""
    return Cast(KeyTextTransform(name, "extra"), TextField())


def _met(condition: Condition, column: str) -> Q:
    """One condition. A pattern for every test, because only patterns ignore capitals beyond ASCII on SQLite too."""
    test = condition["test"]
    blank = Q(**{f"{column}__isnull": True}) | Q(**{column: ""})
    if test in WITHOUT_VALUE:
        return blank if test == "is_blank" else ~blank
    each = _phone_patterns(condition) if condition["field"] == _PHONE else _patterns(condition)
    matches = Q(**{f"{column}__iregex": "|".join(each)})
    return blank | ~matches if test == "is_not" else ~blank & matches


def _patterns(condition: Condition) -> list[str]:
    escaped = [re.escape(value) for value in values_of(condition["test"], condition["value"])]
    whole = {"is": r"\A{}\Z", "is_not": r"\A{}\Z", "one_of": r"\A{}\Z", "starts_with": r"\A{}", "contains": "{}"}
    return [whole[condition["test"]].format(value) for value in escaped]


def _phone_patterns(condition: Condition) -> list[str]:
    """A number however it is spelled; a part of one by its digits, and the area code begins a number of +1."""
    test, values = condition["test"], values_of(condition["test"], condition["value"])
    if test in {"contains", "starts_with"}:
        digits = re.sub("[^0-9]", "", values[0])
        return [digits] if test == "contains" else [rf"\A\+{'' if values[0].startswith('+') else '1?'}{digits}"]
    return [rf"\A\{phones.to_e164(value)}\Z" for value in values]


def in_words(segment: Segment) -> str:
    """The conditions as one sentence for people: “Major is Biology and Class year is one of 2026, 2027”."""
    said = (
        f"{each['field'].replace('_', ' ')} {TESTS.get(each['test'], each['test'])} {each['value']}".strip()
        for each in segment.conditions
    )
    return (" and " if segment.match == SegmentMatch.ALL else " or ").join(said)
