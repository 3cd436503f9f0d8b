"""Every request a client can make fits the vendor's documents, written down here as closed JSON Schemas.

The schemas are made from the documents alone and share nothing with what the clients check by themselves.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzzing
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from smsportal.providers import PROVIDERS, get, http, open_account
from smsportal.providers.base import (
    Account,
    Envelope,
    Outgoing,
    Provider,
    RemoteContact,
    RemoteField,
    RemoteList,
)
from smsportal.providers.errors import Garbled, Invalid, ProviderError
from smsportal.providers.ocelot import client as ocelot_client
from smsportal.tests.inprocess import Says

SCHEMAS = Path(__file__).parent / "vendor_schemas"
BASE = "http://vendor.test/api"
LIST = "507f1f77bcf86cd799439011"


@cache
def operations(name: str) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((SCHEMAS / name).glob("*.json"))}


def complaints(name: str, request: requests.PreparedRequest) -> Iterator[str]:
    """What in `request` no document allows; nothing when it fits one of the vendor's operations."""
    parts = urlsplit(str(request.url))
    path = parts.path.removeprefix(urlsplit(BASE).path)
    found = [each for each in operations(name).values() if fits(each, str(request.method), path)]
    if len(found) != 1:
        yield f"{request.method} {path} is no operation of the documents"
        return
    yield from (error.message for error in checks(found[0]["query"], dict(parse_qsl(parts.query))))
    if found[0]["body"] is None:
        yield from ["a body where the documents have none"] * bool(request.body)
        return
    if request.headers.get("Content-Type") != "application/json":
        yield "the body is not declared as JSON"
        return
    yield from (error.message for error in checks(found[0]["body"], json.loads(request.body or b"null")))


def fits(operation: dict[str, Any], method: str, path: str) -> bool:
    return bool(operation["method"] == method and re.search(operation["path"], path))


def checks(schema: dict[str, Any], value: object) -> Iterator[Any]:
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).iter_errors(value)


# --- any call a caller could make ------------------------------------------------------------------------------------
def mostly(valid: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Valid nine times out of ten, so that most calls leave and some must not."""
    return st.integers(0, 9).flatmap(lambda drawn: valid if drawn else odd)


ANY = st.text(max_size=30)
SOME = st.text(min_size=1, max_size=30)
NUMBERS = st.integers(2_000_000_000, 9_999_999_999).map(lambda number: f"+1{number}")
E_MAILS = mostly(st.just("advising@example.edu"), st.emails() | ANY)
TEXTS = st.builds(
    Outgoing,
    to=NUMBERS,
    text=mostly(st.text(min_size=1, max_size=40), st.sampled_from(["", "x" * 2000, "x" * 2001, "😀" * 2000])),
    reference=mostly(st.uuids().map(str), ANY),
    contact_reference=st.just("") | st.uuids().map(str),
)
ENVELOPES = st.builds(
    Envelope,
    sender=mostly(NUMBERS, st.sampled_from(["REGISTRAR", ""])),
    operator=E_MAILS,
    callback_url=mostly(st.sampled_from(["", "https://portal.example.edu/hooks/ocelot/t/"]), st.just("ftp://x")),
    request_key=ANY,
)
NAMES = mostly(st.from_regex(r"\A[A-Za-z][A-Za-z0-9_]{0,20}\Z"), st.sampled_from(["First_Name", "two words", ""]))
FIELDS = st.builds(RemoteField, st.just("Text"), NAMES, SOME, st.booleans(), st.booleans())
LISTS = st.builds(
    RemoteList,
    name=mostly(SOME, ANY),
    tags=st.lists(mostly(st.text(min_size=1, max_size=50), st.text(max_size=52)), max_size=3).map(tuple),
    meta=st.dictionaries(ANY, st.none() | st.booleans() | st.integers() | ANY, max_size=3),
    fields=st.lists(FIELDS, max_size=3).map(tuple),
)
VALUES = st.dictionaries(
    st.sampled_from(["First_Name", "Address"]), st.tuples(st.sampled_from(["Text", "FirstName"]), ANY), max_size=3
)
CONTACTS = st.builds(
    lambda number, more: RemoteContact({**more, "Phone_Number": ("PhoneNumber", number)}), mostly(NUMBERS, ANY), VALUES
)
IDS = mostly(st.from_regex(r"\A[0-9a-f]{24}\Z"), st.sampled_from(["", "../x", "a b", "x/contacts"]))
CALLS: st.SearchStrategy[Callable[[Provider], object]] = st.one_of(
    st.builds(
        lambda envelope, texts: lambda provider: provider.send(envelope, texts),
        ENVELOPES,
        mostly(st.lists(TEXTS, min_size=1, max_size=4), TEXTS.map(lambda text: [text] * 101)),
    ),
    st.builds(lambda wanted: lambda provider: provider.create_list(wanted), LISTS),
    st.builds(lambda wanted: lambda provider: provider.replace_list(LIST, wanted), LISTS),
    st.builds(lambda wanted: lambda provider: provider.replace_list_by_name(wanted), LISTS),
    st.builds(lambda contacts: lambda provider: provider.add_contacts(LIST, contacts), st.lists(CONTACTS, max_size=4)),
    st.builds(lambda operator: lambda provider: provider.senders(operator), E_MAILS),
    st.builds(lambda operator, number: lambda provider: provider.transcript(operator, number), E_MAILS, NUMBERS | ANY),
    st.builds(lambda remote_id: lambda provider: provider.read_list(remote_id), IDS),
    st.builds(lambda remote_id: lambda provider: provider.delete_list(remote_id), IDS),
    st.builds(lambda remote_id: lambda provider: list(provider.contact_pages(remote_id)), IDS),
    st.just(lambda provider: provider.check()),
)


def made_by(name: str, call: Callable[[Provider], object]) -> list[requests.PreparedRequest]:
    """The requests `call` makes; none when the client stops it."""
    secrets = {secret.key: "a secret" for secret in get(name).secrets}
    provider = open_account(Account(name, name, BASE, secrets=secrets))
    with http.mounted(BASE, said := Says(200, b'{"id":"507f1f77bcf86cd799439011","name":"x","data":[]}')):
        try:
            call(provider)
        except Invalid:
            assert not said.requests
        except ProviderError as failed:
            assert isinstance(failed, Garbled)  # noqa: PT017 — the fixed answer does not fit every question
    return said.requests


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_every_request_fits_the_vendors_documents(name: str) -> None:
    asked: Counter[str] = Counter()

    @fuzzing(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(call=CALLS)
    def whatever_is_asked(call: Callable[[Provider], object]) -> None:
        for request in made_by(name, call):
            assert list(complaints(name, request)) == []
            assert request.headers["Accept-Encoding"] == "identity"
            asked[f"{request.method} {operation_of(name, request)}"] += 1

    whatever_is_asked()
    assert len(asked) == len(operations(name))  # none was only ever stopped
    assert min(asked.values()) >= 3


def operation_of(name: str, request: requests.PreparedRequest) -> str:
    path = urlsplit(str(request.url)).path.removeprefix(urlsplit(BASE).path)
    return next(title for title, each in operations(name).items() if fits(each, str(request.method), path))


EVERYTHING: dict[str, Callable[[Provider], object]] = {
    "create_list": lambda each: each.create_list(RemoteList("Fall", ("tag",), {}, (RemoteField("Text", "A", "A"),))),
    "replace_list": lambda each: each.replace_list(LIST, RemoteList("Fall")),
    "replace_list_by_name": lambda each: each.replace_list_by_name(RemoteList("Fall")),
    "read_list": lambda each: each.read_list(LIST),
    "delete_list": lambda each: each.delete_list(LIST),
    "create_contacts": lambda each: each.add_contacts(
        LIST, [RemoteContact({"Phone_Number": ("PhoneNumber", "+13125550100"), "Email_Address": ("Email", "")})]
    ),
    "list_contacts": lambda each: list(each.contact_pages(LIST)),
    "send": lambda each: each.send(
        Envelope("+13125550190", "advising@example.edu", "https://portal.example.edu/hooks/ocelot/t/"),
        [Outgoing("+13125550100", "Hello", "r-1.1", "c-1")],
    ),
    "phone_numbers": lambda each: each.senders("advising@example.edu"),
    "transcripts": lambda each: each.transcript("advising@example.edu", "+13125550100"),
}


def test_every_documented_operation_can_be_asked_for() -> None:
    assert set(EVERYTHING) == set(operations("ocelot"))


@pytest.mark.parametrize("operation", list(EVERYTHING))
def test_an_operation_is_one_documented_request(operation: str) -> None:
    made = made_by("ocelot", EVERYTHING[operation])
    assert len(made) == 1
    assert list(complaints("ocelot", made[0])) == []
    spec = operations("ocelot")[operation]
    assert fits(spec, str(made[0].method), urlsplit(str(made[0].url)).path.removeprefix("/api"))
    scheme, _, keys = made[0].headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(keys)) == ("Basic", b"a secret:a secret")


# --- negative controls: a wrong request is caught --------------------------------------------------------------------
def send(**changes: Any) -> requests.PreparedRequest:
    body = {
        "from": "312-555-0190",
        "operator": "advising@example.edu",
        "messages": [{"to": "312-555-0100", "message": "Hello"}],
        **changes,
    }
    return requests.Request("POST", f"{BASE}/sms/send/", json=body).prepare()


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (send(sender="x"), "Additional properties"),
        (send(operator="nobody"), "email"),
        (send(messages=[]), "non-empty"),
        (send(messages=[{"to": "312-555-0100", "message": "x"}] * 101), "too long"),
        (send(messages=[{"to": "312-555-0100", "message": "x" * 2001}]), "too long"),
        (send(messages=[{"to": "312-555-0100", "message": ""}]), "non-empty"),
        (send(messages=[{"to": 3125550100, "message": "x"}]), "string"),
        (send(messages=[{"to": "312-555-0100", "message": "x", "template": 1}]), "Additional properties"),
        (requests.Request("POST", f"{BASE}/sms/send", json={}).prepare(), "no operation"),
        (requests.Request("GET", f"{BASE}/contact-list/").prepare(), "no operation"),
        (requests.Request("PATCH", f"{BASE}/contact-list/{LIST}", json={"name": "x"}).prepare(), "no operation"),
        (requests.Request("DELETE", f"{BASE}/contact-list/{LIST}", json={"name": "x"}).prepare(), "a body"),
        (requests.Request("GET", f"{BASE}/contact-list/{LIST}/contacts?page=2").prepare(), "Additional properties"),
        (requests.Request("POST", f"{BASE}/contact-list", json={"name": "x", "tags": ["x" * 51]}).prepare(), "too long"),
        (requests.Request("POST", f"{BASE}/contact-list", data="name=x").prepare(), "not declared as JSON"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_caught(wrong: requests.PreparedRequest, word: str) -> None:
    assert word in " ".join(complaints("ocelot", wrong))


def test_the_right_request_beside_the_wrong_ones_is_not() -> None:
    assert list(complaints("ocelot", send())) == []


def test_a_client_with_a_wrong_address_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocelot_client, "SEND", "/sms/send")
    made = made_by("ocelot", EVERYTHING["send"])
    assert list(complaints("ocelot", made[0])) == ["POST /sms/send is no operation of the documents"]


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_the_schemas_are_schemas_and_closed(name: str) -> None:
    assert operations(name), f"write {SCHEMAS / name}/*.json from the vendor's documents"
    for spec in operations(name).values():
        assert spec["source"]
        for schema in filter(None, (spec["body"], spec["query"])):
            Draft202012Validator.check_schema(schema)
            assert list(open_objects(schema)) == []


def open_objects(schema: object, at: str = "") -> Iterator[str]:
    """Objects that name their properties but would take others as well."""
    if isinstance(schema, dict):
        if (
            schema.get("type") == "object"
            and "properties" in schema
            and schema.get("additionalProperties") is not False
        ):
            yield at
        for key, value in schema.items():
            yield from open_objects(value, f"{at}/{key}")
