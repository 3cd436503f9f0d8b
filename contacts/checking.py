"""The pure checks of one contact's cells: cleaned values by field name, and for every bad cell what is wrong and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from smsportal.phones import BadNumber, to_textable
from smsportal.providers.base import RemoteField
from smsportal.text import clean

# The columns of Contact, in characters; the list's own fields share one JSON column.
LIMITS = {"Email_Address": 254, "First_Name": 150, "Last_Name": 150}
OWN_LIMIT = 1000
SHOWN = 100  # characters of a bad value that an error repeats

_EMAIL = re.compile(
    r"[\w+-]+(?:\.[\w+-]+)*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}", re.ASCII
)
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd\ud800-\udfff]")


class ErrorRow(TypedDict):
    """An error as stored and shown: which field, which rule, what to do, and the value found."""

    field: str
    code: str
    message: str
    value: str


@dataclass(frozen=True, slots=True)
class CellError:
    """What is wrong with one cell. `code` is for programs and counts, `message` for people."""

    field: str
    code: str
    message: str
    value: str = ""

    def as_row(self) -> ErrorRow:
        return {"field": self.field, "code": self.code, "message": self.message, "value": self.value[:SHOWN]}


@dataclass(frozen=True, slots=True)
class Checked:
    """One contact's fields cleaned (a good phone number in E.164), the errors, and the number or ""."""

    fields: dict[str, str]
    errors: list[CellError]
    e164: str


def check_fields(schema: Sequence[RemoteField], given: Mapping[str, str]) -> Checked:
    """Check `given` (field name → text) against `schema`. Never raises; every fault becomes a CellError.

    A field that is given blank stays in `fields` as ""; one that is not given is left out, and is an error only when
    it is required. Names the schema does not hold are errors (`unknown_field`).
    """
    fields: dict[str, str] = {}
    errors: list[CellError] = []
    e164 = ""
    for field in schema:
        raw = given.get(field.name)
        value = _tidy(raw) if raw is not None else ""
        if raw is not None:
            fields[field.name] = value
        if field.type == "PhoneNumber":
            fault, e164 = _check_phone(field, value)
            if e164:
                fields[field.name] = e164
        else:
            fault = _check_text(field, value, raw)
        if fault is not None:
            errors.append(fault)
    if len(fields) < len(given):
        known = {field.name for field in schema}
        errors += [_unknown(name, known, given[name]) for name in given if name not in known]
    return Checked(fields, errors, e164)


def _tidy(raw: object) -> str:
    """Cleaned and without blanks around it. What cannot be stored stays visible to the checks as U+FFFD."""
    text = raw if isinstance(raw, str) else clean(raw)
    if text.isascii() and text.isprintable():
        return text.strip()
    return clean(_UNREADABLE.sub("\ufffd", text)).strip()


def _check_phone(field: RemoteField, value: str) -> tuple[CellError | None, str]:
    if not value and not field.required:
        return None, ""
    try:
        return None, to_textable(value)
    except BadNumber as bad:
        return CellError(field.name, bad.code, bad.message, value), ""


def _check_text(field: RemoteField, value: str, raw: object) -> CellError | None:
    if not value:
        if field.required:
            message = f"{field.display_name} is missing; this list needs it for every contact."
            return CellError(field.name, "missing", message)
        return None
    limit = LIMITS.get(field.name, OWN_LIMIT)
    if len(value) > limit:
        message = f"{field.display_name} is {len(value):,} characters long; shorten it to {limit:,}."
        return CellError(field.name, "too_long", message, value)
    if "\ufffd" in value:
        message = (
            f"{field.display_name} holds a character that cannot be read; type it again, "
            "or save the file as “CSV UTF-8” and upload it once more."
        )
        return CellError(field.name, "unreadable", message, value)
    if field.type == "Email" and not _is_email(value):
        message = "This is not an e-mail address; correct it, like ada@example.edu, or leave it blank."
        return CellError(field.name, "email", message, value)
    return None


def _is_email(value: str) -> bool:
    """The common shape at once, everything else as Django judges it."""
    if _EMAIL.fullmatch(value):
        return True
    try:
        validate_email(value)
    except ValidationError:
        return False
    return True


def _unknown(name: str, known: set[str], value: object) -> CellError:
    message = (
        f"This list has no field “{name[:60]}”; use one of {', '.join(sorted(known))}, or add the field to the list."
    )
    return CellError(clean(name, 60), "unknown_field", message, clean(value, SHOWN))


def not_unique(field: RemoteField, value: str, where: str) -> CellError:
    """The error of a value another contact of the list (or row of the file) already has; `where` says which."""
    mend = "correct one of them" if field.required else "correct one of them or leave it blank"
    message = f"{where} has the same {field.display_name}; each contact of this list needs its own: {mend}."
    return CellError(field.name, "not_unique", message, value)


def unique_key(field: RemoteField, value: str) -> str:
    """The form of `value` under which it must be unique: e-mail addresses whatever their case, the rest as it is."""
    return value.lower() if field.type == "Email" else value


def unique_fields(schema: Sequence[RemoteField]) -> list[RemoteField]:
    """Fields that may not repeat within a list, without the number, which is the contact's identity."""
    return [field for field in schema if field.unique and field.type != "PhoneNumber"]
