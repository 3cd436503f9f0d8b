"""The Ocelot twin from its own side: who may ask, contact lists and contacts, with the documented rejections."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest

from smsportal.sandbox.app import Request
from smsportal.sandbox.ocelot import BASE
from smsportal.tests.sandboxes import CHATBOT, World, batch, make_list, person, phone, read

MISSING = {"statusCode": 404, "message": "Contact list not found", "error": "Not Found"}


@pytest.fixture
def world() -> World:
    return World()


# --- who may ask, and what -------------------------------------------------------------------------------------------
def test_wrong_key_gets_the_documented_body(world: World) -> None:
    answer = world.ask("GET", "/contact-list/000000000000000000000000", key="another")
    assert answer.status == 401
    assert read(answer) == {
        "statusCode": 401,
        "message": "Invalid authentication credentials",
        "error": "Unauthorized",
    }


@pytest.mark.parametrize(
    "header", ["", "Bearer sandbox-key", "Basic !!!", "Basic " + base64.b64encode(b"\xff:x").decode()]
)
def test_unreadable_credentials_are_wrong_ones(world: World, header: str) -> None:
    assert world.twins.handle(Request("GET", f"{BASE}/contact-list/x", {}, {"authorization": header})).status == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/contact-list"),
        ("PATCH", "/contact-list/1"),
        ("GET", "/sms/send/"),
        ("POST", "/nothing"),
        ("PUT", "/sms/transcripts"),
    ],
)
def test_undocumented_operations_do_not_exist(world: World, method: str, path: str) -> None:
    answer = world.ask(method, path, {})
    assert answer.status == 404
    assert read(answer)["message"] == f"Cannot {method} /api/v1{path}"


def test_a_body_that_is_too_large_is_413(world: World) -> None:
    world.ocelot.switches.body_limit = 50
    answer = world.ask("POST", "/contact-list", {"name": "x" * 60})
    assert answer.status == 413
    assert read(answer) == {"statusCode": 413, "message": "request entity too large", "error": "Payload Too Large"}


@pytest.mark.parametrize("body", [b"{", b"\xff", pytest.param(b"[" * 100_000, id="deep"), b"", b"[]", b'"x"'])
def test_a_body_that_is_no_object_is_400(world: World, body: bytes) -> None:
    assert world.ask("POST", "/contact-list", body).status == 400


def test_a_body_must_be_declared_as_json(world: World) -> None:
    login = "Basic " + base64.b64encode(f"{CHATBOT}:sandbox-key".encode()).decode()
    request = Request("POST", f"{BASE}/contact-list", {}, {"authorization": login}, b'{"name": "A"}')
    assert world.twins.handle(request).status == 400


# --- lists -----------------------------------------------------------------------------------------------------------
def test_create_answers_the_documented_list(world: World) -> None:
    asked = {"name": "University N1", "tags": ["Summer school"], "meta": {"source": "ocelot", "externalId": 0}}
    made = world.ask("POST", "/contact-list", asked)
    assert made.status == 201
    body = read(made)
    assert len(body["id"]) == 24
    stamp = "2026-03-02T15:00:00.000Z"
    assert body == {
        **asked, "id": body["id"], "chatbotId": CHATBOT, "created": stamp, "updated": stamp, "userId": "public_api",
    }  # fmt: skip
    assert read(world.ask("GET", f"/contact-list/{body['id']}")) == body


FIELD = {"type": "Text", "name": "Address", "displayName": "Address", "required": False, "unique": False}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({}, "name must be a string that is not empty"),
        ({"name": 1}, "name must be a string that is not empty"),
        ({"name": "A", "colour": "red"}, "property colour should not exist"),
        ({"name": "A", "tags": ["x" * 51]}, "each value in tags must be shorter than or equal to 50 characters"),
        ({"name": "A", "tags": [1]}, "each value in tags must be a string"),
        ({"name": "A", "meta": []}, "meta must be an object"),
        ({"name": "A", "additionalContactFields": {}}, "additionalContactFields must be an array"),
        ({"name": "A", "additionalContactFields": [1]}, "additionalContactFields.0 must be an object"),
        (
            {"name": "A", "additionalContactFields": [{**FIELD, "type": "Date"}]},
            "additionalContactFields.0.type must be one of the following values: PhoneNumber, Email, FirstName, LastName, Text",
        ),
        (
            {"name": "A", "additionalContactFields": [{**FIELD, "name": "Home address"}]},
            "additionalContactFields.0.name must be a name of letters, digits and underscores",
        ),
        (
            {"name": "A", "additionalContactFields": [{**FIELD, "unique": "no"}]},
            "additionalContactFields.0.unique must be a boolean value",
        ),
        (
            {"name": "A", "additionalContactFields": [FIELD, FIELD]},
            "additionalContactFields: Address is already a field of the list",
        ),
        (
            {"name": "A", "additionalContactFields": [{**FIELD, "name": "Phone_Number"}]},
            "additionalContactFields: Phone_Number is already a field of the list",
        ),
    ],
)
def test_a_list_that_breaks_the_schema_is_refused(world: World, body: dict[str, Any], complaint: str) -> None:
    answer = world.ask("POST", "/contact-list", body)
    assert answer.status == 400
    assert read(answer) == {"statusCode": 400, "message": [complaint], "error": "Bad Request"}


def test_a_tag_of_fifty_characters_is_taken(world: World) -> None:
    assert world.ask("POST", "/contact-list", {"name": "A", "tags": ["x" * 50]}).status == 201


@pytest.mark.parametrize("by_name", [True, False])
def test_replace_resets_the_list_and_empties_it(world: World, by_name: bool) -> None:
    made = make_list(world, tags=["old"])
    world.ask("POST", f"/contact-list/{made}/contacts", {"contacts": [phone("312-555-0100")]})
    world.now += timedelta(hours=1)
    path = "/contact-list" if by_name else f"/contact-list/{made}"
    answer = world.ask("PUT", path, {"name": "University N1", "additionalContactFields": [FIELD]})
    assert answer.status == 200
    body = read(answer)
    assert (body["id"], body["tags"], body["updated"]) == (made, [], "2026-03-02T16:00:00.000Z")
    assert read(world.ask("GET", f"/contact-list/{made}/contacts"))["results"]["total"] == 0
    again = world.ask("POST", f"/contact-list/{made}/contacts", {"contacts": [person("312-555-0100", Address="Here")]})
    assert read(again)[0]["results"]["rejected"] == 0


def test_delete_forgets_the_list(world: World) -> None:
    made = make_list(world)
    assert world.ask("DELETE", f"/contact-list/{made}").status == 200
    assert world.ask("DELETE", f"/contact-list/{made}").status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/contact-list/{}"), ("PUT", "/contact-list/{}"), ("DELETE", "/contact-list/{}"),
        ("GET", "/contact-list/{}/contacts"), ("POST", "/contact-list/{}/contacts"), ("PUT", "/contact-list"),
    ],
)  # fmt: skip
def test_a_list_of_nobody_or_of_another_chatbot_is_404(world: World, method: str, path: str) -> None:
    theirs = read(world.ask("POST", "/contact-list", {"name": "Theirs"}, user="another"))["id"]
    for list_id in (theirs, "000000000000000000000000"):
        answer = world.ask(method, path.format(list_id), {"name": "Theirs"})
        assert (answer.status, read(answer)) == (404, MISSING)


def test_a_second_list_of_a_name_can_be_switched_off(world: World) -> None:
    make_list(world)
    assert world.ask("POST", "/contact-list", {"name": "University N1"}).status == 201
    world.ocelot.switches.unique_names = True
    assert world.ask("POST", "/contact-list", {"name": "University N1"}).status == 400


# --- contacts --------------------------------------------------------------------------------------------------------
def test_contacts_are_stored_but_for_the_rejected(world: World) -> None:
    made = make_list(world)
    answer = world.ask(
        "POST", f"/contact-list/{made}/contacts", {"contacts": [phone("312-555-0100"), phone("(312) 555.0100")]}
    )
    assert answer.status == 201
    error = "Phone Number (312) 555.0100 is not unique."
    rejected = [{"fields": phone("(312) 555.0100")["fields"], "error": error}]
    assert read(answer) == [{"errors": [error], "results": {"total": 2, "rejected": 1, "rejectedData": rejected}}]


def test_the_counts_of_the_documented_sample_can_be_switched_on(world: World) -> None:
    world.ocelot.switches.zero_counts = True
    given = {"contacts": [phone("312-555-0159")]}
    results = read(world.ask("POST", f"/contact-list/{make_list(world)}/contacts", given))[0]["results"]
    assert (results["total"], results["rejected"], len(results["rejectedData"])) == (0, 0, 1)


@pytest.mark.parametrize("number", ["312-555-0100", "312.555.0100", "(312) 555-0100", "3125550100", "312 555 0100"])
def test_numbers_may_be_written_in_every_documented_way(world: World, number: str) -> None:
    answer = world.ask("POST", f"/contact-list/{make_list(world)}/contacts", {"contacts": [phone(number)]})
    assert read(answer)[0]["errors"] == []


@pytest.mark.parametrize(
    ("contact", "error"),
    [
        (phone("312-555-01"), "Phone Number 312-555-01 is not valid."),
        (phone("+13125550100"), "Phone Number +13125550100 is not valid."),
        (phone("312-555-0159"), "Phone Number 312-555-0159 is not valid."),
        (phone(""), "Phone Number is required."),
        ({"fields": []}, "Phone Number is required."),
        (person("312-555-0101", Email_Address="ada@"), "Email Address ada@ is not valid."),
        (person("312-555-0101", Email_Address="ADA@example.edu"), "Email Address ADA@example.edu is not unique."),
        (person("312-555-0101", Student_Id="7"), "Student Id 7 is not unique."),
        (person("312-555-0101", Colour="red"), "Field Colour is not in the contact list."),
        (
            {"fields": [{"type": "Text", "name": "Phone_Number", "value": "312-555-0101"}]},
            "Field Phone_Number is not of type Text.",
        ),
    ],
)
def test_a_contact_that_cannot_be_stored_is_rejected_with_a_reason(
    world: World, contact: dict[str, Any], error: str
) -> None:
    field = {"type": "Text", "name": "Student_Id", "displayName": "Student Id", "unique": True}
    path = f"/contact-list/{make_list(world, additionalContactFields=[field])}/contacts"
    first = person("312-555-0100", Email_Address="ada@example.edu", Student_Id="7")
    assert read(world.ask("POST", path, {"contacts": [first]}))[0]["errors"] == []
    assert read(world.ask("POST", path, {"contacts": [contact]}))[0]["errors"] == [error]
    assert read(world.ask("GET", path))["results"]["total"] == 1


def test_numbers_with_a_plus_can_be_switched_on(world: World) -> None:
    world.ocelot.switches.accept_e164 = True
    given = {"contacts": [phone("+13125550100")]}
    assert read(world.ask("POST", f"/contact-list/{make_list(world)}/contacts", given))[0]["errors"] == []
    assert world.ask("POST", "/sms/send/", batch("+13125550100")).status == 201


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({}, "contacts must be an array"),
        ({"contacts": [[]]}, "contacts.0 must be an object"),
        ({"contacts": [{"fields": 1}]}, "contacts.0.fields must be an array"),
        (
            {"contacts": [{"fields": [{"type": "Text", "name": "A", "value": 1}]}]},
            "contacts.0.fields.0.value must be a string",
        ),
        ({"contacts": [{"fields": [], "id": 1}]}, "contacts.0.property id should not exist"),
    ],
)
def test_contacts_of_the_wrong_shape_are_refused_as_a_whole(world: World, body: Any, complaint: str) -> None:
    answer = world.ask("POST", f"/contact-list/{make_list(world)}/contacts", body)
    assert (answer.status, read(answer)["message"]) == (400, [complaint])


def test_contacts_are_paged(world: World) -> None:
    path = f"/contact-list/{make_list(world)}/contacts"
    numbers = [f"312-555-{n:04}" for n in range(1000, 1123)]
    world.ask("POST", path, {"contacts": [phone(each) for each in reversed(numbers)]})
    first = read(world.ask("GET", path))["results"]
    assert (first["limit"], first["skip"], first["total"], len(first["data"])) == (50, 0, 123, 50)
    assert first["data"][0] == {**phone(numbers[-1]), "active": True, "created": "2026-03-02T15:00:00.000Z"}
    page = read(world.ask("GET", path, limit="500", skip="100", orderBy="Phone_Number", order="ASC"))["results"]
    assert page["limit"] == 100  # the largest there is
    assert [each["fields"][0]["value"] for each in page["data"]] == numbers[100:]


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "x"}, {"skip": "-1"}, {"order": "up"}, {"orderBy": "Nothing"}]
)
def test_a_page_that_cannot_be_is_refused(world: World, query: dict[str, str]) -> None:
    assert world.ask("GET", f"/contact-list/{make_list(world)}/contacts", **query).status == 400
