"""What every provider must keep, whoever it is: run over the registry, so a new line there is tested without a word here."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzzing
from hypothesis import strategies as st

from smsportal.providers import PROVIDERS, choices, errors, get, http, open_account
from smsportal.providers.base import (
    Abilities,
    Account,
    Answer,
    Delivery,
    Envelope,
    Event,
    EventKind,
    Fate,
    Outgoing,
    Provider,
    RemoteContact,
    RemoteList,
)
from smsportal.providers.errors import ProviderError
from smsportal.tests.inprocess import Says

CASES = Path(__file__).parent / "cases"
DOCS = Path(settings.BASE_DIR) / "docs" / "providers"
each_provider = pytest.mark.parametrize("name", list(PROVIDERS))
EVERY_CASE = [
    pytest.param(name, path, id=f"{name}/{path.stem}")
    for name in PROVIDERS
    for path in sorted((CASES / name).glob("*.json"))
]

ENVELOPE = Envelope("+13125550190", operator="advising@example.edu", callback_url="https://portal.example.edu/hooks/x/")
TEXTS = (Outgoing("+13125550100", "Hello", "r-1.1", "c-1"),)


def opened(name: str) -> Provider:
    secrets = {secret.key: "a secret" for secret in get(name).secrets}
    return open_account(Account(name, name, "http://say.test", secrets=secrets))


# --- what a provider says of itself ----------------------------------------------------------------------------------
@each_provider
def test_a_provider_has_one_name_everywhere(name: str) -> None:
    provider = get(name)
    assert provider.name == name
    assert provider.title
    assert provider.__module__.startswith(f"smsportal.providers.{name}")
    assert name in dict(choices())


@each_provider
def test_abilities_are_sane_and_kept(name: str) -> None:
    provider = get(name)
    can = provider.abilities
    assert isinstance(can, Abilities)
    assert can.max_per_call >= 1
    assert can.max_text >= 160
    assert "sms" in can.channels
    promised = {
        "add_contacts": can.mirrors_contacts,
        "contact_pages": can.mirrors_contacts,
        "create_list": can.mirrors_contacts,
        "senders": can.lists_senders,
        "transcript": can.shows_transcripts,
    }
    for method, able in promised.items():
        assert (getattr(provider, method) is not getattr(Provider, method)) == able, method


@each_provider
def test_an_account_never_shows_its_secrets(name: str) -> None:
    secrets = get(name).secrets
    assert secrets
    assert all(secret.key and secret.label for secret in secrets)
    assert "a secret" not in repr(opened(name).account)


@each_provider
def test_a_provider_has_a_twin_a_page_and_cases_of_every_kind(name: str) -> None:
    assert importlib.util.find_spec(f"smsportal.sandbox.{name}"), f"write the twin smsportal/sandbox/{name}"
    assert (DOCS / f"{name}.md").exists(), f"write docs/providers/{name}.md"
    told = {event["kind"] for path in (CASES / name).glob("*.json") for event in json.loads(path.read_text())["events"]}
    assert told == {str(kind) for kind in EventKind}, f"add cases to smsportal/tests/cases/{name}/"


# --- webhooks --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "path"), EVERY_CASE)
def test_a_payload_becomes_these_events(name: str, path: Path) -> None:
    case = json.loads(path.read_text())
    events = list(get(name).parse(case["payload"]))
    assert len(events) == len(case["events"])
    for event, expected in zip(events, case["events"], strict=True):
        assert {key: told(event, key) for key in expected} == expected
        if event.kind is EventKind.UNRECOGNISED:
            assert event.problem
            assert event.delivery is Delivery.NONE


def told(event: Event, key: str) -> object:
    value = getattr(event, key)
    if key == "at":
        return value and value.isoformat()
    return value.name if isinstance(value, Delivery) else value


@pytest.mark.parametrize(("name", "path"), EVERY_CASE)
def test_the_same_news_has_the_same_key_and_other_news_another(name: str, path: Path) -> None:
    payload = json.loads(path.read_text())["payload"]
    keys = [event.key for event in get(name).parse(payload)]
    assert keys == [event.key for event in get(name).parse(payload)]
    assert all(0 < len(key) <= 300 for key in keys)


@each_provider
def test_events_of_two_kinds_with_one_id_do_not_collide(name: str) -> None:
    seen: dict[str, str] = {}
    for path in (CASES / name).glob("*_documented.json"):
        for event in get(name).parse(json.loads(path.read_text())["payload"]):
            assert seen.setdefault(event.key, path.stem) == path.stem


def words() -> st.SearchStrategy[str]:
    """Names and values the providers use, among others: random words alone would never meet a branch."""
    found: set[str] = set()

    def collect(value: object) -> None:
        if isinstance(value, dict):
            found.update(value)
            for each in value.values():
                collect(each)
        elif isinstance(value, list):
            for each in value:
                collect(each)
        elif isinstance(value, str):
            found.add(value)

    for param in EVERY_CASE:
        collect(json.loads(param.values[1].read_text())["payload"])  # type: ignore[union-attr]
    return st.sampled_from(sorted(found)) | st.text(max_size=20)


WORDS = words()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(WORDS, inner, max_size=8),
    max_leaves=20,
)


@each_provider
@fuzzing(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(payload=JSON)
def test_parse_never_raises(name: str, payload: object) -> None:
    for event in get(name).parse(payload):
        assert 0 < len(event.key) <= 300
        assert isinstance(event.kind, EventKind)
        assert isinstance(event.raw, dict)
        for each in fields(event):
            assert not isinstance(getattr(event, each.name), bytes)
        for text in (event.text, event.status, event.error_code, event.number, event.remote_id, event.reference):
            assert "\0" not in text
            text.encode()  # no half characters


@each_provider
def test_parse_survives_what_no_json_is(name: str) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for payload in (deep, {"eventId": deep}, object(), b"bytes", {1: 2}, float("nan"), "\ud800"):
        assert all(event.kind is EventKind.UNRECOGNISED for event in get(name).parse(payload))


# --- calls -----------------------------------------------------------------------------------------------------------
CALLS: dict[str, Callable[[Provider], object]] = {
    "send": lambda provider: provider.send(ENVELOPE, TEXTS),
    "check": lambda provider: provider.check(),
    "create_list": lambda provider: provider.create_list(RemoteList("Fall")),
    "read_list": lambda provider: provider.read_list("5f"),
    "replace_list": lambda provider: provider.replace_list("5f", RemoteList("Fall")),
    "replace_list_by_name": lambda provider: provider.replace_list_by_name(RemoteList("Fall")),
    "delete_list": lambda provider: provider.delete_list("5f"),
    "add_contacts": lambda provider: provider.add_contacts(
        "5f", [RemoteContact({"Phone_Number": ("PhoneNumber", "+13125550100")})]
    ),
    "contact_pages": lambda provider: list(provider.contact_pages("5f")),
    "senders": lambda provider: provider.senders("advising@example.edu"),
    "transcript": lambda provider: provider.transcript("advising@example.edu", "+13125550100"),
}
BODIES: Sequence[bytes] = (
    b"",
    b"null",
    b"false",
    b"[]",
    b"{}",
    b'"OK"',
    b"OK",
    b"[1,2]",
    b'{"results":{"data":[1,null,{}]}}',
    b'{"data":{"messages":[{}]}}',
    b'{"results":[[[]]],"messages":7}',
    b"<html>",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"x":1e999}',
)


def failure(call: Callable[[Provider], object], provider: Provider) -> ProviderError | None:
    try:
        call(provider)
    except ProviderError as failed:
        return failed
    return None


@each_provider
@pytest.mark.parametrize("call", list(CALLS))
@pytest.mark.parametrize("status", [200, 201, 204, 301, 400, 401, 404, 413, 429, 500, 503])
def test_no_answer_raises_anything_but_a_provider_error(
    name: str, call: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "PAUSES_S", (0.0, 0.0))
    for body in BODIES:
        with http.mounted("http://say.test", Says(status, body)):
            failed = failure(CALLS[call], opened(name))
        assert failed is None or failed.text
        assert failed is None or "a secret" not in failed.text + failed.body


@each_provider
def test_a_send_is_one_request_and_has_a_receipt_for_every_text(name: str) -> None:
    with http.mounted("http://say.test", said := Says(200, b"")):
        answer = opened(name).send(ENVELOPE, TEXTS)
    assert isinstance(answer, Answer)
    assert [receipt.reference for receipt in answer.receipts] == [text.reference for text in TEXTS]
    assert all(receipt.fate in Fate for receipt in answer.receipts)
    assert len(said.requests) == 1


@each_provider
def test_a_send_that_got_no_answer_is_uncertain_and_not_repeated(name: str) -> None:
    said = Says(0, b"", requests.ReadTimeout("slow"))
    with http.mounted("http://say.test", said), pytest.raises(errors.Uncertain):
        opened(name).send(ENVELOPE, TEXTS)
    assert len(said.requests) == 1


@each_provider
def test_more_texts_than_a_call_holds_never_leave(name: str) -> None:
    most = get(name).abilities.max_per_call
    with http.mounted("http://say.test", said := Says(200, b"")):
        for texts in ((), TEXTS * (most + 1), (Outgoing("+13125550100", "x" * 5000, "r"),)):
            with pytest.raises(errors.Invalid):
                opened(name).send(ENVELOPE, texts)
    assert not said.requests


@each_provider
def test_without_keys_nothing_leaves(name: str) -> None:
    provider = open_account(Account(name, name, "http://say.test"))
    with http.mounted("http://say.test", said := Says(200, b"{}")):
        for call in (provider.connect, provider.check, lambda: provider.send(ENVELOPE, TEXTS)):
            with pytest.raises(errors.Misconfigured):
                call()
    assert not said.requests
