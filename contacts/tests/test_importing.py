"""Importing a file: staged and judged row by row, mended, applied whole or not at all, undone."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest

from contacts import importing, keeping
from contacts.keeping import merging
from contacts.models import Contact, Import, ImportRow
from contacts.tasks import work_imports
from smsportal import clock
from smsportal.problems import Conflict, Wrong
from smsportal.tests.world import make_contact, make_list, make_user

pytestmark = pytest.mark.django_db
HEADER = "Cell Phone,E-mail,First name,Surname,Advisor"


def checked(contact_list, *lines: str, header: str = HEADER, mapping=None) -> Import:
    content = "\n".join([header, *lines]).encode()
    upload = importing.receive(contact_list, file_name="a.csv", content=content, mapping=mapping)
    assert upload.state == "checking"
    return work(upload)


def work(upload: Import) -> Import:
    assert work_imports()
    return Import.objects.get(pk=upload.pk)


def applied(upload: Import, accept: str = "good") -> Import:
    importing.start_applying(upload, accept=accept, actor=None)
    return work(upload)


def states(upload: Import) -> dict[int, str]:
    return dict(upload.checked_rows.values_list("number", "state"))


def errors(upload: Import, number: int) -> list[tuple[str, str]]:
    return [(e["field"], e["code"]) for e in upload.checked_rows.get(number=number).errors]


def people(contact_list) -> dict[str, dict[str, str]]:
    return {c.number.e164[-4:]: c.fields() for c in contact_list.contacts.present().select_related("number")}


def freshmen(**more):
    contact_list = make_list(**more)
    contact_list.own_fields.create(name="Advisor", display_name="Advisor")
    return contact_list


# --- checking --------------------------------------------------------------------------------------------------------
def test_nothing_reaches_the_list_before_it_is_applied():
    contact_list = freshmen()
    upload = checked(contact_list, "312-555-0100,ada@example.edu,Ada,Park,Kim", "555,x,,,")
    assert (upload.state, upload.rows, upload.new, upload.refused) == ("checked", 2, 1, 1)
    assert upload.columns == HEADER.split(",")
    assert [upload.mapping[column] for column in upload.columns] == [
        "Phone_Number",
        "Email_Address",
        "First_Name",
        "Last_Name",
        "Advisor",
    ]
    assert upload.errors_by_code == {"invalid": 1, "email": 1}
    assert not Contact.objects.exists()
    upload = applied(upload)
    assert (upload.state, upload.applied_at is not None) == ("applied", True)
    assert people(contact_list) == {
        "0100": {
            "Phone_Number": "+13125550100", "Email_Address": "ada@example.edu", "First_Name": "Ada",
            "Last_Name": "Park", "Advisor": "Kim",
        }
    }  # fmt: skip


def test_each_row_says_what_applying_it_would_do():
    contact_list = freshmen()
    make_contact(contact_list, "+13125550100", email="ada@example.edu")
    make_contact(contact_list, "+13125550101", "Zoe", email="zoe@example.edu")
    upload = checked(
        contact_list,
        "312-555-0100,,Ada,Park,",  # 2 the same: a blank cell leaves what is there
        "312-555-0101,,Zoë,,",  # 3 changed
        "312-555-0102,,Max,,",  # 4 new
        "",
        "312-555-0102,,Max,,",  # 6 again
        "312-555-0102,,Moritz,,",  # 7 again, differing
        "312-555-0103,ADA@example.edu,,,",  # 8 an address of the list
        "312-555-0104,new@example.edu,,,",  # 9
        "312-555-0105,New@example.edu,,,",  # 10 an address of row 9
        "312-555-0106,,a,b,c,d",  # 11 a cell too many
        "312-555-0107",  # 12 short: the rest is blank
        '312-555-0108,"never closed',
        "312-555-0109",
    )
    assert states(upload) == {
        2: "same", 3: "changed", 4: "new", 6: "duplicate", 7: "duplicate", 8: "refused", 9: "new", 10: "refused",
        11: "refused", 12: "new", 13: "refused",
    }  # fmt: skip
    assert (upload.new, upload.changed, upload.same, upload.refused, upload.duplicates) == (3, 1, 1, 4, 2)
    assert upload.rows == 11
    row = upload.checked_rows.get(number=3)
    assert (row.before["First_Name"], row.fields["First_Name"]) == ("Zoe", "Zoë")
    assert upload.checked_rows.get(number=4).before is None
    messages = {row.number: row.errors[0]["message"] for row in upload.checked_rows.all() if row.errors}
    assert messages[6] == "Row 4 has the same phone number and is the one used."
    assert "The two differ" in messages[7]
    assert "(312) 555-0100 of this list" in messages[8]
    assert messages[10].startswith("Row 9 has the same Email Address")
    assert errors(upload, 11) == [("", "too_many_cells")]
    assert ("", "open_quote") in errors(upload, 13)
    assert upload.errors_by_code == {"not_unique": 2, "too_many_cells": 1, "open_quote": 1, "email": 1}


def test_a_refused_row_does_not_hold_its_number():
    upload = checked(freshmen(), "312-555-0100,bad,Ada,,", "312-555-0100,ada@example.edu,Ada,,")
    assert states(upload) == {2: "refused", 3: "new"}


def test_columns_nobody_maps_are_kept_but_ignored():
    upload = checked(freshmen(), "3125550100,Biology", header="Phone,Major")
    row = upload.checked_rows.get()
    assert upload.mapping == {"Phone": "Phone_Number", "Major": ""}
    assert (row.fields, row.cells) == ({"Phone_Number": "+13125550100"}, ["3125550100", "Biology"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"Phone,Name\n", "header but no rows"),
        (b"Name,Major\nAda,Biology\n", "No column holds the phone number"),
        (b'Phone\n"312' + b"\n312-555-0100" * 12_000, "Row 2 "),
    ],
)
def test_a_file_that_cannot_be_used_fails_with_a_remedy(content, sentence):
    upload = work(importing.receive(freshmen(), file_name="a.csv", content=content))
    assert upload.state == "failed"
    assert sentence in upload.problem
    assert not ImportRow.objects.exists()


def test_too_many_rows_fail(settings):
    settings.IMPORT_MAX_ROWS = 3
    upload = checked(freshmen(), *[f"312-555-{n:04d}" for n in range(100, 104)])
    assert (upload.state, upload.rows) == ("failed", 0)


@pytest.mark.parametrize(
    ("content", "mapping"),
    [(b"", None), (b" \n", None), (b"PK\x03\x04", None), (b"x" * 2000, None), (b"Phone\n1", {"Phone": "Nope"})],
)
def test_what_is_no_file_of_contacts_is_refused_at_once(settings, content, mapping):
    settings.IMPORT_MAX_BYTES = 1000
    with pytest.raises(Wrong):
        importing.receive(freshmen(), file_name="a.csv", content=content, mapping=mapping)
    assert not Import.objects.exists()


def test_the_name_of_a_file_is_only_a_name():
    upload = importing.receive(freshmen(), file_name="C:\\fakepath\\..\\Fall\0.csv", content=b"Phone\n1")
    assert upload.file_name == "Fall.csv"


def test_a_page_of_rows_takes_few_queries(django_assert_max_num_queries):
    upload = importing.receive(
        freshmen(), file_name="a.csv", content=("Phone,Email\n" + "".join(f"312-555-{n:04d},a{n}@example.edu\n" for n in range(1000))).encode()
    )  # fmt: skip
    with django_assert_max_num_queries(25):
        upload = work(upload)
    assert upload.new == 1000
    importing.start_applying(upload, accept="good", actor=None)
    with django_assert_max_num_queries(40):  # SQLite takes 999 values a statement where Django writes it
        upload = work(upload)
    assert upload.state == "applied"


# --- mending ---------------------------------------------------------------------------------------------------------
def test_other_columns_can_be_chosen():
    contact_list = freshmen()
    upload = checked(contact_list, "312-555-0100,312-555-0177", header="Phone,Parent")
    with pytest.raises(Wrong):
        importing.remap(upload, {"Mother": "Phone_Number"})
    importing.remap(upload, {"Parent": "Phone_Number"})
    upload = work(upload)
    assert upload.checked_rows.get().e164 == "+13125550177"
    failed = checked(contact_list, "312-555-0100", header="Dorm")
    assert failed.state == "failed"
    importing.remap(failed, {"Dorm": "Phone_Number"})
    assert work(failed).new == 1


def test_a_mended_cell_is_judged_anew():
    upload = checked(freshmen(), "555,bad,Ada,,", "312-555-0101,,Zoe,,")
    row = importing.change_row(upload, 2, {"Phone_Number": "312-555-0100"})
    assert (row.state, row.e164, [e["code"] for e in row.errors]) == ("refused", "+13125550100", ["email"])
    row = importing.change_row(upload, 2, {"Email_Address": ""})
    assert (row.state, row.errors) == ("new", [])
    upload = Import.objects.get(pk=upload.pk)
    assert (upload.new, upload.refused, upload.errors_by_code) == (2, 0, {})
    row = importing.change_row(upload, 3, {"Phone_Number": "3125550100"})
    assert (row.state, row.errors[0]["code"]) == ("duplicate", "duplicate")
    for number, fields in ((9, {"First_Name": "x"}), (2, {"Nope": "x"})):
        with pytest.raises(Wrong):
            importing.change_row(upload, number, fields)


def test_rows_that_leaned_on_a_mended_one_are_judged_again():
    upload = checked(
        freshmen(), "312-555-0100,ada@example.edu,,,", "312-555-0100,,Max,,", "312-555-0102,ada@example.edu,,,"
    )
    assert states(upload) == {2: "new", 3: "duplicate", 4: "refused"}
    importing.change_row(upload, 2, {"Phone_Number": "312-555-0109", "Email_Address": "max@example.edu"})
    assert states(upload) == {2: "new", 3: "new", 4: "new"}
    upload.refresh_from_db()
    assert (upload.new, upload.duplicates, upload.refused, upload.errors_by_code) == (3, 0, 0, {})


# --- applying --------------------------------------------------------------------------------------------------------
def test_all_or_nothing_takes_no_file_with_a_bad_row():
    contact_list = freshmen()
    upload = checked(contact_list, "312-555-0100,,,,", "555,,,,")
    with pytest.raises(Conflict, match="1 rows have errors"):
        importing.start_applying(upload, accept="all_or_nothing", actor=None)
    importing.change_row(upload, 3, {"Phone_Number": "312-555-0101"})
    assert applied(upload, "all_or_nothing").state == "applied"
    assert contact_list.contacts.count() == 2
    with pytest.raises(Wrong):
        importing.start_applying(upload, accept="some", actor=None)


@pytest.mark.parametrize(("accept", "state", "count"), [("good", "applied", 2), ("all_or_nothing", "checked", 1)])
def test_the_list_as_it_is_now_decides(accept, state, count):
    contact_list = freshmen()
    upload = checked(contact_list, "312-555-0100,ada@example.edu,Ada,,", "312-555-0101,,Zoe,,")
    make_contact(contact_list, "+13125550150", email="ada@example.edu")
    upload = applied(upload, accept)
    assert (upload.state, contact_list.contacts.count()) == (state, count)
    if state == "applied":
        assert (upload.new, upload.refused, upload.errors_by_code) == (1, 1, {"not_unique": 1})
        assert errors(upload, 2) == [("Email_Address", "not_unique")]
    else:
        assert "row 2" in upload.problem
        assert (upload.new, upload.refused) == (2, 0)


def test_a_required_field_may_come_from_the_contact_while_that_is_there():
    contact_list = make_list()
    contact_list.own_fields.create(name="Student_ID", display_name="Student ID", required=True)
    contact = make_contact(contact_list, extra={"Student_ID": "S1"})
    upload = checked(contact_list, "312-555-0100,Ada M.", "312-555-0101,Zoe", header="Phone,First name")
    assert states(upload) == {2: "changed", 3: "refused"}
    keeping.remove_contacts([contact])
    upload = applied(upload)
    assert states(upload) == {2: "refused", 3: "refused"}
    assert (upload.refused, upload.errors_by_code) == (2, {"missing": 2})


def test_two_clicks_are_one_move():
    upload = checked(freshmen(), "312-555-0100,,,,")
    same = Import.objects.get(pk=upload.pk)
    importing.start_applying(upload, accept="good", actor=make_user())
    with pytest.raises(Conflict):
        importing.start_applying(same, accept="good", actor=None)
    for verb in (
        lambda: importing.remap(same, {}),
        lambda: importing.change_row(same, 2, {}),
        lambda: importing.undo(same, actor=None),
    ):
        with pytest.raises(Conflict) as refused:
            verb()
        assert refused.value.allowed == []


@pytest.mark.parametrize("victim", ["judge", "write"])
def test_a_kill_at_any_moment_leaves_nothing_or_all(monkeypatch, victim):
    monkeypatch.setattr(merging, "PAGE", 2)
    contact_list = freshmen()
    lines = [f"312-555-{n:04d},,A{n},," for n in range(100, 107)]
    upload = checked(contact_list, *lines)
    importing.start_applying(upload, accept="good", actor=None)
    for calls in range(4):
        with monkeypatch.context() as patch:
            patch.setattr(merging, victim, _dies_after(getattr(merging, victim), calls))
            with pytest.raises(KeyboardInterrupt):
                work_imports()
        assert not contact_list.contacts.exists()
        assert not work_imports(), "the dead worker's lease must run out first"
        Import.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    assert work(upload).state == "applied"
    assert contact_list.contacts.count() == 7
    assert not work_imports()


def test_a_kill_while_checking_begins_again(monkeypatch):
    monkeypatch.setattr(merging, "PAGE", 2)
    contact_list = freshmen()
    upload = importing.receive(
        contact_list, file_name="a.csv", content=b"Phone\n" + b"".join(b"312-555-%04d\n" % n for n in range(100, 107))
    )
    with monkeypatch.context() as patch:
        patch.setattr(merging, "judge", _dies_after(merging.judge, 2))
        with pytest.raises(KeyboardInterrupt):
            work_imports()
    assert upload.checked_rows.count() == 4
    Import.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    assert work(upload).new == 7
    assert upload.checked_rows.count() == 7


def _dies_after(real, calls):
    left = [calls]

    def call(*args, **more):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(*args, **more)

    return call


def test_a_worker_that_was_too_slow_writes_nothing():
    contact_list = freshmen()
    upload = checked(contact_list, "312-555-0100,,,,")
    importing.start_applying(upload, accept="good", actor=None)
    importing.next_import()
    slow = Import.objects.get(pk=upload.pk)
    Import.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    importing.next_import()
    with pytest.raises(importing.Lost):
        importing.apply(slow)
    assert not contact_list.contacts.exists()


# --- undoing ---------------------------------------------------------------------------------------------------------
def test_undo_takes_back_what_nobody_changed_since():
    contact_list = freshmen()
    rows = [{"Phone_Number": f"312-555-010{n}", "First_Name": f"A{n}", "Advisor": "Kim"} for n in range(4)]
    keeping.save_contacts(contact_list, rows)
    before = people(contact_list)
    upload = checked(
        contact_list, "312-555-0100,,B0,,Lee", "312-555-0101,,B1,,", "312-555-0102,,A2,,", "312-555-0150,,New,,",
        "312-555-0151,,New,,",
    )  # fmt: skip
    upload = applied(upload)
    assert len(people(contact_list)) == 6
    keeping.change_contact(contact_list.contacts.get(number__e164="+13125550101"), {"Last_Name": "Changed"})
    keeping.change_contact(contact_list.contacts.get(number__e164="+13125550151"), {"Last_Name": "Changed"})
    upload = importing.undo(upload, actor=make_user())
    assert upload.state == "undone"
    assert upload.problem == "2 contacts were changed after this import and stay as they are."
    after = people(contact_list)
    assert after.pop("0101")["Last_Name"] == after.pop("0151")["Last_Name"] == "Changed"
    del before["0101"]
    assert after == before
    assert errors(upload, 3) == [("", "changed_since")]
    with pytest.raises(Conflict):
        importing.undo(upload, actor=None)


def test_undo_marks_what_the_provider_has_meanwhile():
    contact_list = freshmen()
    upload = applied(checked(contact_list, "312-555-0100,,,,"))
    Contact.objects.update(pushed="known there")
    importing.undo(upload, actor=None)
    assert contact_list.contacts.get().removed_at is not None


# --- the refused rows as a file --------------------------------------------------------------------------------------
def test_the_refused_rows_come_back_as_a_guarded_file_that_can_be_mended_and_uploaded():
    contact_list = freshmen()
    upload = checked(contact_list, "555,,=1+1,@x,-5", "312-555-0100,,Ada,,", '312-555-0100,,"A ""B""",,')
    text = "".join(importing.refused_csv(upload))
    table = list(csv.reader(io.StringIO(text)))
    assert table[0] == [*HEADER.split(","), "Errors"]
    assert table[1][:5] == ["555", "", "'=1+1", "'@x", "'-5"]
    assert table[1][5].startswith("No such phone number exists")
    assert table[2][2] == 'A "B"'
    mended = text.replace('"555"', '"312-555-0155"', 1).encode()
    again = work(importing.receive(contact_list, file_name="again.csv", content=mended))
    assert again.checked_rows.get(number=2).fields["First_Name"] == "=1+1"
    assert again.mapping["Errors"] == ""
