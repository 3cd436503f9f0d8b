"""What the page of an import says of rows and files it cannot take as they are, and what it offers to do."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from contacts import importing, keeping
from contacts.models import Contact, Import, ImportState, RowState
from messaging.tasks import drain_all
from smsportal.problems import Wrong
from smsportal.tests.world import make_list, make_user

pytestmark = pytest.mark.django_db


def url(page: str, *args) -> str:
    return reverse(f"admin:contacts_{page}", args=args)


@pytest.fixture
def client():
    signed_in = Client()
    signed_in.force_login(make_user("mia", groups=("List manager",)))
    return signed_in


@pytest.fixture
def check(client):
    """Uploads a file into a list and has it checked."""

    def uploaded(*lines: str) -> Import:
        file = SimpleUploadedFile("students.csv", "\n".join(lines).encode(), "text/csv")
        client.post(url("contactlist_upload", make_list().pk), {"file": file})
        drain_all()
        return Import.objects.latest("pk")

    return uploaded


@pytest.mark.parametrize("header", ["Who,Number", "Phone,Phone"])
def test_a_file_whose_columns_cannot_be_told_offers_them_to_choose_among(client, check, header):
    upload = check(header, "(312) 555-0101,(312) 555-0102")
    assert upload.state == ImportState.FAILED
    page = client.get(url("import_change", upload.pk)).text
    assert "choose" in upload.problem
    assert "Check again with these columns" in page
    client.post(url("import_mapping", upload.pk), {"column_0": "", "column_1": "Phone_Number"})
    drain_all()
    upload.refresh_from_db()
    assert (upload.state, upload.new) == (ImportState.CHECKED, 1)
    assert upload.checked_rows.get().e164 == "+13125550102"


def test_a_file_without_rows_offers_no_columns(client, check):
    upload = check("Phone Number,First Name")
    assert "Check again" not in client.get(url("import_change", upload.pk)).text


def test_a_row_of_shifted_cells_is_mended_in_the_file_only(client, check):
    """Another value in one field does not put the other cells under their columns."""
    upload = check("Phone Number,Room,First Name", "(312) 555-0101,1,Lee,Bo", "312-555-HELP,1,Lee,Bo")
    page = client.get(url("import_change", upload.pk)).text
    assert page.count("This can only be mended in the file.") == 2
    assert 'name="field_' not in page
    client.post(url("import_row", upload.pk, 3), {"field_Phone_Number": "(312) 555-0102"})
    client.post(url("import_row", upload.pk, 2), {})
    assert {row.state for row in upload.checked_rows.all()} == {RowState.REFUSED}
    with pytest.raises(Wrong, match="no field"):
        importing.change_row(upload, 2, {"": "Bo"})


def test_repeated_rows_are_shown_with_what_they_repeat(client, check):
    upload = check("Phone Number", "(312) 555-0101", "312 555 0101", "x")
    page = client.get(url("import_change", upload.pk)).text
    assert "1 repeated row, left out" in page
    assert "Row 2 has the same phone number" in page
    said = client.post(url("import_row", upload.pk, 4), {"field_Phone_Number": "312.555.0101"}, follow=True).text
    assert "Row 4 has no errors any more, but it repeats a row and is left out." in said
    assert "good now" not in said


def test_an_undo_does_not_claim_what_it_left_alone(client, check):
    upload = check("Phone Number,First Name", "(312) 555-0101,Bo", "(312) 555-0102,Al")
    importing.start_applying(upload, accept="good", actor=None)
    drain_all()
    keeping.change_contact(Contact.objects.get(first_name="Al"), {"First_Name": "Alan"})
    said = client.post(url("import_do", upload.pk, "undo"), follow=True).text
    assert "1 contact was changed after this import and stays as it is." in said
    assert "the list is as it was" not in said
    assert "What it added is gone" not in said
