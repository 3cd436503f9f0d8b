"""The consent register: the only writer of who may be texted, so that an opt-out that is committed wins every race."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import transaction

from contacts.models import ConsentEvent, ConsentKind, ConsentSource, PhoneNumber
from smsportal import clock
from smsportal.accounts.models import User
from smsportal.problems import Conflict, Wrong
from smsportal.sql import insert_missing
from smsportal.text import clean, clean_json

PAGE = 1000
# An opt-in of these is made by someone acting now, so it needs no time of its own.
_ACTING_NOW = (ConsentSource.STAFF, ConsentSource.API)


def numbers_for(e164s: Iterable[str]) -> dict[str, int]:
    """Every given number (E.164) → the id of its permanent row, made where there was none. Three queries per 1,000."""
    wanted = sorted(set(e164s))  # one order for everybody: two writers cannot wait for each other
    found: dict[str, int] = {}
    for start in range(0, len(wanted), PAGE):
        page = wanted[start : start + PAGE]
        found.update(PhoneNumber.objects.filter(e164__in=page).values_list("e164", "pk"))
        missing = [e164 for e164 in page if e164 not in found]
        if missing:
            now = clock.now()
            same = {"opted_out": False, "staff_block": False, "consent_at": None, "created_at": now, "updated_at": now}
            insert_missing(PhoneNumber, ["uuid", "e164"], [(uuid4(), e164) for e164 in missing], same)
            found.update(PhoneNumber.objects.filter(e164__in=missing).values_list("e164", "pk"))
    return found


def opt_out(
    number: PhoneNumber | str,
    *,
    source: str,
    at: datetime | None = None,
    actor: User | None = None,
    reason: str = "",
    evidence: Mapping[str, Any] | None = None,
    staff_block: bool = False,
) -> ConsentEvent:
    """Record that a person must not be texted. `number` is a row or E.164 text (then its row is made if needed).

    Without `at` it counts from now; a time to come counts as now. A `staff_block` is lifted only by `lift`.
    """
    now = clock.now()
    with transaction.atomic():
        row = _lock(number)
        effective = min(at or now, now)
        event = _record(
            row,
            ConsentKind.OUT,
            source=source,
            at=effective,
            actor=actor,
            reason=reason,
            evidence=evidence,
            mark="staff_block" if staff_block else "",
        )
        if staff_block:
            later = row.consent_at if row.staff_block else None
            row.opted_out, row.staff_block, row.consent_at = True, True, max(effective, later or effective)
        elif not row.staff_block and (row.consent_at is None or effective >= row.consent_at):
            row.opted_out, row.consent_at = True, effective
        _store(row, number)
    return event


def opt_in(
    number: PhoneNumber | str,
    *,
    source: str,
    at: datetime | None = None,
    actor: User | None = None,
    reason: str = "",
    evidence: Mapping[str, Any] | None = None,
) -> ConsentEvent:
    """Record that a person wants texts. It beats only opt-outs that took effect earlier, and never a staff block.

    An opt-in a provider reports without a time is kept as evidence and changes nothing. Raises Wrong for a file
    (files may only opt out) and for a program that brings no evidence.
    """
    if source == ConsentSource.IMPORT:
        raise Wrong("A file cannot opt anyone in; ask the person to text START.")
    if source == ConsentSource.API and not evidence:
        raise Wrong("An opt-in by a program needs evidence of the person's consent.", errors={"evidence": ["Missing."]})
    now = clock.now()
    counts = at is not None or source in _ACTING_NOW
    with transaction.atomic():
        row = _lock(number)
        effective = min(at or now, now)
        event = _record(
            row,
            ConsentKind.IN,
            source=source,
            at=effective,
            actor=actor,
            reason=reason,
            evidence=evidence,
            mark="" if counts else "timeless",
        )
        if counts and not row.staff_block and (row.consent_at is None or effective > row.consent_at):
            row.opted_out, row.consent_at = False, effective
        _store(row, number)
    return event


def lift(
    number: PhoneNumber | str, *, actor: User | None, reason: str, source: str = ConsentSource.STAFF
) -> ConsentEvent:
    """Somebody who may removes an opt-out, a staff block included; `source` says whether a program was used for it.

    Raises Wrong without a reason, Conflict when there is no opt-out.
    """
    if not reason.strip():
        raise Wrong("Say why the opt-out is removed.", errors={"reason": ["Say why the opt-out is removed."]})
    with transaction.atomic():
        row = _lock(number)
        if not row.opted_out:
            raise Conflict("This number is not opted out.")
        # Later than all that was known, so that it also outranks an opt-out of the same moment.
        at = max(clock.now(), row.consent_at + timedelta(microseconds=1) if row.consent_at else clock.now())
        event = _record(
            row,
            ConsentKind.IN,
            source=source,
            at=at,
            actor=actor,
            reason=reason,
            evidence=None,
            mark="lifted",
        )
        row.opted_out, row.staff_block, row.consent_at = False, False, at
        _store(row, number)
    return event


def _lock(number: PhoneNumber | str) -> PhoneNumber:
    """The number's row as it is now, locked until the transaction ends.

    PostgreSQL: a send reads consent under a shared lock of the same row, so either it sees this change or this change
    waits for its intent. SQLite: the immediate transaction already keeps every other writer out.
    """
    pk = numbers_for([number])[number] if isinstance(number, str) else number.pk
    return PhoneNumber.objects.select_for_update().get(pk=pk)


def _record(
    row: PhoneNumber, kind: str, *, reason: str, evidence: Mapping[str, Any] | None, mark: str = "", **columns: Any
) -> ConsentEvent:
    kept = dict(evidence or {}) | ({mark: True} if mark else {})
    return ConsentEvent.objects.create(
        number=row, kind=kind, reason=clean(reason, 500), evidence=clean_json(kept), **columns
    )


def _store(row: PhoneNumber, given: PhoneNumber | str) -> None:
    """Write the consent columns, and bring the caller's own copy of the row up to date."""
    row.save(update_fields=["opted_out", "staff_block", "consent_at", "updated_at"])
    if isinstance(given, PhoneNumber):
        given.opted_out, given.staff_block, given.consent_at = row.opted_out, row.staff_block, row.consent_at
