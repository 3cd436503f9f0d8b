"""Segments through the API, as a program of a sender uses them."""

from __future__ import annotations

from uuid import uuid4

import pytest

from contacts.models import Segment
from smsportal.tests.programs import API, program
from smsportal.tests.world import fiction, make_account, make_contact, make_list, make_number, make_unit, make_user

pytestmark = pytest.mark.django_db
URL = f"{API}segments/"
LAW = {"field": "Major", "test": "is", "value": "law"}


@pytest.fixture
def contact_list():
    make_account()
    made = make_list()
    made.own_fields.create(name="Major", display_name="Major")
    make_number(fiction(2)[1], opted_out=True)
    for number, major in zip(fiction(4), ["Law", "LAW", "Biology", ""], strict=True):
        make_contact(made, number, extra={"Major": major} if major else {})
    return made


@pytest.fixture
def client(contact_list):
    return program(make_user(groups=("Sender",)))


def body(contact_list, **more):
    return {"name": "Lawyers", "contact_list": str(contact_list.uuid), "conditions": [LAW], **more}


def test_a_segment_is_kept_counted_changed_and_removed(client, contact_list):
    answer = client.post(URL, body(contact_list))
    assert answer.status_code == 201
    made = answer.json()
    assert {name: made[name] for name in ("name", "unit", "contact_list", "match", "conditions")} == {
        "name": "Lawyers", "unit": "Registrar", "contact_list": str(contact_list.uuid), "match": "all",
        "conditions": [LAW],
    }  # fmt: skip
    assert client.get(f"{URL}{made['id']}/count/").json() == {"count": 2, "opted_out": 1}
    blank = [{"field": "Major", "test": "is_blank"}]
    changed = client.patch(f"{URL}{made['id']}/", {"match": "any", "conditions": [LAW, *blank]}).json()
    assert changed["conditions"][1] == {"field": "Major", "test": "is_blank", "value": ""}
    assert client.get(f"{URL}{made['id']}/count/").json()["count"] == 3
    assert client.get(f"{URL}{made['id']}/").json() == changed
    assert client.delete(f"{URL}{made['id']}/").status_code == 204
    assert client.get(f"{URL}{made['id']}/").status_code == 404
    assert contact_list.contacts.count() == 4


def test_conditions_are_counted_before_anything_is_kept(client, contact_list):
    asked = {"contact_list": str(contact_list.uuid), "conditions": [LAW]}
    assert client.post(f"{URL}count/", asked).json() == {"count": 2, "opted_out": 1}
    assert not Segment.objects.exists()


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        ({"name": " "}, "name", "may not be blank"),
        ({"name": "Taken"}, "name", "“Fall freshmen” already has a segment “Taken”"),
        ({"conditions": []}, "conditions", "at least 1"),
        ({"conditions": [{"field": "Shoe", "test": "is", "value": "9"}]}, "conditions", "“Shoe” is not a field of"),
        ({"conditions": [{**LAW, "test": "like"}]}, "conditions.0.test", "not a valid choice"),
        ({"conditions": [{**LAW, "value": ""}]}, "conditions", "the test “is_blank”"),
        ({"contact_list": str(uuid4())}, "contact_list", "no list with this id"),
        ({"match": "most"}, "match", "not a valid choice"),
        ({"unit": "Housing"}, "unit", "no such unit"),
        ({"color": "red"}, "color", "no such field"),
    ],
)
def test_what_is_wrong_is_told_by_field(client, contact_list, change, field, sentence):
    client.post(URL, body(contact_list, name="Taken"))
    answer = client.post(URL, {**body(contact_list), **change})
    assert answer.status_code == 400
    assert sentence in " ".join(answer.json()["errors"][field])
    assert Segment.objects.count() == 1


def test_segments_of_other_units_are_not_there(contact_list):
    make_unit("Housing")
    stranger = program(make_user("hal", units=[make_unit("Housing")], groups=("Sender",)))
    made = program(make_user("sue", groups=("Sender",))).post(URL, body(contact_list)).json()
    assert stranger.get(URL).json()["results"] == []
    assert stranger.get(f"{URL}{made['id']}/count/").status_code == 404
    assert (
        stranger.post(f"{URL}count/", {"contact_list": str(contact_list.uuid), "conditions": [LAW]}).status_code == 400
    )


def test_segments_are_found_by_list_and_name_in_as_many_queries_for_many(
    client, contact_list, django_assert_num_queries
):
    other = make_list("Other")
    for place in range(12):
        client.post(URL, body(contact_list, name=f"Segment {place}"))
    last = [{"field": "Last_Name", "test": "is", "value": "Park"}]
    client.post(URL, body(other, name="Segment elsewhere", conditions=last))
    assert len(client.get(URL, {"contact_list": str(contact_list.uuid)}).json()["results"]) == 12
    assert [each["name"] for each in client.get(URL, {"search": "elsewhere"}).json()["results"]] == [
        "Segment elsewhere"
    ]
    with django_assert_num_queries(queries := _queries(client, 1)):
        client.get(URL, {"limit": 12})
    assert queries < 12


def _queries(client, limit):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as seen:
        client.get(URL, {"limit": limit})
    return len(seen)
