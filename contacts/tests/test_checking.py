"""The checks of single cells: what passes, what does not, and that every complaint says what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts.checking import check_fields
from contacts.models import DEFAULT_FIELDS
from smsportal.providers.base import RemoteField

SCHEMA = [
    *DEFAULT_FIELDS,
    RemoteField("Text", "Student_ID", "Student ID", required=True, unique=True),
    RemoteField("Text", "Advisor", "Advisor"),
]
GOOD = {"Phone_Number": "(312) 555-0100", "Email_Address": "ada@example.edu", "Student_ID": "S1"}


def codes(**changes: str) -> list[tuple[str, str]]:
    return [(error.field, error.code) for error in check_fields(SCHEMA, {**GOOD, **changes}).errors]


def test_a_good_contact_comes_back_cleaned():
    checked = check_fields(SCHEMA, {**GOOD, "First_Name": "  Zoe\u0308 ", "Advisor": ""})
    assert checked.errors == []
    assert checked.e164 == "+13125550100"
    assert checked.fields == {
        "Phone_Number": "+13125550100", "Email_Address": "ada@example.edu", "Student_ID": "S1", "First_Name": "Zoë",
        "Advisor": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("Phone_Number", "", "blank"),
        ("Phone_Number", "555-0100", "invalid"),
        ("Phone_Number", "900-555-0100", "premium"),
        ("Student_ID", "  ", "missing"),
        ("Email_Address", "ada(at)example.edu", "email"),
        ("Email_Address", "ada@example", "email"),
        ("Email_Address", "ada..park@example.edu", "email"),
        ("Email_Address", "ada@example.edu, zoe@example.edu", "email"),
        ("Email_Address", "a" * 250 + "@example.edu", "too_long"),
        ("First_Name", "x" * 151, "too_long"),
        ("Advisor", "x" * 1001, "too_long"),
        ("Advisor", "Dr.\0 Kim", "unreadable"),
        ("Advisor", "Dr. Kim\ufffd", "unreadable"),
        ("Advisor", "Dr.\x1b Kim", "unreadable"),
    ],
)
def test_a_bad_cell_is_named(field, value, code):
    assert codes(**{field: value}) == [(field, code)]


@pytest.mark.parametrize(
    "value", ["ada+sms@example.edu", "a.b-c_d@mail.example.ac.uk", "o'hara@example.edu", "ADA@EXAMPLE.EDU"]
)
def test_usual_addresses_pass(value):
    assert codes(Email_Address=value) == []


def test_every_fault_of_a_row_is_told_at_once():
    assert codes(Phone_Number="x", Email_Address="y", Student_ID="") == [
        ("Phone_Number", "not_a_number"), ("Email_Address", "email"), ("Student_ID", "missing"),
    ]  # fmt: skip


def test_an_unknown_field_is_an_error_that_names_the_known_ones():
    [error] = check_fields(SCHEMA, {**GOOD, "Nickname": "Ady"}).errors
    assert (error.field, error.code, error.value) == ("Nickname", "unknown_field", "Ady")
    assert "Student_ID" in error.message


def test_a_long_bad_value_is_cut_in_what_is_stored():
    [error] = check_fields(SCHEMA, {**GOOD, "Advisor": "x" * 5000}).errors
    assert len(error.as_row()["value"]) == 100


@given(st.dictionaries(st.sampled_from([field.name for field in SCHEMA] + ["Other"]), st.text(max_size=60)))
def test_whatever_is_given_each_field_is_stored_clean_or_complained_of(given_fields):
    checked = check_fields(SCHEMA, given_fields)
    wrong = {error.field for error in checked.errors}
    for error in checked.errors:
        assert error.message.endswith(".")
    for name, value in checked.fields.items():
        if name not in wrong:
            assert "\0" not in value
            assert value == value.strip()
            value.encode("utf-8")
    assert (checked.e164 == "") == ("Phone_Number" in wrong)
