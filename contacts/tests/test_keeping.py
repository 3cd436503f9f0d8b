"""Making, changing and removing lists and contacts."""

from __future__ import annotations

import pytest

from contacts import busy, keeping
from contacts.models import Contact, ContactList
from smsportal.problems import Changed, Conflict, Wrong
from smsportal.providers.base import RemoteField
from smsportal.tests.world import make_account, make_contact, make_list, make_unit

pytestmark = pytest.mark.django_db

ADVISOR = RemoteField("Text", "Advisor", "Advisor")
STUDENT = RemoteField("Text", "Student_ID", "Student ID", required=True, unique=True)


def create(**more) -> ContactList:
    return keeping.create_list(**{"unit": make_unit(), "account": make_account(), "name": "Fall", **more})


def row(n: int = 0, **more: str) -> dict[str, str]:
    return {"Phone_Number": f"312-555-{n + 100:04d}", **more}


# --- lists -----------------------------------------------------------------------------------------------------------
def test_a_list_is_made_whole():
    made = create(name=" Fall   freshmen ", tags=["Fall", "Fall", "2024"], meta={"source": "SIS"}, fields=[ADVISOR])
    made.refresh_from_db()
    assert (made.name, made.meta, made.version) == ("Fall freshmen", {"source": "SIS"}, 1)
    assert sorted(tag.name for tag in made.tags.all()) == ["2024", "Fall"]
    assert made.schema()[-1] == ADVISOR


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "Taken"}, "name"),
        ({"tags": ["x" * 51]}, "tags"),
        ({"meta": ["no object"]}, "meta"),
        ({"meta": {"long": "x" * 10_001}}, "meta"),
        ({"fields": [{"name": "First_Name"}]}, "fields"),
        ({"fields": [{"name": "phone_number"}]}, "fields"),
        ({"fields": [{"name": "Advisor"}, {"name": "advisor"}]}, "fields"),
        ({"fields": [{"name": "1st"}]}, "fields"),
        ({"fields": [{"name": "With space"}]}, "fields"),
        ({"fields": [{"name": "Born", "type": "Date"}]}, "fields"),
        ({"fields": [{"name": f"F{n}"} for n in range(51)]}, "fields"),
    ],
)
def test_a_bad_list_is_refused_with_the_field_named(given, field):
    make_list("Taken")
    with pytest.raises(Wrong) as wrong:
        create(**given)
    assert list(wrong.value.errors) == [field]


def test_all_faults_of_a_list_are_told_at_once():
    with pytest.raises(Wrong) as wrong:
        create(name="", tags=["x" * 51], fields=[{"name": "!"}])
    assert set(wrong.value.errors) == {"name", "tags", "fields"}


def test_a_tag_of_fifty_characters_passes():
    assert create(tags=["x" * 50]).tags.count() == 1


def test_a_change_raises_the_version_and_makes_the_list_drift():
    made = create(fields=[ADVISOR])
    ContactList.objects.filter(pk=made.pk).update(sync_state="in_step")
    changed = keeping.change_list(made, version=1, name="Spring", tags=["New"], fields=[STUDENT, ADVISOR])
    assert (changed.name, changed.version, changed.sync_state) == ("Spring", 2, "drifted")
    assert [field.name for field in changed.schema()[4:]] == ["Student_ID", "Advisor"]
    assert keeping.change_list(changed, name="Spring").name == "Spring"


def test_the_second_of_two_editors_is_told():
    made = create()
    keeping.change_list(made, version=1, name="Spring")
    with pytest.raises(Changed):
        keeping.change_list(made, version=1, name="Summer")
    with pytest.raises(Changed):
        keeping.remove_list(made, version=1)
    assert ContactList.objects.get(pk=made.pk).name == "Spring"


def test_a_field_that_is_filled_in_does_not_go():
    made = create(fields=[ADVISOR])
    keeping.save_contacts(made, [row(Advisor="Dr. Kim")])
    with pytest.raises(Conflict):
        keeping.change_list(made, fields=[])
    made.refresh_from_db()
    assert made.version == 1
    keeping.change_contact(made.contacts.get(), {"Advisor": ""})
    keeping.change_list(made, fields=[])
    assert len(made.schema()) == 4


def test_a_list_in_use_is_not_removed(monkeypatch):
    made = create()
    monkeypatch.setattr(busy, "BUSY", [lambda used: f"“{used}” is being sent to."])
    with pytest.raises(Conflict, match="being sent to"):
        keeping.remove_list(made)
    monkeypatch.setattr(busy, "BUSY", [lambda used: ""])
    keeping.remove_list(made)
    assert not ContactList.objects.exists()


def test_a_list_at_the_provider_is_removed_there_first(twin):
    made = create()
    theirs = made.account.at_provider().create_list(_remote(made))
    ContactList.objects.filter(pk=made.pk).update(remote_id=theirs.remote_id)
    made.refresh_from_db()
    twin.faults.add("400", times=1)
    with pytest.raises(Conflict, match="kept here"):
        keeping.remove_list(made)
    assert len(twin.ocelot.lists) == ContactList.objects.count() == 1
    keeping.remove_list(made)
    assert len(twin.ocelot.lists) == ContactList.objects.count() == 0


def _remote(made):
    from contacts.sync.comparing import remote_list

    return remote_list(made)


# --- contacts --------------------------------------------------------------------------------------------------------
def test_the_number_decides_what_is_new():
    made = create(fields=[ADVISOR])
    first = keeping.save_contacts(made, [row(0, First_Name="Ada", Advisor="Kim"), row(1)])
    assert (first.created, first.updated, first.unchanged, first.rejected) == (2, 0, 0, [])
    again = [row(0, Last_Name="Park"), {"Phone_Number": "+1 (312) 555-0101"}, row(2)]
    second = keeping.save_contacts(made, again)
    assert (second.created, second.updated, second.unchanged, second.rejected) == (1, 1, 1, [])
    ada = made.contacts.get(number__e164="+13125550100")
    assert ada.fields() == {
        "Phone_Number": "+13125550100", "First_Name": "Ada", "Last_Name": "Park", "Advisor": "Kim"
    }  # fmt: skip
    assert ada.sync_state == "pending"


def test_a_blank_clears_and_what_is_not_given_stays():
    made = create()
    keeping.save_contacts(made, [row(First_Name="Ada", Last_Name="Park")])
    keeping.save_contacts(made, [row(First_Name="")])
    assert made.contacts.get().fields() == {"Phone_Number": "+13125550100", "Last_Name": "Park"}


def test_bad_rows_are_rejected_by_themselves():
    made = create(fields=[STUDENT])
    keeping.save_contacts(made, [row(9, Student_ID="S9", Email_Address="zoe@example.edu")])
    saved = keeping.save_contacts(
        made,
        [
            row(0, Student_ID="S0"),
            {"Student_ID": "S1"},
            row(2),
            row(3, Student_ID="S9"),
            row(4, Student_ID="S4", Email_Address="ZOE@example.edu"),
            row(0, Student_ID="S5"),
            row(6, Student_ID="S0"),
            row(7, Student_ID="S7", Nickname="Zo"),
            row(9, First_Name="Zoe"),
        ],
    )
    assert (saved.created, saved.updated) == (1, 1)
    assert {each.index: list(each.errors) for each in saved.rejected} == {
        1: ["Phone_Number"], 2: ["Student_ID"], 3: ["Student_ID"], 4: ["Email_Address"], 5: ["Phone_Number"],
        6: ["Student_ID"], 7: ["Nickname"],
    }  # fmt: skip
    assert "Item 0" in saved.rejected[4].errors["Phone_Number"][0]


def test_a_thousand_contacts_take_few_queries(django_assert_max_num_queries):
    made = create()
    rows = [row(n, Email_Address=f"a{n}@example.edu") for n in range(900)]
    with django_assert_max_num_queries(35):  # two of five hundred numbers make nine INSERTs each on SQLite
        assert keeping.save_contacts(made, rows).created == 900
    with django_assert_max_num_queries(12):
        assert keeping.save_contacts(made, [{**each, "First_Name": "Ada"} for each in rows]).updated == 900


def test_a_change_makes_an_in_step_list_drift():
    made = create()
    ContactList.objects.filter(pk=made.pk).update(sync_state="in_step")
    keeping.save_contacts(made, [row()])
    made.refresh_from_db()
    assert made.sync_state == "drifted"


def test_one_contact_changes():
    made = create()
    contact = make_contact(made, email="ada@example.edu")
    make_contact(made, "+13125550101", "Zoe", email="zoe@example.edu")
    changed = keeping.change_contact(contact, {"Email_Address": "", "First_Name": "Ada M."})
    assert (changed.email, changed.first_name, changed.last_name) == ("", "Ada M.", "Park")
    for wrong, field in (
        ({"Email_Address": "Zoe@example.edu"}, "Email_Address"),
        ({"Phone_Number": "312-555-0101"}, "Phone_Number"),
        ({"Phone_Number": "555"}, "Phone_Number"),
        ({"Nope": "x"}, "Nope"),
    ):
        with pytest.raises(Wrong) as refused:
            keeping.change_contact(contact, wrong)
        assert list(refused.value.errors) == [field]


@pytest.mark.parametrize("pushed", ["", "known there"])
def test_a_new_number_leaves_the_old_one_to_be_removed_there(pushed):
    made = create()
    contact = make_contact(made, pushed=pushed)
    keeping.change_contact(contact, {"Phone_Number": "312-555-0177"})
    contact.refresh_from_db()
    assert (contact.number.e164, contact.pushed) == ("+13125550177", "")
    old = Contact.objects.filter(number__e164="+13125550100")
    assert [(each.removed_at is not None, each.pushed) for each in old] == ([(True, pushed)] if pushed else [])


def test_removing_marks_those_the_provider_has():
    made = create()
    contacts = [
        make_contact(made, "+13125550100"),
        make_contact(made, "+13125550101", pushed="known there"),
        make_contact(made, "+13125550102", sync_state="running"),
        make_contact(made, "+13125550103"),
    ]
    assert keeping.remove_contacts(contacts[:3]) == 3
    assert keeping.remove_contacts(contacts[:3]) == 0
    left = {each.number.e164: each.removed_at is not None for each in made.contacts.all()}
    assert left == {"+13125550101": True, "+13125550102": True, "+13125550103": False}
    assert keeping.save_contacts(made, [{"Phone_Number": "+13125550101"}]).created == 1
    back = made.contacts.get(number__e164="+13125550101")
    assert (back.removed_at, back.pushed) == (None, "known there")


def test_contacts_go_by_query_too():
    made = create()
    make_contact(made)
    assert keeping.remove_contacts(made.contacts.all()) == 1
