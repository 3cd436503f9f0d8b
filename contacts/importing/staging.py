"""Rows of an upload judged against its list and stored beside it: pages of the first check, and single rows again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from django.db.models import Count, Q

from contacts.checking import CellError, ErrorRow, check_fields, unique_fields
from contacts.importing.reading import Unreadable, map_columns, open_sheet
from contacts.keeping import merging
from contacts.models import Import, ImportRow, RowState
from smsportal.providers.base import RemoteField
from smsportal.sql import insert_each

COUNTERS = {
    RowState.NEW: "new",
    RowState.CHANGED: "changed",
    RowState.SAME: "same",
    RowState.REFUSED: "refused",
    RowState.DUPLICATE: "duplicates",
}
USED = (RowState.NEW, RowState.CHANGED, RowState.SAME)


class Staged(NamedTuple):
    """The columns of an ImportRow to be stored."""

    upload: int
    number: int
    state: RowState
    cells: list[str]
    fields: dict[str, str]
    errors: list[ErrorRow]
    before: dict[str, str] | None
    e164: str


@dataclass(frozen=True, slots=True)
class Opened:
    """An upload opened with its columns mapped: which cell of a row is which field."""

    upload: Import
    schema: list[RemoteField]
    columns: list[str]
    mapping: dict[str, str]
    rows: Iterator[tuple[int, list[str]]]

    def staged(self) -> Iterator[list[Staged]]:
        """The rows judged, a page at a time, not stored yet. Raises Unreadable where reading ends."""
        memory = merging.Memory()
        places = [(place, name) for place, name in enumerate(self.mapping.values()) if name]
        while page := list(islice(self.rows, merging.PAGE)):
            wanted = [_wanted(number, cells, places, self) for number, cells in page]
            verdicts = merging.judge(self.upload.contact_list, self.schema, wanted, memory=memory)
            yield [_row(self.upload, verdict, cells) for verdict, (_, cells) in zip(verdicts, page, strict=True)]


def open_upload(upload: Import) -> Opened:
    """Raises Unreadable; when only the mapping is at fault, `upload.columns` says what there is to choose among."""
    schema = upload.contact_list.schema()
    sheet = open_sheet(bytes(upload.content))
    try:
        mapping = map_columns(sheet.columns, schema, upload.mapping)
    except Unreadable:
        upload.columns = sheet.columns  # to choose among
        raise
    return Opened(upload, schema, sheet.columns, mapping, sheet.rows)


def _wanted(number: int, cells: Sequence[str], places: Sequence[tuple[int, str]], opened: Opened) -> merging.Wanted:
    """A row of the file as it should be merged: blank cells leave what the contact has."""
    given = {name: cells[place] if place < len(cells) else "" for place, name in places}
    checked = check_fields(opened.schema, given)
    errors = checked.errors
    if fault := _misshapen(cells, len(opened.columns)):
        errors = [fault, *errors]
    fields = {name: value for name, value in checked.fields.items() if value}
    return merging.Wanted(number, checked.e164, fields, errors)


def _misshapen(cells: Sequence[str], width: int) -> CellError | None:
    """What is wrong with a row whose cells are not under their columns. Missing cells at its end are just blank."""
    if len(cells) > width and any(cell.strip() for cell in cells[width:]):
        message = (
            f"This row has {len(cells)} cells but the header names {width}; put quotation marks around the cell "
            "that holds a separator, or remove the extra cell."
        )
        return CellError("", "too_many_cells", message, cells[width])
    if len(cells) < width and any("\n" in cell for cell in cells):
        message = (
            "A cell of this row runs over several lines and cells are missing after it: most likely a quotation mark "
            "is opened and never closed."
        )
        return CellError("", "open_quote", message, next(cell for cell in cells if "\n" in cell))
    return None


def _row(upload: Import, verdict: merging.Verdict, cells: Sequence[str]) -> Staged:
    return Staged(
        upload.pk,
        verdict.wanted.row,
        verdict.state,
        [cell.replace("\0", "\ufffd") for cell in cells],
        dict(verdict.wanted.fields),
        [error.as_row() for error in verdict.errors],
        verdict.before,
        verdict.wanted.e164,
    )


def store(page: Sequence[Staged]) -> None:
    """Insert a page of judged rows."""
    insert_each(ImportRow, Staged._fields, page, {})


def codes_of(rows: Iterable[ImportRow | Staged]) -> Counter[str]:
    """How often each error code stands in the refused ones of `rows`."""
    return Counter(error["code"] for row in rows if row.state == RowState.REFUSED for error in row.errors)


def rejudge(upload: Import, row: ImportRow, fields: Mapping[str, str]) -> list[ImportRow]:
    """Give `row` other fields and judge it, and the rows that repeated or clashed with it, anew; returns all judged.

    Nothing is stored. Rows are judged in the order: the others first where they come earlier in the file.
    """
    old = dict(row.fields)
    row.fields = {name: value for name, value in {**row.fields, **fields}.items() if value}
    schema = upload.contact_list.schema()
    touched = [row, *_leaning_on(upload, row, old, schema)]
    memory = merging.Memory()
    wanted = {each.number: _again(each, schema, len(upload.columns)) for each in touched}
    _remember(upload, memory, wanted, schema)
    page = [wanted[number] for number in sorted(wanted)]
    by_number = {each.number: each for each in touched}
    for verdict in merging.judge(upload.contact_list, schema, page, memory=memory):
        each = by_number[verdict.wanted.row]
        each.state, each.before, each.e164 = verdict.state, verdict.before, verdict.wanted.e164
        each.fields = dict(verdict.wanted.fields)
        each.errors = [error.as_row() for error in verdict.errors]
    return touched


def _again(row: ImportRow, schema: Sequence[RemoteField], width: int) -> merging.Wanted:
    names = [field.name for field in schema]
    checked = check_fields(schema, {name: row.fields.get(name, "") for name in names} | row.fields)
    fields = {name: value for name, value in checked.fields.items() if value}
    fault = _misshapen(row.cells, width)  # no other value of a field puts the cells under their columns
    return merging.Wanted(row.number, checked.e164, fields, [fault, *checked.errors] if fault else checked.errors)


def _leaning_on(
    upload: Import, row: ImportRow, old: Mapping[str, str], schema: Sequence[RemoteField]
) -> list[ImportRow]:
    """Rows not used so far because `row` had the same number or the same unique value."""
    same = Q(e164=row.e164) if row.e164 else Q(pk=None)
    for field in unique_fields(schema):
        if value := old.get(field.name):
            same |= Q(**{f"fields__{field.name}__iexact": value}, state=RowState.REFUSED)
    unused = upload.checked_rows.exclude(state__in=USED).exclude(pk=row.pk)
    return list(unused.filter(same).order_by("number")[: merging.PAGE])


def _remember(
    upload: Import, memory: merging.Memory, wanted: Mapping[int, merging.Wanted], schema: Sequence[RemoteField]
) -> None:
    """Fill `memory` with what the used rows of the upload claim that the rows judged anew might want."""
    numbers = {each.e164 for each in wanted.values() if each.e164}
    unique = unique_fields(schema)
    same = Q(e164__in=numbers)
    for field in unique:
        for each in wanted.values():
            if value := each.fields.get(field.name):
                same |= Q(**{f"fields__{field.name}__iexact": value})
    for row in upload.checked_rows.filter(state__in=USED).exclude(number__in=wanted).filter(same):
        merging.claim(memory, _again(row, schema, len(upload.columns)), unique)


def recount(upload: Import, *, codes: Counter[str]) -> None:
    """Write the counters of `upload` as its rows are; `codes` is the difference in error codes."""
    counts = dict(upload.checked_rows.order_by().values_list("state").annotate(n=Count("pk")))
    for state, column in COUNTERS.items():
        setattr(upload, column, counts.get(state, 0))
    upload.rows = sum(counts.values())
    total = Counter(upload.errors_by_code)
    total.update(codes)
    upload.errors_by_code = {code: count for code, count in total.items() if count > 0}
    upload.save(update_fields=[*COUNTERS.values(), "rows", "errors_by_code", "updated_at"])
