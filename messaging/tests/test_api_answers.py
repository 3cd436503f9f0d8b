"""Conversations and webhook calls through the API."""

from __future__ import annotations

import pytest

from contacts import consent
from messaging.models import Conversation, Message
from messaging.tests.calls import make_sent, reply, status, store, tell
from smsportal import clock
from smsportal.tests.programs import API, person, program
from smsportal.tests.world import make_account, make_contact, make_list, make_number, make_unit, make_user

pytestmark = pytest.mark.django_db
URL = f"{API}conversations/"
FROM = "+13125550190"


@pytest.fixture
def client(settings):
    settings.QUIET_HOURS = ""
    make_account()
    return program(make_user(groups=("Sender",)))


def _said(text="When is it?"):
    """A text that was sent, and the answer to it."""
    [message] = make_sent()
    tell(reply(text, number=message.number.e164))
    return message


# --- conversations ---------------------------------------------------------------------------------------------------
def test_an_answer_shows_in_the_inbox_and_in_its_thread(client):
    message = _said()
    [row] = client.get(f"{URL}?needs_attention=true").json()["results"]
    assert (row["phone_number"], row["last_text"], row["needs_attention"]) == (
        message.number.e164, "When is it?", True,
    )  # fmt: skip
    thread = client.get(f"{URL}{row['id']}/").json()
    assert {(line["direction"], line["text"]) for line in thread["turns"]} == {("out", "Hello"), ("in", "When is it?")}
    assert {name: thread[name] for name in row} == row
    assert row["last_at"] in [line["at"] for line in thread["turns"]]  # every time of an answer is written alike
    assert client.get(f"{URL}?needs_attention=false").json()["results"] == []
    assert len(client.get(f"{URL}?account=ocelot&phone_number={message.number.e164[2:]}").json()["results"]) == 1


def test_a_reply_leaves_from_where_the_last_text_came(client):
    message = _said()
    conversation = Conversation.objects.get()
    answer = client.post(f"{URL}{conversation.uuid}/reply/", {"text": "On Monday."})
    assert answer.status_code == 202
    assert (answer.json()["to"], answer.json()["text"]) == (message.number.e164, "On Monday.")
    assert Message.objects.get(uuid=answer.json()["id"]).batch.sender == FROM
    assert client.get(f"{URL}{conversation.uuid}/").json()["needs_attention"] is False


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": "Hi", "to": "+13125550101"}])
def test_a_wrong_reply_is_refused(client, body):
    _said()
    assert client.post(f"{URL}{Conversation.objects.get().uuid}/reply/", body).status_code == 400


def test_nobody_who_opted_out_is_answered(client):
    message = _said()
    consent.opt_out(message.number, source="staff")
    answer = client.post(f"{URL}{Conversation.objects.get().uuid}/reply/", {"text": "Hi"})
    assert answer.status_code == 409


def test_the_providers_transcript_is_asked_for_and_not_stored(client, twin):
    _said()
    conversation = Conversation.objects.get()
    answer = client.post(f"{URL}{conversation.uuid}/refresh/")
    assert answer.status_code == 200
    assert isinstance(answer.json()["turns"], list)
    assert conversation.turns.count() == 1


def test_conversations_are_seen_by_the_units_that_know_the_person(client):
    number = make_number("+13125550150")
    conversation = Conversation.objects.create(account=make_account(), number=number, last_at=clock.now())
    other = program(make_user("other", groups=("Sender",), units=[make_unit("Housing")]))
    assert client.get(URL).json()["results"] == []
    assert client.get(f"{URL}{conversation.uuid}/").status_code == 404
    assert client.post(f"{URL}{conversation.uuid}/reply/", {"text": "Hi"}).status_code == 404
    make_contact(make_list(unit=make_unit("Housing")), number.e164)
    assert client.get(URL).json()["results"] == []
    assert len(other.get(URL).json()["results"]) == 1


def test_the_inbox_takes_few_queries(client, django_assert_max_num_queries):
    contact_list = make_list()
    for number in range(20):
        contact = make_contact(contact_list, f"+131255501{number:02}")
        Conversation.objects.create(account=contact_list.account, number=contact.number, last_at=clock.now())
    client.get(URL)
    with django_assert_max_num_queries(5):
        assert len(client.get(URL).json()["results"]) == 20


# --- webhook calls ---------------------------------------------------------------------------------------------------
CALLS = f"{API}webhook-calls/"


@pytest.fixture
def operator():
    return person("Administrator", username="ops")


def test_a_call_is_shown_with_its_raw_body_and_the_fate_of_each_element(operator):
    [message] = make_sent()
    tell([status(message, "delivered"), {"nonsense": 1}])
    [row] = operator.get(f"{CALLS}?state=done&account=ocelot").json()["results"]
    assert (row["account"], row["state"], row["deliveries"]) == ("ocelot", "done", 1)
    call = operator.get(f"{CALLS}{row['id']}/").json()
    assert '"nonsense"' in call["body"]
    assert [(item["position"], item["state"]) for item in call["items"]] == [(0, "applied"), (1, "unrecognised")]
    assert call["items"][0]["message"] == str(message.uuid)
    assert call["items"][1]["raw"] == {"nonsense": 1}


def test_a_call_is_read_again_without_doubling_anything(operator):
    [message] = make_sent()
    tell(status(message, "delivered"))
    [row] = operator.get(CALLS).json()["results"]
    answer = operator.post(f"{CALLS}{row['id']}/replay/")
    assert answer.status_code == 200
    assert [item["state"] for item in answer.json()["items"]] == ["applied"]
    message.refresh_from_db()
    assert message.delivery == 70
    assert message.receipts.count() == 1


def test_a_body_that_is_no_text_is_shown_all_the_same(operator):
    call = store(b"\xff\xfe{")
    assert operator.get(f"{CALLS}{call.uuid}/").json()["body"]


def test_no_answer_about_calls_holds_a_header_or_a_secret(operator):
    call = store({"a": 1})
    call.headers = {"X-Canary": "canary-header"}
    call.save()
    for url in (CALLS, f"{CALLS}{call.uuid}/"):
        text = operator.get(url).content.decode()
        assert "canary-header" not in text
        assert "sandbox-key" not in text


@pytest.mark.parametrize("number", [1, 10])
def test_listing_calls_takes_the_same_queries_whatever_their_number(operator, django_assert_max_num_queries, number):
    for n in range(number):
        store({"n": n})
    with django_assert_max_num_queries(6):
        assert len(operator.get(CALLS).json()["results"]) == number
