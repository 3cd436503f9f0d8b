"""Lists and contacts through the API, as a program of a list manager uses it."""

from __future__ import annotations

import pytest
from django.utils.dateparse import parse_datetime

from contacts import consent
from contacts.models import Contact, ContactList
from smsportal.tests.programs import API, program
from smsportal.tests.world import make_account, make_contact, make_list, make_unit, make_user

pytestmark = pytest.mark.django_db
URL = f"{API}contact-lists/"
ADVISOR = {"type": "Text", "name": "Advisor", "display_name": "Advisor", "required": False, "unique": False}


@pytest.fixture
def client():
    make_account()
    return program(make_user(groups=("List manager",)))


def _contacts(contact_list):
    return f"{URL}{contact_list.uuid}/contacts/"


# --- lists -----------------------------------------------------------------------------------------------------------
def test_a_list_is_made_as_it_was_described(client):
    body = {"name": "Fall", "tags": ["2026"], "meta": {"term": "F26", "n": 1}, "fields": [ADVISOR], "account": "ocelot"}
    answer = client.post(URL, body)
    assert answer.status_code == 201
    made = answer.json()
    assert {name: made[name] for name in ("name", "tags", "meta", "account", "unit")} == {
        "name": "Fall", "tags": ["2026"], "meta": {"term": "F26", "n": 1}, "account": "ocelot", "unit": "Registrar",
    }  # fmt: skip
    assert [field["name"] for field in made["fields"]] == [
        "Phone_Number", "Email_Address", "First_Name", "Last_Name", "Advisor",
    ]  # fmt: skip
    assert made["fields"][4] == ADVISOR
    assert made["fields"][0]["required"] is True
    assert (made["sync_state"], made["remote_id"], made["contact_count"], made["version"]) == ("never", "", 0, 1)
    assert parse_datetime(made["created_at"]).utcoffset() is not None
    assert client.get(f"{URL}{made['id']}/").json() == made


def test_without_an_account_a_list_goes_where_lists_are_mirrored(client):
    assert client.post(URL, {"name": "Fall"}).json()["account"] == "ocelot"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "Taken"}, "name"),
        ({"name": "A", "account": "nobody"}, "account"),
        ({"name": "A", "tags": "x"}, "tags"),
        ({"name": "A", "tags": ["x" * 51]}, "tags.0"),
        ({"name": "A", "meta": []}, "meta"),
        ({"name": "A", "fields": [{**ADVISOR, "type": "Date"}]}, "fields.0.type"),
        ({"name": "A", "fields": [{**ADVISOR, "name": "a b"}]}, "fields.0.name"),
        ({"name": "A", "fields": [{**ADVISOR, "id": 7}]}, "fields.0.id"),
    ],
)
def test_a_wrong_list_is_refused_by_field(client, body, field):
    make_list("Taken")
    answer = client.post(URL, body)
    assert answer.status_code == 400
    assert field in answer.json()["errors"]
    assert ContactList.objects.count() == 1


def test_a_list_is_changed_only_by_who_saw_its_latest_version(client):
    contact_list = make_list()
    url = f"{URL}{contact_list.uuid}/"
    etag = client.get(url)["ETag"]
    assert etag == '"1"'
    changed = client.patch(url, {"name": "Spring", "tags": ["a"]}, HTTP_IF_MATCH=etag)
    assert (changed.status_code, changed.json()["name"], changed["ETag"]) == (200, "Spring", '"2"')
    assert client.patch(url, {"name": "Late"}, HTTP_IF_MATCH=etag).status_code == 412
    assert client.delete(url, HTTP_IF_MATCH=etag).status_code == 412
    assert client.patch(url, {"name": "Late"}, HTTP_IF_MATCH="nonsense").status_code == 412
    assert client.patch(url, {"meta": {}}).status_code == 200
    assert client.get(url).json()["name"] == "Spring"


def test_fields_are_changed_by_the_rules_of_a_new_list(client):
    url = f"{URL}{make_list().uuid}/"
    changed = client.patch(url, {"fields": [{"name": "Advisor", "display_name": "Advisor"}]})
    assert changed.status_code == 200
    assert changed.json()["fields"][4:] == [
        {"type": "Text", "name": "Advisor", "display_name": "Advisor", "required": False, "unique": False}
    ]
    for wrong in ({"name": "Advisor"}, {"display_name": "Advisor"}, {"name": "Phone_Number", "display_name": "Phone"}):
        assert client.patch(url, {"fields": [wrong]}).status_code == 400
    assert len(client.get(url).json()["fields"]) == 5


def test_a_list_is_removed(client):
    contact_list = make_list()
    make_contact(contact_list)
    assert client.delete(f"{URL}{contact_list.uuid}/").status_code == 204
    assert client.get(f"{URL}{contact_list.uuid}/").status_code == 404
    assert not Contact.objects.exists()


def test_a_list_cannot_be_moved_to_another_account_or_unit(client):
    contact_list = make_list()
    answer = client.patch(f"{URL}{contact_list.uuid}/", {"account": "ocelot", "unit": "Registrar"})
    assert set(answer.json()["errors"]) == {"account", "unit"}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("search=fall", ["Fall freshmen"]),
        ("tag=2026", ["Spring"]),
        ("sync_state=in_step", ["Spring"]),
        ("sync_state=never", ["Fall freshmen"]),
        ("search=x", []),
        ("ordering=-created_at", ["Spring", "Fall freshmen"]),
        ("", ["Fall freshmen", "Spring"]),
    ],
)
def test_lists_are_found(client, query, names):
    make_list()
    spring = make_list("Spring", sync_state="in_step")
    spring.tags.create(name="2026")
    assert [row["name"] for row in client.get(f"{URL}?{query}").json()["results"]] == names


def test_a_wrong_filter_is_a_400(client):
    assert client.get(f"{URL}?sync_state=maybe").status_code == 400


@pytest.mark.parametrize("lists", [1, 12])
def test_listing_lists_takes_the_same_queries_whatever_their_number(client, django_assert_max_num_queries, lists):
    for number in range(lists):
        contact_list = make_list(f"L{number}")
        contact_list.tags.create(name=f"t{number}")
        contact_list.own_fields.create(name="Advisor", display_name="Advisor")
        make_contact(contact_list)
    client.get(URL)  # notes the use of the token
    with django_assert_max_num_queries(8):
        rows = client.get(URL).json()["results"]
    assert [row["contact_count"] for row in rows] == [1] * lists


# --- contacts --------------------------------------------------------------------------------------------------------
def test_contacts_are_added_changed_and_told_what_is_wrong(client):
    contact_list = make_list()
    make_contact(contact_list, "+13125550100", first="Ada")
    make_contact(contact_list, "+13125550101", first="Bo", last="Lee")
    rows = [
        {"Phone_Number": "(312) 555-0100", "First_Name": "Adele"},
        {"Phone_Number": "312.555.0101", "First_Name": "Bo"},
        {"Phone_Number": "+1 312 555 0102", "First_Name": "Cy", "Last_Name": "Ng"},
        {"Phone_Number": "12", "First_Name": "Di"},
        {"Phone_Number": "312-555-0103", "Email_Address": "nonsense"},
        {"Phone_Number": "312-555-0104", "Shoe_Size": "9"},
    ]
    answer = client.post(_contacts(contact_list), {"contacts": [{"fields": row} for row in rows]})
    assert answer.status_code == 201
    told = answer.json()
    assert (told["created"], told["updated"], told["unchanged"]) == (1, 1, 1)
    assert [(each["index"], list(each["errors"])) for each in told["rejected"]] == [
        (3, ["Phone_Number"]),
        (4, ["Email_Address"]),
        (5, ["Shoe_Size"]),
    ]
    found = client.get(_contacts(contact_list) + "?ordering=phone_number").json()["results"]
    assert [row["fields"] for row in found] == [
        {"Phone_Number": "+13125550100", "First_Name": "Adele", "Last_Name": "Park"},
        {"Phone_Number": "+13125550101", "First_Name": "Bo", "Last_Name": "Lee"},
        {"Phone_Number": "+13125550102", "First_Name": "Cy", "Last_Name": "Ng"},
    ]
    assert client.get(f"{URL}{contact_list.uuid}/").json()["contact_count"] == 3


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"contacts": []},
        {"contacts": {}},
        {"contacts": [{}]},
        {"contacts": [{"fields": []}]},
        {"contacts": [{"fields": {"Phone_Number": None}}]},
        {"contacts": [{"fields": {"Phone_Number": ["312-555-0100"]}}]},
        {"contacts": [{"fields": {"Phone_Number": "312-555-0100"}, "opted_out": False}]},
        {"contacts": [{"fields": {}}] * 1001},
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_wrong_body_stores_no_contact(client, body):
    contact_list = make_list()
    assert client.post(_contacts(contact_list), body).status_code == 400
    assert not Contact.objects.exists()


def test_a_thousand_contacts_at_once(client, django_assert_max_num_queries):
    contact_list = make_list()
    rows = [{"fields": {"Phone_Number": f"+1{area}55501{n:02}"}} for area in range(201, 999) for n in range(100)]
    rows = [row for row in rows if row["fields"]["Phone_Number"][2:5] in {f"{a}" for a in range(312, 330)}][:1000]
    client.get(URL)
    with django_assert_max_num_queries(40):
        told = client.post(_contacts(contact_list), {"contacts": rows}).json()
    assert told["created"] + len(told["rejected"]) == 1000
    assert told["created"] > 500


@pytest.mark.parametrize(
    ("query", "firsts"),
    [
        ("search=ada", ["Ada"]),
        ("search=park+ada", ["Ada"]),
        ("search=555-0101", ["Bo"]),
        ("search=bo@example", ["Bo"]),
        ("opted_out=true", ["Bo"]),
        ("opted_out=False", ["Ada"]),
        ("opted_out=0", ["Ada"]),
        ("state=error", ["Ada"]),
        ("search=nobody", []),
        ("search=1", []),
    ],
)
def test_contacts_are_found(client, query, firsts):
    contact_list = make_list()
    make_contact(contact_list, "+13125550100", sync_state="error")
    bo = make_contact(contact_list, "+13125550101", first="Bo", last="Lee", email="bo@example.edu")
    consent.opt_out(bo.number, source="staff")
    found = client.get(f"{_contacts(contact_list)}?{query}").json()["results"]
    assert [row["fields"]["First_Name"] for row in found] == firsts


def test_listing_contacts_takes_few_queries(client, django_assert_max_num_queries):
    contact_list = make_list()
    for number in range(40):
        make_contact(contact_list, f"+131255501{number:02}")
    client.get(URL)
    with django_assert_max_num_queries(5):
        assert len(client.get(_contacts(contact_list)).json()["results"]) == 40


def test_a_contact_is_changed_and_removed(client):
    contact = make_contact(make_list(), email="ada@example.edu")
    url = f"{API}contacts/{contact.uuid}/"
    changed = client.patch(url, {"fields": {"First_Name": "Adele", "Email_Address": ""}})
    assert changed.status_code == 200
    assert changed.json()["fields"] == {"Phone_Number": "+13125550100", "First_Name": "Adele", "Last_Name": "Park"}
    refused = client.patch(url, {"fields": {"Email_Address": "nonsense"}})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["Email_Address"])
    assert client.patch(url, {"active": False}).status_code == 400
    assert client.delete(url).status_code == 204
    assert client.get(url).status_code == 404


def test_contacts_of_other_units_are_not_there(client):
    theirs = make_contact(make_list("Theirs", unit=make_unit("Housing")))
    assert client.get(_contacts(theirs.contact_list)).status_code == 404
    assert client.post(_contacts(theirs.contact_list), {"contacts": [{"fields": {}}]}).status_code == 404
    assert client.patch(f"{API}contacts/{theirs.uuid}/", {"fields": {}}).status_code == 404
    assert client.delete(f"{API}contacts/{theirs.uuid}/").status_code == 404
    assert Contact.objects.count() == 1
