"""① An uploaded file and a list's schema become checked rows, and those become contacts, or a reason per cell.

`receive` stores the file, a worker checks it: every row is staged as an ImportRow, nothing reaches the list. Staff
mend rows, choose other columns, then apply; a worker merges the good rows in one transaction, so that a kill at any
moment leaves either nothing or all of it. A blank cell leaves what a contact has; `undo` puts back what was before.

Next: contacts/models/__init__.py
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from django.conf import settings
from django.db import transaction

from contacts import consent
from contacts.checking import CellError, check_fields
from contacts.importing import reverting
from contacts.importing.reading import Unreadable, guarded, mapping_problem, refuse_foreign
from contacts.importing.staging import COUNTERS, USED, codes_of, open_upload, recount, rejudge, store
from contacts.keeping import merging
from contacts.models import ContactList, Import, ImportRow, ImportState, RowState
from smsportal import clock
from smsportal.accounts.models import User
from smsportal.claims import Claim, claim, free, let_go, renew
from smsportal.problems import Conflict, Wrong
from smsportal.providers.base import RemoteField
from smsportal.sql import update_each
from smsportal.text import clean

LEASE_S = 180
ACCEPT = ("good", "all_or_nothing")


class Lost(Exception):
    """Another worker took the import over; what this one has not committed is dropped."""


def receive(
    contact_list: ContactList,
    *,
    file_name: str,
    content: bytes,
    mapping: Mapping[str, str] | None = None,
    actor: User | None = None,
) -> Import:
    """Store an upload for a worker to check. `mapping`: column → field, or "" to ignore the column.

    Raises Wrong when the file is empty, no text or larger than IMPORT_MAX_BYTES, or the mapping names unknown fields.
    """
    if not content.strip():
        raise Wrong("The file is empty; its first row must name the columns.")
    if len(content) > settings.IMPORT_MAX_BYTES:
        limit = settings.IMPORT_MAX_BYTES / (1 << 20)
        raise Wrong(f"The file has {len(content) / (1 << 20):.1f} MB; at most {limit:.0f} MB are taken. Split it.")
    try:
        refuse_foreign(content)
    except Unreadable as foreign:
        raise Wrong(str(foreign)) from None
    chosen = {clean(column): clean(field) for column, field in (mapping or {}).items()}
    _check_mapping(contact_list, None, chosen)
    return Import.objects.create(
        contact_list=contact_list,
        file_name=clean(PurePath(file_name.replace("\\", "/")).name, 255) or "upload.csv",
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        mapping=chosen,
        actor=actor,
    )


def _check_mapping(contact_list: ContactList, columns: list[str] | None, chosen: Mapping[str, str]) -> None:
    if problem := mapping_problem(columns, contact_list.schema(), chosen):
        raise Wrong(problem, errors={"mapping": [problem]})


# --- the worker's part -----------------------------------------------------------------------------------------------
def next_import() -> Claim | None:
    """Claim the import that has waited longest to be checked or applied."""
    waiting = Import.objects.filter(free(), state__in=[ImportState.CHECKING, ImportState.APPLYING]).order_by("id")
    return claim(waiting, LEASE_S)


def check(upload: Import) -> None:
    """Read the file and stage every row with its verdict; ends `checked`, or `failed` with a sentence.

    Pages of 1,000 rows, each its own short transaction. After a kill the next worker begins anew. Raises Lost.
    """
    held = Claim(upload.pk, upload.fence)
    counts: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    with transaction.atomic():
        _hold(held)
        upload.checked_rows.all().delete()
    try:
        opened = open_upload(upload)
        for page in opened.staged():
            counts.update(row.state for row in page)
            codes.update(codes_of(page))
            if counts.total() > settings.IMPORT_MAX_ROWS:
                raise Unreadable(f"The file has more than {settings.IMPORT_MAX_ROWS:,} rows; split it.")
            with transaction.atomic():
                _hold(held)
                store(page)
        if not counts:
            raise Unreadable("The file has a header but no rows below it.")
        columns: dict[str, Any] = {"columns": opened.columns, "mapping": opened.mapping}
        _finish(upload, held, ImportState.CHECKED, problem="", **columns, **_counters(counts, codes))
    except Unreadable as bad:
        with transaction.atomic():
            _hold(held)
            upload.checked_rows.all().delete()
            columns = {"columns": upload.columns, **_counters(Counter(), Counter())}
            _finish(upload, held, ImportState.FAILED, problem=clean(bad, 500), **columns)


def _counters(counts: Counter[str], codes: Counter[str]) -> dict[str, Any]:
    by_state = {column: counts[state] for state, column in COUNTERS.items()}
    return {**by_state, "rows": counts.total(), "errors_by_code": dict(codes)}


def _hold(held: Claim) -> None:
    """Go on only as the owner. Within a transaction this also keeps a successor out until it ends."""
    if not renew(Import, held, LEASE_S):
        raise Lost


def _finish(upload: Import, held: Claim, state: ImportState, **columns: Any) -> None:
    if not let_go(Import, held, state=state, updated_at=clock.now(), **columns):
        raise Lost
    upload.refresh_from_db()


def apply(upload: Import) -> None:
    """Merge the good rows into the list as it is now, in one transaction: all of them are visible at once, or none.

    What changed in the list since the check is judged again. With `all_or_nothing` one row that has become bad sends
    the import back to `checked`. Raises Lost.
    """
    held = Claim(upload.pk, upload.fence)
    _make_numbers(upload, held)
    try:
        with transaction.atomic():
            _hold(held)
            merging.lock(upload.contact_list)
            codes = _merge(upload)
            recount(upload, codes=codes)
            _finish(upload, held, ImportState.APPLIED, applied_at=clock.now(), problem="")
    except _NotAll as bad:
        _finish(upload, held, ImportState.CHECKED, accept="", problem=clean(bad, 500))


def _make_numbers(upload: Import, held: Claim) -> None:
    """Have a row for every number, page by page in transactions of their own.

    Made in the one that applies the file, two files with the same people in another order would wait for each other.
    """
    new, last = upload.checked_rows.filter(state=RowState.NEW).order_by("number"), 0
    while page := list(new.filter(number__gt=last).values_list("number", "e164")[: merging.PAGE]):
        last = page[-1][0]
        _hold(held)
        consent.numbers_for(e164 for _, e164 in page)


class _NotAll(Exception):
    """A row cannot be applied, and it was to be all rows or none."""


def _merge(upload: Import) -> Counter[str]:
    """Judge and write all rows that are used, page by page; returns the error codes that are new."""
    schema = upload.contact_list.schema()
    needed = [field.name for field in schema if field.required]
    memory, codes, last = merging.Memory(), Counter[str](), 0
    used = upload.checked_rows.filter(state__in=USED).order_by("number")
    columns = used.values_list("pk", "number", "state", "fields", "before", "e164")
    while page := list(columns.filter(number__gt=last)[: merging.PAGE]):
        last = page[-1][1]
        wanted = [
            merging.Wanted(number, e164, fields, _missing(schema, fields, needed))
            for _, number, _, fields, _, e164 in page
        ]
        verdicts = merging.judge(upload.contact_list, schema, wanted, memory=memory)
        merging.write(upload.contact_list, verdicts)
        news = [(row[0], v) for row, v in zip(page, verdicts, strict=True) if (v.state, v.before) != (row[2], row[4])]
        changes = [(pk, v.state, v.before, [error.as_row() for error in v.errors]) for pk, v in news]
        update_each(ImportRow, ["state", "before", "errors"], changes)
        bad = [v for _, v in news if v.state == RowState.REFUSED]
        if bad and upload.accept == "all_or_nothing":
            raise _NotAll(f"Nothing was applied: row {bad[0].wanted.row} is no longer good. {bad[0].errors[0].message}")
        codes.update(error.code for verdict in bad for error in verdict.errors)
    return codes


def _missing(schema: list[RemoteField], fields: Mapping[str, str], needed: list[str]) -> list[CellError]:
    """What a row lacks: the contact that has it may be gone since the check."""
    if all(map(fields.get, needed)):
        return []
    return [error for error in check_fields(schema, fields).errors if error.code == "missing"]


# --- what staff and programs do --------------------------------------------------------------------------------------
def remap(upload: Import, mapping: Mapping[str, str]) -> Import:
    """Let other columns fill the fields, and check again. Raises Wrong as `receive`, Conflict once it is applied."""
    chosen = {clean(column): clean(field) for column, field in mapping.items()}
    _check_mapping(upload.contact_list, upload.columns or None, chosen)
    return _move(upload, [ImportState.CHECKED, ImportState.FAILED], state=ImportState.CHECKING, mapping=chosen)


def change_row(upload: Import, number: int, fields: Mapping[str, str]) -> ImportRow:
    """Mend cells of row `number` before the import is applied; rows that repeated or clashed with it are judged anew.

    A field given blank is blank then. Raises Wrong for unknown fields or rows, Conflict when it is not `checked`.
    """
    if problem := mapping_problem(None, upload.contact_list.schema(), {name: name or "(no name)" for name in fields}):
        raise Wrong(problem, errors={name: [problem] for name in fields})
    with transaction.atomic():
        _move(upload, [ImportState.CHECKED], updated_at=clock.now())
        row = upload.checked_rows.filter(number=number).first()
        if row is None:
            raise Wrong(f"The file has no row {number}.")
        before = codes_of(list(upload.checked_rows.filter(number=number)))
        touched = rejudge(upload, row, fields)
        before += codes_of(list(upload.checked_rows.filter(pk__in=[each.pk for each in touched]).exclude(pk=row.pk)))
        ImportRow.objects.bulk_update(touched, ["state", "fields", "errors", "before", "e164"])
        difference = codes_of(touched)
        difference.subtract(before)
        recount(upload, codes=difference)
    return row


def start_applying(upload: Import, *, accept: str, actor: User | None) -> Import:
    """Hand a checked import to a worker. `accept`: "good" rows only, or "all_or_nothing".

    Raises Conflict when rows are refused and it should be all, or when it is not `checked`.
    """
    if accept not in ACCEPT:
        raise Wrong("Accept the good rows, or all or nothing.", errors={"accept": [f"One of {', '.join(ACCEPT)}."]})
    upload.refresh_from_db()
    if accept == "all_or_nothing" and upload.refused:
        raise Conflict(f"{upload.refused} rows have errors; mend them, or apply only the good rows.")
    return _move(upload, [ImportState.CHECKED], state=ImportState.APPLYING, accept=accept, actor=actor, problem="")


def undo(upload: Import, *, actor: User | None) -> Import:
    """Take an applied import back: contacts it made go, those it changed get their earlier fields.

    Contacts changed since stay as they are: their rows say so and `problem` counts them. Raises Conflict when it is
    not `applied`. One transaction.
    """
    with transaction.atomic():
        _move(upload, [ImportState.APPLIED], state=ImportState.UNDONE, actor=actor)
        merging.lock(upload.contact_list)
        kept = reverting.revert(upload)
        if kept:
            upload.problem = reverting.left_alone(kept)
            upload.save(update_fields=["problem"])
    return upload


def _move(upload: Import, allowed: list[ImportState], **columns: Any) -> Import:
    """One conditional UPDATE, so that two people clicking make one move. Raises Conflict."""
    rows = Import.objects.filter(pk=upload.pk, state__in=allowed)
    if not rows.update(**{"updated_at": clock.now(), "owner": "", "lease_until": None, **columns}):
        now = Import.objects.get(pk=upload.pk)
        raise Conflict(
            f"This import is “{now.get_state_display()}”; that cannot be done now.", allowed=_moves(now.state)
        )
    upload.refresh_from_db()
    return upload


def _moves(state: str) -> list[str]:
    """What can be done with an import in `state`."""
    return {"checked": ["apply", "remap", "change_row"], "failed": ["remap"], "applied": ["undo"]}.get(state, [])


def refused_csv(upload: Import) -> Iterator[str]:
    """The refused and repeated rows as lines of a CSV file: the columns as uploaded, then “Errors”.

    Cells a spreadsheet would take for a formula are guarded; uploading the mended file takes the guard off again.
    """
    width = len(upload.columns)
    yield _line([*upload.columns, "Errors"])
    bad = upload.checked_rows.filter(state__in=[RowState.REFUSED, RowState.DUPLICATE]).order_by("number")
    for row in bad.iterator(chunk_size=merging.PAGE):
        cells = (row.cells + [""] * width)[: max(width, len(row.cells))]
        yield _line([*cells, " ".join(error["message"] for error in row.errors)])


def _line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow([guarded(cell) for cell in cells])
    return line.getvalue()
