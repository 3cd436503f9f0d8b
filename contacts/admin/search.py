"""How staff search for people: digits find numbers however they are written, words find names and e-mail addresses."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import Q, QuerySet

FEWEST_DIGITS = 4  # fewer digits are not taken for a part of a number
HELP = f"At least {FEWEST_DIGITS} digits of the number"


def digits_of(term: str) -> str:
    """The digits of a search that is for a number, else nothing."""
    digits = re.sub(r"\D", "", term)
    return digits if len(digits) >= FEWEST_DIGITS and not re.search(r"[^\W\d_]", term) else ""


def by_number(rows: QuerySet[Any], term: str, *, number: str = "number__e164") -> QuerySet[Any]:
    """The rows whose number has these digits; all without a term, none when it is too short to mean one."""
    if not term.strip():
        return rows
    digits = digits_of(term)
    return rows.filter(**{f"{number}__contains": digits}) if digits else rows.none()


def by_person(rows: QuerySet[Any], term: str, *, person: str = "") -> QuerySet[Any]:
    """The rows whose number, name or e-mail address fits the term; `person` leads to the contact."""
    if digits_of(term):
        return by_number(rows, term)
    for word in term.split():
        rows = rows.filter(
            Q(**{f"{person}last_name__istartswith": word})
            | Q(**{f"{person}first_name__istartswith": word})
            | Q(**{f"{person}email__istartswith": word})
        )
    return rows
