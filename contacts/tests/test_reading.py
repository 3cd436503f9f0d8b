"""From the bytes of a file to rows: encodings, separators, headers, and files nobody can read."""

from __future__ import annotations

import codecs
import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts.importing.reading import Unreadable, _unguarded, guarded, map_columns, open_sheet
from contacts.models import DEFAULT_FIELDS
from smsportal.providers.base import RemoteField

SCHEMA = [*DEFAULT_FIELDS, RemoteField("Text", "Advisor_Name", "Academic advisor")]
TEXT = "Phone,First name\n312-555-0100,Zoë\n312-555-0101,Łukasz – “A”\n"


def rows(content: bytes) -> list[tuple[int, list[str]]]:
    return list(open_sheet(content).rows)


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode("utf-16"),
        TEXT.replace(",", "|").encode(),
        b"sep=;\n" + TEXT.replace(",", ";").encode(),
    ],
)
def test_usual_files_read_alike(content):
    sheet = open_sheet(content)
    assert sheet.columns == ["Phone", "First name"]
    assert [cells for _, cells in sheet.rows] == [["312-555-0100", "Zoë"], ["312-555-0101", "Łukasz – “A”"]]


def test_windows_text_is_read_as_such():
    assert rows("Phone,Name\n312,Zoë – “A”\n".encode("cp1252")) == [(2, ["312", "Zoë – “A”"])]


def test_rows_are_numbered_as_a_spreadsheet_does():
    content = b'Phone,Note\n1,"two\nlines"\n\n , \n2,x\n'
    assert rows(content) == [(2, ["1", "two\nlines"]), (5, ["2", "x"])]


def test_a_comma_inside_the_cells_does_not_fool_the_separator():
    content = b"Phone;Name\n312-555-0100;Park, Ada\n312-555-0101;Kim, Zoe, Dr.\n"
    assert open_sheet(content).columns == ["Phone", "Name"]


def test_one_column_is_enough():
    assert rows(b"Phone\n312-555-0100\n") == [(2, ["312-555-0100"])]


def test_columns_without_a_name_or_with_one_twice_can_be_told_apart():
    sheet = open_sheet(b"Phone,,Phone,  Home   phone \n1,2,3,4\n")
    assert sheet.columns == ["Phone", "Column 2", "Phone (2)", "Home phone"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04rest", "Excel"),
        (b"\xd0\xcf\x11\xe0rest", "Excel"),
        (b"%PDF-1.7", "PDF"),
        (b"\n \n", "empty"),
        (b",".join(b"a%d" % n for n in range(201)), "201 columns"),
        (("Phone\n1\n" * 300).encode("utf-16-le"), "encoding"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_remedy(content, sentence):
    with pytest.raises(Unreadable, match=sentence):
        rows(content)


def test_a_cell_without_end_names_its_row_and_the_likely_quote():
    content = b'Phone,Name\n312-555-0100,Ada\n312-555-0101,"Zoe\n' + b"312-555-0102,x\n" * 12_000
    with pytest.raises(Unreadable, match=r"Row 3 .* quotation mark"):
        rows(content)


@given(st.text(max_size=30))
def test_the_formula_guard_comes_off_again(cell):
    assert _unguarded(guarded(cell)) == cell
    assert not guarded(cell).startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠"))


@given(st.binary(max_size=400))
def test_no_file_whatever_breaks_the_reader(content):
    with suppress(Unreadable):
        numbers = [number for number, _ in open_sheet(content).rows]
        assert numbers == sorted(set(numbers))


def test_chaos_of_usual_characters_breaks_nothing():
    dice = random.Random(7)
    for _ in range(200):
        content = "".join(dice.choice('",;\t|\r\n\0ab1=\ufeff') for _ in range(200)).encode()
        with suppress(Unreadable):
            rows(content)


# --- headers ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Phone_Number", "Phone_Number"), ("phone number", "Phone_Number"), ("PHONE", "Phone_Number"),
        ("Cell Phone", "Phone_Number"), ("Mobile", "Phone_Number"), ("mobile_phone_#", "Phone_Number"),
        ("E-mail", "Email_Address"), ("e-Mail Address", "Email_Address"), ("Student Email", "Email_Address"),
        ("First name", "First_Name"), ("Preferred name", "First_Name"), ("Given Name", "First_Name"),
        ("Surname", "Last_Name"), ("LAST NAME", "Last_Name"), ("family-name", "Last_Name"),
        ("advisor name", "Advisor_Name"), ("Academic Advisor", "Advisor_Name"), ("Ｐｈｏｎｅ", "Phone_Number"),
        ("Major", ""), ("Home phone", ""), ("Student number", ""),
    ],
)  # fmt: skip
def test_usual_headers_find_their_field(header, field):
    mapping = map_columns([header, "Tel"], SCHEMA, {"Tel": ""} if field == "Phone_Number" else {})
    assert mapping[header] == field


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        (["Phone", "Cell", "Mobile phone"], "Mobile phone"),
        (["Phone", "Cell"], "Cell"),
        (["Mobile", "Phone_Number"], "Phone_Number"),
        (["Preferred name", "First name", "Phone"], "Phone"),
    ],
)
def test_texts_go_to_the_mobile_and_exact_names_win(columns, chosen):
    mapping = map_columns(columns, SCHEMA, {})
    assert [column for column, field in mapping.items() if field == "Phone_Number"] == [chosen]
    assert mapping.get("First name", "First_Name") == "First_Name"


def test_what_is_chosen_wins():
    mapping = map_columns(["Phone", "Parent phone"], SCHEMA, {"Parent phone": "Phone_Number"})
    assert mapping == {"Phone": "", "Parent phone": "Phone_Number"}


@pytest.mark.parametrize(
    ("columns", "chosen", "sentence"),
    [
        (["Name", "Major"], {}, "No column holds the phone number. The columns are: Name, Major"),
        (["Phone"], {"Phone": ""}, "No column holds the phone number"),
        (["Phone"], {"Cell": "Phone_Number"}, "no column “Cell”"),
        (["Phone"], {"Phone": "Telephone"}, "no field “Telephone”"),
        (["A", "B"], {"A": "Phone_Number", "B": "Phone_Number"}, "Two columns are chosen"),
        (["Phone", "Phone (2)"], {}, "Two columns are called “Phone”"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_with_names(columns, chosen, sentence):
    with pytest.raises(Unreadable, match=sentence.replace("(", r"\(")):
        map_columns(columns, SCHEMA, chosen)
