"""Opt-outs through the API."""

from __future__ import annotations

import pytest

from contacts.models import ConsentEvent, PhoneNumber
from smsportal.tests.programs import API, person, program
from smsportal.tests.world import make_number, make_user

pytestmark = pytest.mark.django_db
URL = f"{API}opt-outs/"


@pytest.fixture
def client():
    return program(make_user(groups=("List manager",)))


def test_an_opt_out_is_recorded_seen_and_lifted(client):
    made = client.post(URL, {"phone_number": "(312) 555-0100", "reason": "Called the office"})
    assert made.status_code == 201
    row = made.json()
    assert (row["phone_number"], row["opted_out"], row["source"]) == ("+13125550100", True, "api")
    assert client.get(URL).json()["results"] == [row]
    assert PhoneNumber.objects.get().opted_out
    assert client.delete(f"{URL}{row['id']}/").status_code == 400
    assert client.delete(f"{URL}{row['id']}/", {"reason": "Asked for texts again"}).status_code == 204
    assert not PhoneNumber.objects.get().opted_out
    assert client.get(URL).json()["results"] == []
    assert client.delete(f"{URL}{row['id']}/", {"reason": "Again"}).status_code == 404


def test_what_was_said_stays_on_record(client):
    row = client.post(URL, {"phone_number": "312-555-0100", "reason": "Called"}).json()
    client.delete(f"{URL}{row['id']}/", {"reason": "Changed their mind"})
    client.post(URL, {"phone_number": "312-555-0101"})
    events = client.get(f"{API}consent-events/?phone_number=312-555-0100").json()["results"]
    assert [(event["kind"], event["reason"], event["actor"]) for event in events] == [
        ("in", "Changed their mind", "sam"),
        ("out", "Called", "sam"),
    ]
    for query in ("phone_number=%2B13125550100", "phone_number=+13125550100"):
        assert len(client.get(f"{API}consent-events/?{query}").json()["results"]) == 2
    assert client.get(f"{API}consent-events/?phone_number=nonsense").json()["results"] == []


def test_doing_it_twice_leaves_one_number(client):
    for _ in range(2):
        assert client.post(URL, {"phone_number": "312-555-0100"}).status_code == 201
    assert PhoneNumber.objects.count() == 1


def test_a_persons_opt_out_is_of_staff_not_of_a_program():
    client = person("Sender")
    assert client.post(URL, {"phone_number": "312-555-0100"}).json()["source"] == "staff"
    assert ConsentEvent.objects.get().actor.username == "sam"


def test_who_lifted_it_says_whether_a_program_was_used(client):
    first, second = (client.post(URL, {"phone_number": f"312-555-010{n}"}).json()["id"] for n in (0, 1))
    client.delete(f"{URL}{first}/", {"reason": "Asked"})
    person("List manager", username="lou").delete(f"{URL}{second}/", {"reason": "Asked"})
    lifted = ConsentEvent.objects.filter(kind="in").order_by("id")
    assert [(event.source, event.actor.username) for event in lifted] == [("api", "sam"), ("staff", "lou")]


def test_a_wrong_number_is_refused(client):
    answer = client.post(URL, {"phone_number": "12"})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["phone_number"])
    assert not PhoneNumber.objects.exists()


@pytest.mark.parametrize("field", ["opted_out", "consent_at", "source", "actor", "at", "evidence"])
def test_consent_is_never_written_directly(client, field):
    answer = client.post(URL, {"phone_number": "312-555-0100", field: "x"})
    assert list(answer.json()["errors"]) == [field]


def test_listing_opt_outs_takes_few_queries(client, django_assert_max_num_queries):
    for number in range(20):
        make_number(f"+131255501{number:02}", opted_out=True)
    client.get(URL)
    with django_assert_max_num_queries(4):
        assert len(client.get(URL).json()["results"]) == 20
