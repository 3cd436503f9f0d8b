"""List → import → check → apply, list → plan → sync, contacts and opt-outs, as staff do them in the admin."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from contacts import sync
from contacts.models import Contact, ContactList, Import, PhoneNumber, SyncRun
from messaging.tasks import drain_all
from smsportal.tests.world import make_account, make_contact, make_list, make_number, make_user

pytestmark = pytest.mark.django_db

CSV = """\
Phone Number,First Name,Email Address
(312) 555-0101,Bo,bo@example.edu
312-555-HELP,Max,max@example.edu
(312) 555-0102,Ana,not-an-address
(312) 555-0101,Bo again,
"""


@pytest.fixture
def staff():
    return make_user("mia", groups=("List manager",))


@pytest.fixture
def client(staff):
    signed_in = Client()
    signed_in.force_login(staff)
    return signed_in


def url(page: str, *args) -> str:
    return reverse(f"admin:contacts_{page}", args=args)


def upload(client, contact_list, text=CSV, name="students.csv"):
    file = SimpleUploadedFile(name, text.encode(), "text/csv")
    return client.post(url("contactlist_upload", contact_list.pk), {"file": file}, follow=True)


@pytest.fixture
def checked(client):
    """An import of CSV that was checked."""
    upload(client, make_list())
    drain_all()
    return Import.objects.get()


# --- lists ----------------------------------------------------------------------------------------------------------
def list_form(**more):
    return {
        "name": "Fall freshmen", "unit": "", "account": "", "tag_words": "fall, new", "meta": "{}", "seen": "",
        "own_fields-TOTAL_FORMS": 1, "own_fields-INITIAL_FORMS": 0,
        "own_fields-0-display_name": "Home Town", "own_fields-0-name": "", "own_fields-0-type": "Text",
        "own_fields-0-position": "", **more,
    }  # fmt: skip


def test_a_list_is_made_with_tags_and_fields_named_after_their_columns(client, staff):
    account = make_account()
    client.post(url("contactlist_add"), list_form(unit=staff.home().pk, account=account.pk))
    made = ContactList.objects.get()
    assert [tag.name for tag in made.tags.all()] == ["fall", "new"]
    assert [(field.name, field.display_name) for field in made.own_fields.all()] == [("Home_Town", "Home Town")]


def test_two_people_who_change_a_list_do_not_overwrite_each_other(client, staff):
    contact_list = make_list()
    form = list_form(unit=staff.home().pk, account=contact_list.account.pk, seen=1)
    form["own_fields-TOTAL_FORMS"] = 0
    ContactList.objects.filter(pk=contact_list.pk).update(version=2)
    page = client.post(url("contactlist_change", contact_list.pk), {**form, "name": "Mine"}, follow=True)
    assert "Somebody changed this list meanwhile" in page.text
    contact_list.refresh_from_db()
    assert contact_list.name == "Fall freshmen"


def test_a_long_tag_is_refused_at_its_field(client, staff):
    form = list_form(unit=staff.home().pk, account=make_account().pk, tag_words="x" * 51)
    assert "A tag has at most 50 characters" in client.post(url("contactlist_add"), form).text


def test_removing_a_list_is_asked_first_and_then_done(client):
    contact_list = make_list()
    make_contact(contact_list)
    assert "its 1 contact are removed" in client.get(url("contactlist_do", contact_list.pk, "remove")).text
    assert ContactList.objects.exists()
    client.post(url("contactlist_do", contact_list.pk, "remove"))
    assert not ContactList.objects.exists()


# --- import ---------------------------------------------------------------------------------------------------------
def test_the_upload_page_shows_the_columns_and_an_example_to_download(client):
    contact_list = make_list()
    contact_list.own_fields.create(name="Advisor", display_name="Advisor")
    page = client.get(url("contactlist_upload", contact_list.pk)).text
    assert "(312) 555-0100" in page
    example = client.get(url("contactlist_example", contact_list.pk))
    assert example.text.splitlines()[0] == "\ufeffPhone Number,Email Address,First Name,Last Name,Advisor"
    upload(client, contact_list, example.text)
    drain_all()
    assert Import.objects.get().new == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "The file is empty"), ("   \n", "The file is empty"), ("PK\x03\x04\x14\x00rest of a workbook", "Excel")],
)
def test_a_file_that_cannot_be_taken_is_told_at_the_file(client, content, said):
    assert said in upload(client, make_list(), content).text
    assert not Import.objects.exists()


def test_the_check_page_shows_each_error_inside_its_cell_and_counts_that_sum(client, checked):
    page = client.get(url("import_change", checked.pk)).text
    assert 'name="field_Phone_Number" value="312-555-HELP"' in page
    assert 'name="field_Email_Address" value="not-an-address"' in page
    assert checked.rows == checked.new + checked.changed + checked.same + checked.refused + checked.duplicates == 4


def test_a_cell_is_mended_in_place(client, checked):
    said = client.post(url("import_row", checked.pk, 3), {"field_Phone_Number": "312 555 0103"}, follow=True).text
    assert "Row 3 is good now" in said
    said = client.post(url("import_row", checked.pk, 4), {"field_Email_Address": "still not"}, follow=True).text
    assert "Row 4 still has errors" in said
    checked.refresh_from_db()
    assert (checked.new, checked.refused) == (2, 1)


def test_the_refused_rows_come_as_a_file_with_the_reasons(client, checked):
    text = client.get(url("import_refused", checked.pk)).getvalue().decode()
    assert "312-555-HELP" in text
    assert "Errors" in text.splitlines()[0]


def test_another_mapping_is_checked_again(client, checked):
    client.post(url("import_mapping", checked.pk), {"column_0": "Phone_Number", "column_1": "First_Name"})
    drain_all()
    checked.refresh_from_db()
    assert checked.mapping.get("Email Address", "") == ""
    assert (checked.new, checked.refused) == (2, 1)


def test_the_good_rows_are_applied_and_undone(client, checked):
    question = client.get(url("import_do", checked.pk, "apply_good")).text
    assert "1 contact is added to Fall freshmen" in question
    assert not Contact.objects.exists()
    working = client.post(url("import_do", checked.pk, "apply_good"), follow=True).text
    assert '<meta http-equiv="refresh"' in working
    drain_all()
    page = client.get(url("import_change", checked.pk)).text
    assert "The import is applied" in page
    assert "refresh" not in page
    assert Contact.objects.count() == 1
    client.post(url("import_do", checked.pk, "undo"))
    assert not Contact.objects.exists()
    assert "The import was undone" in client.get(url("import_change", checked.pk)).text


def test_changed_contacts_are_shown_old_and_new(client):
    contact_list = make_list()
    make_contact(contact_list, "+13125550101", first="Robert")
    upload(client, contact_list)
    drain_all()
    page = client.get(url("import_change", Import.objects.get().pk)).text
    assert "<del>Robert</del> → <ins>Bo</ins>" in page


def test_who_may_only_look_gets_no_inputs_and_no_buttons(checked):
    viewer = Client()
    viewer.force_login(make_user("vic", groups=("Viewer",)))
    page = viewer.get(url("import_change", checked.pk)).text
    assert "field_Phone_Number" not in page
    assert "Apply the good rows" not in page
    for name, args in (("import_row", (3,)), ("import_mapping", ()), ("import_do", ("apply_good",))):
        assert viewer.post(url(name, checked.pk, *args)).status_code == 403
    assert viewer.get(url("contactlist_upload", checked.contact_list_id)).status_code == 403


# --- sync -----------------------------------------------------------------------------------------------------------
def test_a_list_is_planned_confirmed_and_in_step(client, twin):
    contact_list = make_list()
    make_contact(contact_list)
    make_contact(contact_list, "+13125550159", first="Refused")
    page = client.post(url("contactlist_do", contact_list.pk, "plan_sync"), follow=True).text
    assert "it is made there first" in page
    run = SyncRun.objects.get()
    client.post(url("syncrun_confirm", run.pk), {"plan_hash": run.plan_hash})
    drain_all()
    page = client.get(url("syncrun_change", run.pk)).text
    assert "the provider refused some contacts" in page
    assert "is not valid" in page
    assert [len(each.contacts) for each in twin.ocelot.lists.values()] == [1]


def test_a_plan_that_empties_the_list_there_needs_a_typed_word(client, twin):
    contact_list = make_list()
    contact = make_contact(contact_list)
    run = sync.confirm(made := sync.plan(contact_list), plan_hash=made.plan_hash)
    drain_all()
    client.post(url("contact_change", contact.pk), {"Phone_Number": "+13125550100", "First_Name": "Eve"})
    page = client.post(url("contactlist_do", contact_list.pk, "plan_sync"), follow=True).text
    assert "This plan empties the list" in page
    run = SyncRun.objects.first()
    said = client.post(url("syncrun_confirm", run.pk), {"plan_hash": run.plan_hash, "typed": "yes"}, follow=True).text
    assert "Nothing was done: type the word" in said
    client.post(url("syncrun_confirm", run.pk), {"plan_hash": run.plan_hash, "typed": "replace"})
    drain_all()
    run.refresh_from_db()
    assert run.state == "finished"
    page = client.get(url("syncrun_change", run.pk)).text
    assert "Put into the emptied list" in page
    assert "The same on both sides" not in page.split("What it did")[1]


def test_another_plan_than_the_one_shown_is_refused(client, twin):
    run = sync.plan(make_list())
    said = client.post(url("syncrun_confirm", run.pk), {"plan_hash": "0" * 64}, follow=True).text
    assert "This is not the plan you looked at" in said


# --- contacts and numbers -------------------------------------------------------------------------------------------
def test_a_contact_is_added_and_its_errors_stand_at_their_fields(client):
    contact_list = make_list()
    page = client.post(url("contactlist_add_contact", contact_list.pk), {"Phone_Number": "12"})
    assert page.status_code == 200
    assert "has-errors" in page.text
    client.post(url("contactlist_add_contact", contact_list.pk), {"Phone_Number": "312 555 0101", "First_Name": "Bo"})
    assert Contact.objects.get().number.e164 == "+13125550101"


@pytest.mark.parametrize("term", ["(312) 555-0101", "5550101", "bo", "Lee", "bo@example", "Bo Lee"])
def test_people_are_found_however_staff_type(client, term):
    contact_list = make_list()
    make_contact(contact_list, "+13125550101", first="Bo", last="Lee", email="bo@example.edu")
    make_contact(contact_list, "+13125550199", first="Ana", last="Ruiz")
    page = client.get(url("contact_changelist"), {"q": term}).text
    assert "(312) 555-0101" in page
    assert "(312) 555-0199" not in page


def test_an_opt_out_is_recorded_and_lifted_with_a_reason(client):
    page = client.post(url("phonenumber_opt_out"), {"phone_number": "(312) 555-0107", "reason": "asked"}, follow=True)
    number = PhoneNumber.objects.get()
    assert number.opted_out
    assert "No: opted out" in page.text
    assert "asked" in page.text
    assert "This field is required" in client.post(url("phonenumber_do", number.pk, "lift"), {"reason": ""}).text
    client.post(url("phonenumber_do", number.pk, "lift"), {"reason": "asked again"})
    number.refresh_from_db()
    assert not number.opted_out
    page = client.get(url("phonenumber_do", number.pk, "lift")).text
    assert "It was done already" in page
    assert 'name="reason"' not in page


def test_a_number_that_is_none_is_refused_at_its_field(client):
    assert "has-errors" in client.post(url("phonenumber_opt_out"), {"phone_number": "12", "reason": "x"}).text


def test_consent_is_only_read(client):
    from contacts import consent

    event = consent.opt_out(make_number(), source="staff", reason="asked")
    page = client.get(url("consentevent_change", event.pk)).text
    assert "_save" not in page
    assert client.get(url("consentevent_add")).status_code == 403
    assert client.post(url("consentevent_delete", event.pk), {"post": "yes"}).status_code == 403
