"""The bytes of an uploaded CSV file → its columns, its rows with their numbers, and which column fills which field."""

from __future__ import annotations

import codecs
import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from smsportal.providers.base import RemoteField
from smsportal.text import clean

MAX_COLUMNS = 200
DELIMITERS = ",;\t|"
_SAMPLE = 64 * 1024  # bytes the delimiter is told from
_GUARDED = tuple(
    "=+-@\t\r\n\0＝＋－＠"
)  # what a spreadsheet may take for a formula; exports put an apostrophe before it

# Headers people use for the default fields, without case, spaces and punctuation. Of several columns that would fill
# one field the one named earlier here wins: texts go to mobile phones.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "Phone_Number": (
        "mobilephonenumber", "cellphonenumber", "mobilenumber", "cellnumber", "mobilephone", "cellphone", "mobile",
        "cell", "textnumber", "smsnumber", "sms", "phone", "phoneno", "telephone", "telephonenumber", "tel",
        "primaryphone", "contactnumber",
    ),
    "Email_Address": ("email", "emailid", "mail", "studentemail", "primaryemail", "universityemail", "emailaddr"),
    "First_Name": ("preferredname", "preferredfirstname", "firstname", "first", "fname", "givenname", "forename"),
    "Last_Name": ("lastname", "last", "lname", "surname", "familyname"),
}  # fmt: skip
_FOREIGN = {
    b"PK\x03\x04": "an Excel workbook or another zipped file",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
}


class Unreadable(ValueError):
    """The file, or what is left of it, cannot be read; the text says why and what to do, to staff."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """An opened file. `rows` gives (number, cells) lazily: the header is row 1, blank rows count but are left out."""

    columns: list[str]
    rows: Iterator[tuple[int, list[str]]]


def refuse_foreign(content: bytes) -> None:
    """Raise Unreadable when the file is plainly no text."""
    for start, what in _FOREIGN.items():
        if content.startswith(start):
            raise Unreadable(f"This is {what}; save the sheet as “CSV UTF-8” and upload that file.")


def open_sheet(content: bytes) -> Sheet:
    """The columns and rows of a CSV file: UTF-8, UTF-16 with its mark, or Windows text; cells between , ; tabs or |.

    Raises Unreadable for what is no such file, here or while the rows are read.
    """
    refuse_foreign(content)
    encoding = _encoding(content)
    delimiter, has_preamble = _delimiter(content, encoding)
    lines = io.TextIOWrapper(io.BytesIO(content), encoding=encoding, errors="replace", newline="")
    records = _records(lines, delimiter)
    if has_preamble:
        next(records)
    header = next((cells for _, cells in records), None)
    if header is None:
        raise Unreadable("The file is empty; its first row must name the columns.")
    while header and not header[-1].strip():
        header.pop()
    if len(header) > MAX_COLUMNS:
        raise Unreadable(f"The file has {len(header)} columns; leave at most {MAX_COLUMNS}.")
    return Sheet(_titles(header), records)


def _encoding(content: bytes) -> str:
    if content.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if content[:1000].count(0) > len(content[:1000]) // 4:
        raise Unreadable("The encoding of the file cannot be told; save it as “CSV UTF-8” and upload it again.")
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(content)
    try:
        for start in range(0, len(view), 1 << 20):
            decoder.decode(view[start : start + (1 << 20)])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"  # what Excel on Windows writes as plain "CSV"
    return "utf-8"


def _delimiter(content: bytes, encoding: str) -> tuple[str, bool]:
    """What stands between cells, and whether the first line only says so (`sep=;`, as Excel writes it)."""
    cut = len(content) > _SAMPLE
    sample = codecs.getincrementaldecoder(encoding)("replace").decode(content[:_SAMPLE]).lstrip("\ufeff")
    first = sample.split("\n", 1)[0].strip()
    if len(first) == 5 and first.lower().startswith("sep=") and first[4] in DELIMITERS:
        return first[4], True

    def merit(delimiter: str) -> tuple[bool, int]:
        rows = [row for row in islice(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), 30) if row]
        rows = rows[:-1] if cut and len(rows) > 2 else rows
        width = len(rows[0]) if rows else 0
        agreeing = sum(len(row) == width for row in rows)
        return width > 1 and agreeing * 2 >= len(rows), width

    try:
        return max(DELIMITERS, key=merit), False
    except csv.Error:
        return ",", False


def _records(lines: io.TextIOWrapper, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter)
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise Unreadable(
                f"Row {number} holds a cell of more than {csv.field_size_limit():,} characters. Most likely a quotation "
                'mark (") is opened in it and never closed: close or remove it and upload the file again.'
            ) from None
        if any(cell and not cell.isspace() for cell in cells):
            yield number, [_unguarded(cell) for cell in cells]


def _unguarded(cell: str) -> str:
    """A cell without the apostrophe an export put before what looks like a formula."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _GUARDED else cell


def guarded(cell: str) -> str:
    """A cell no spreadsheet takes for a formula (ASVS 1.2.10); reading it back gives the same cell."""
    return f"'{cell}" if cell.startswith(_GUARDED) or _unguarded(cell) != cell else cell


def _titles(header: Sequence[str]) -> list[str]:
    """The names of the columns, each once: blank ones become “Column 3”, a repeated one “Phone (2)”."""
    titles: list[str] = []
    for place, cell in enumerate(header, start=1):
        title = name = clean(" ".join(cell.split()), 200).replace("\ufffd", "?") or f"Column {place}"
        repeat = 1
        while title in titles:
            repeat += 1
            title = f"{name} ({repeat})"
        titles.append(title)
    return titles


# --- which column fills which field ----------------------------------------------------------------------------------
def map_columns(columns: Sequence[str], schema: Sequence[RemoteField], chosen: Mapping[str, str]) -> dict[str, str]:
    """Column → name of the field it fills, "" for those that are ignored; what is `chosen` wins over the headers.

    A header fits a field by its name, else its display name, else a usual word for it. Raises Unreadable when no
    column holds the phone number or a choice names what is not there.
    """
    if problem := mapping_problem(columns, schema, chosen):
        raise Unreadable(problem)
    mapping = {column: chosen.get(column, "") for column in columns}
    free = [column for column in columns if column not in chosen]
    for field in schema:
        if field.name not in mapping.values() and (best := _best(free, field)):
            if f"{best} (2)" in free:
                raise Unreadable(f"Two columns are called “{best}”; rename one, or choose one in the mapping.")
            mapping[best] = field.name
            free.remove(best)
    for field in schema:
        if field.type == "PhoneNumber" and field.name not in mapping.values():
            raise Unreadable(
                f"No column holds the phone number. The columns are: {', '.join(columns[:20])}. Name one of them "
                f"“{field.display_name}”, or choose the column in the mapping."
            )
    return mapping


def mapping_problem(columns: Sequence[str] | None, schema: Sequence[RemoteField], chosen: Mapping[str, str]) -> str:
    """What is wrong with the chosen mapping, or "". `columns` is None while the file is not read yet."""
    names = {field.name for field in schema}
    filled = [name for name in chosen.values() if name]
    for column, name in chosen.items():
        if columns is not None and column not in columns:
            return f"The file has no column “{column[:60]}”; its columns are: {', '.join(columns[:20])}."
        if name and name not in names:
            return f"The list has no field “{name[:60]}”; its fields are: {', '.join(sorted(names))}."
        if name and filled.count(name) > 1:
            return f"Two columns are chosen for “{name}”; choose one of them."
    return ""


def _best(columns: Sequence[str], field: RemoteField) -> str:
    """The column that fits `field` best, or ""."""
    words = [_plain(field.name), _plain(field.display_name), *SYNONYMS.get(field.name, ())]
    ranked = [(words.index(plain), column) for column in columns if (plain := _plain(column)) in words]
    return min(ranked, key=lambda each: each[0])[1] if ranked else ""


def _plain(header: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFKC", header).casefold() if each.isalnum())
