"""The Ocelot client at its limits, and against everything the documents leave open."""

from __future__ import annotations

import json
from typing import Any

import pytest

from smsportal import providers
from smsportal.providers import errors, http, open_account
from smsportal.providers.base import (
    Account,
    Answer,
    Delivery,
    Envelope,
    Fate,
    Outgoing,
    Provider,
    RemoteContact,
    RemoteField,
    RemoteList,
)
from smsportal.providers.ocelot import statuses, wording
from smsportal.sandbox.app import Twins
from smsportal.tests.inprocess import Says

SECRETS = {"chatbot_uuid": "964783cd-c648-4628-8262-55dac3831d8f", "api_key": "sandbox-key"}
ENVELOPE = Envelope("+13125550190", operator="advising@example.edu", callback_url="https://portal.example.edu/hooks/x/")


def ocelot(base_url: str = "http://twins.test/ocelot/api/v1", **options: str) -> Provider:
    return open_account(Account("ocelot", "ocelot", base_url, SECRETS, options))


def number(at: int) -> str:
    """The twin delivers to 0100 to 0149; the numbers after those have fates of their own."""
    return f"+1{(312, 213)[at // 50]}55501{at % 50:02}"


def texts(count: int, text: str = "Hello") -> list[Outgoing]:
    return [Outgoing(number(at % 100), text, f"r-{at}.1", f"c-{at}") for at in range(count)]


TYPES = {"First_Name": "FirstName", "Last_Name": "LastName"}


def person(at: int, **fields: str) -> RemoteContact:
    named = {name: (TYPES[name], value) for name, value in fields.items()}
    return RemoteContact({"Phone_Number": ("PhoneNumber", number(at)), **named})


def said(body: object, status: int = 201, count: int = 2) -> Answer:
    """What the client makes of `body` as the answer to a send."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with http.mounted("http://say.test", Says(status, raw)):
        return ocelot("http://say.test").send(ENVELOPE, texts(count))


def fates(answer: Answer) -> list[tuple[str, str]]:
    return [(receipt.fate.value, receipt.remote_id) for receipt in answer.receipts]


# --- sending ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("count", [1, 100])
def test_up_to_100_texts_go_in_one_call_with_our_ids(twin: Twins, count: int) -> None:
    given = texts(count)
    answer = ocelot().send(ENVELOPE, given)
    assert [each["customerMessageId"] for each in twin.ocelot.sent] == [each.reference for each in given]
    assert [each["messageUuid"] for each in twin.ocelot.sent] == [each.remote_id for each in answer.receipts]
    assert {each["from"] for each in twin.ocelot.sent} == {"312-555-0190"}
    assert answer.remote_id == twin.ocelot.sent[0]["batchUuid"]


@pytest.mark.parametrize(
    ("envelope", "given"),
    [
        (ENVELOPE, texts(0)),
        (ENVELOPE, texts(101)),
        (ENVELOPE, texts(1, "")),
        (ENVELOPE, texts(1, "x" * 2001)),
        (ENVELOPE, [Outgoing("312-555-010", "Hello", "r-1.1")]),
        (ENVELOPE, [Outgoing("+13125550100", "Hello", "")]),
        (Envelope("REGISTRAR", operator="advising@example.edu"), texts(1)),
        (Envelope("+13125550190"), texts(1)),
        (Envelope("+13125550190", operator="advising@example.edu", callback_url="portal"), texts(1)),
    ],
)
def test_what_breaks_the_documents_never_leaves(twin: Twins, envelope: Envelope, given: list[Outgoing]) -> None:
    with pytest.raises(errors.Invalid) as stopped:
        ocelot().send(envelope, given)
    assert "x" * 100 not in stopped.value.text
    assert not twin.requests


def test_2000_characters_are_sent_whole_and_the_slash_is_kept(twin: Twins) -> None:
    ocelot().send(ENVELOPE, texts(1, "é" * 2000))
    assert twin.ocelot.sent[0]["text"] == "é" * 2000
    assert [each.path for each in twin.requests] == ["/ocelot/api/v1/sms/send/"]


@pytest.mark.parametrize(
    "shape", ["object", "array", "renamed", "nested", "extra_items", "doubled_items", "shuffled", "no_reference"]
)
def test_the_shape_of_the_answer_changes_nothing(twin: Twins, shape: str) -> None:
    twin.ocelot.switches.send_shape = shape
    answer = ocelot().send(ENVELOPE, texts(3))
    assert fates(answer) == [("accepted", each["messageUuid"]) for each in twin.ocelot.sent]
    assert answer.remote_id == twin.ocelot.sent[0]["batchUuid"]


def test_an_empty_answer_accepts_all_without_ids(twin: Twins) -> None:
    twin.ocelot.switches.send_shape = "empty"
    answer = ocelot().send(ENVELOPE, texts(2))
    assert fates(answer) == [("accepted", "")] * 2
    assert (answer.remote_id, answer.status) == ("", 202)


def test_a_text_the_answer_leaves_out_is_unknown(twin: Twins) -> None:
    twin.ocelot.switches.send_shape = "missing_items"
    assert [fate for fate, _ in fates(ocelot().send(ENVELOPE, texts(4)))] == ["unknown", "accepted"] * 2


def test_a_text_refused_inside_an_accepted_call_is_rejected_with_a_sentence(twin: Twins) -> None:
    twin.ocelot.switches.send_shape = "item_errors"
    given = [*texts(1), Outgoing("+13125550157", "Hello", "r-9.1")]
    first, second = ocelot().send(ENVELOPE, given).receipts
    assert (first.fate, second.fate, second.error_code) == (Fate.ACCEPTED, Fate.REJECTED, "OptedOut")
    assert second.error_text == statuses.OPTED_OUT.text


@pytest.mark.parametrize(
    "body",
    [
        b"", b"  \n", b"null", b"true", b'"queued"', b"{}", b"[]", b"7",
        b'{"batchUuid":"b-1","messages":[]}', b'{"messages":"2"}', b'{"results":[{"x":1}]}', b"[[],[]]",
    ],
)  # fmt: skip
def test_any_success_accepts_the_batch_as_a_whole(body: bytes) -> None:
    assert fates(said(body)) == [("accepted", "")] * 2


@pytest.mark.parametrize(
    "body", [b"OK", b"<html>", b"{", b"\xff", b"false", b'{"statusCode":500}', b'{"success":false}']
)
def test_a_success_that_cannot_be_read_or_contradicts_itself_may_have_been_sent(body: bytes) -> None:
    with pytest.raises(errors.Garbled) as caught:
        said(body)
    assert caught.value.sent is errors.Sent.MAYBE
    assert caught.value.status == 201


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([{"id": "a"}, {"id": "b"}], [("accepted", "a"), ("accepted", "b")]),  # as many: by place
        ([{"id": "a"}], [("unknown", "")] * 2),
        ([{"id": "a"}, {"id": "b"}, {"id": "c"}], [("unknown", "")] * 2),
        ([{"id": "a", "to": "(312) 555-0101"}], [("unknown", ""), ("accepted", "a")]),
        ([{"id": "a", "to": "3125550101"}, {"id": "b", "to": "312.555.0101"}], [("unknown", "")] * 2),
        ([{"id": "a", "customerMessageId": "not-ours"}] * 2, [("unknown", "")] * 2),
        ([{"id": 7, "customerMessageId": "r-1.1"}], [("unknown", ""), ("accepted", "7")]),
        ([{"error": "no"}, {"id": "b", "status": "queued"}], [("rejected", ""), ("accepted", "b")]),
    ],
)
def test_texts_are_told_apart_by_reference_then_number_then_place(
    items: list[dict[str, Any]], expected: list[tuple[str, str]]
) -> None:
    assert fates(said({"batchUuid": "b-1", "messages": items})) == expected


# --- lists and contacts ----------------------------------------------------------------------------------------------
def test_a_list_lives_from_creation_to_deletion(twin: Twins) -> None:
    provider = ocelot()
    field = RemoteField("Text", "Address", "Address")
    made = provider.create_list(RemoteList("Fall", ("x" * 50,), {"source": "portal"}, (field,)))
    assert provider.read_list(made.remote_id).name == "Fall"
    assert provider.replace_list_by_name(RemoteList("Fall", ("new",))).remote_id == made.remote_id
    assert provider.replace_list(made.remote_id, RemoteList("Spring")).name == "Spring"
    provider.delete_list(made.remote_id)
    provider.delete_list(made.remote_id)  # gone already: as good as deleted
    with pytest.raises(errors.Missing):
        provider.read_list(made.remote_id)


@pytest.mark.parametrize(
    "wanted",
    [
        RemoteList(""),
        RemoteList("Fall", tags=("x" * 51,)),
        RemoteList("Fall", tags=("",)),
        RemoteList("Fall", fields=(RemoteField("Text", "First_Name", "First name"),)),
        RemoteList("Fall", fields=(RemoteField("Text", "two words", "Two words"),)),
        RemoteList("Fall", fields=(RemoteField("", "Address", "Address"),)),
    ],
)
def test_a_list_ocelot_would_take_amiss_never_leaves(twin: Twins, wanted: RemoteList) -> None:
    with pytest.raises(errors.Invalid):
        ocelot().create_list(wanted)
    assert not twin.requests


@pytest.mark.parametrize("remote_id", ["", " ", "../x", "a/b", "?x=1"])
def test_an_id_that_would_lead_elsewhere_never_leaves(twin: Twins, remote_id: str) -> None:
    with pytest.raises(errors.Invalid):
        ocelot().delete_list(remote_id)
    assert not twin.requests


@pytest.mark.parametrize("zero_counts", [False, True])
def test_contacts_are_added_paged_and_the_rejected_named(twin: Twins, zero_counts: bool) -> None:
    twin.ocelot.switches.zero_counts = zero_counts  # the documents' sample: a rejected row, and a count of 0
    twin.ocelot.switches.page_max = 30
    provider = ocelot()
    remote_id = provider.create_list(RemoteList("Fall")).remote_id
    people = [person(at, First_Name="Ada", Last_Name="") for at in range(50)]
    assert provider.add_contacts(remote_id, people).rejected == ()
    again = provider.add_contacts(remote_id, [people[7], person(60)])
    assert [(each.contact, each.text) for each in again.rejected] == [
        (people[7], "Phone Number 312-555-0107 is not unique.")
    ]
    pages = list(provider.contact_pages(remote_id))
    assert [(page.skip, len(page.contacts), page.total) for page in pages] == [(0, 30, 51), (30, 21, 51)]
    assert pages[0].contacts[0].value("Phone_Number") == "+13125550100"
    assert "Last_Name" not in pages[0].contacts[0].fields  # blank values are not sent


def test_more_contacts_than_a_call_may_hold_are_halved_by_the_caller(twin: Twins) -> None:
    with pytest.raises(errors.TooLarge):
        ocelot(contacts_per_call="2").add_contacts("5f", [person(at) for at in range(3)])
    assert not twin.requests


@pytest.mark.parametrize(
    ("answer", "rejected", "notes"),
    [
        (b"", [], []),
        (b"{}", [], []),
        (b'{"errors":"Phone Number 312-555-0101 is not unique."}', ["+13125550101"], []),
        (b'[{"errors":["Phone Number +1 312 555 0101 is not unique.","Quota used up"]}]', ["+13125550101"], ["Quota used up"]),
        (b'[{"errors":["Phone Number 212-555-0101 is not unique."]}]', [], ["Phone Number 212-555-0101 is not unique."]),
        (b'{"rejectedData":[{"fields":[{"type":"PhoneNumber","name":"Phone_Number","value":"3125550100"}]}]}', ["+13125550100"], []),
    ],
)  # fmt: skip
def test_rejections_are_found_in_any_shape(answer: bytes, rejected: list[str], notes: list[str]) -> None:
    with http.mounted("http://say.test", Says(201, answer)):
        found = ocelot("http://say.test").add_contacts("5f", [person(0), person(1)])
    assert [each.contact.value("Phone_Number") for each in found.rejected] == rejected
    assert list(found.notes) == notes


def test_pages_that_do_not_move_on_end_in_an_error() -> None:
    row = {"fields": [{"type": "PhoneNumber", "name": "Phone_Number", "value": "312-555-0100"}]}
    page = json.dumps({"results": {"total": 9, "data": [row]}}).encode()
    with http.mounted("http://say.test", Says(200, page)), pytest.raises(errors.Garbled):
        list(ocelot("http://say.test").contact_pages("5f"))


# --- lookups, credentials, options -----------------------------------------------------------------------------------
def test_senders_and_transcripts_are_read_in_our_words(twin: Twins) -> None:
    provider = ocelot()
    senders = provider.senders("advising@example.edu")
    assert {"+13125550190", "+13125550199"} <= {each.address for each in senders}
    assert next(each for each in senders if each.address == "+13125550199").campaign_ids
    provider.send(ENVELOPE, texts(1, "one"))
    provider.send(ENVELOPE, texts(1, "two"))
    turns = provider.transcript("advising@example.edu", "+13125550100")
    assert (turns[0].sender, turns[0].recipient) == ("+13125550190", "+13125550100")
    assert [turn.text for turn in turns] == ["one", "two"]
    assert all(turn.at for turn in turns)


def test_a_lookup_whose_address_is_wrong_says_which_option_to_set(twin: Twins) -> None:
    with pytest.raises(errors.Unable, match="phone_numbers_path"):
        ocelot(phone_numbers_path="/numbers").senders("advising@example.edu")
    twin.ocelot.switches.lookup_verbs = "GET"
    with pytest.raises(errors.Unable, match="transcripts_path"):
        ocelot().transcript("advising@example.edu", "+13125550100")
    assert ocelot(lookup_verb="GET").senders("advising@example.edu")


def test_a_check_tells_keys_and_address_apart(twin: Twins) -> None:
    ocelot().check()
    with pytest.raises(errors.Misconfigured, match="keys"):
        open_account(Account("o", "ocelot", "http://twins.test/ocelot/api/v1", {**SECRETS, "api_key": "wrong"})).check()
    for wrong in ("http://twins.test/ocelot/api/v2", "http://twins.test/nowhere"):
        with pytest.raises(errors.Misconfigured):
            ocelot(wrong).check()
        with pytest.raises(errors.Misconfigured):
            ocelot(wrong).delete_list("5f")  # not "gone already"


def test_options_change_what_the_documents_leave_open(twin: Twins) -> None:
    twin.ocelot.switches.replace_verb = "POST"
    twin.ocelot.switches.accept_e164 = True
    made = ocelot().create_list(RemoteList("Fall"))
    with pytest.raises(errors.Misconfigured):
        ocelot().replace_list(made.remote_id, RemoteList("Fall"))
    ocelot(replace_verb="POST").replace_list(made.remote_id, RemoteList("Fall"))
    ocelot(number_format="e164").send(ENVELOPE, texts(1))
    assert twin.ocelot.sent[-1]["to"] == "+13125550100"


@pytest.mark.parametrize(
    "given", ["312-555-0100", "(312) 555-0100", "312.555.0100", "3125550100", "+13125550100", "1 312 555 0100"]
)
def test_numbers_come_back_in_one_spelling(given: str) -> None:
    assert wording.from_ocelot(given) == "+13125550100"


@pytest.mark.parametrize("given", ["", "12", "+442079460000", "5550100", "a3125550100"])
def test_what_is_no_us_number_comes_back_as_it_is(given: str) -> None:
    assert wording.from_ocelot(given) == given


# --- words -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("word", "rank"),
    [
        *statuses.STATUSES.items(),
        ("Permanent Failure", Delivery.FAILED),
        ("PERMANENT-FAILURE", Delivery.FAILED),
        ("softBounce", Delivery.TEMPORARY_FAILURE),
        ("failed_temporarily", Delivery.TEMPORARY_FAILURE),
        ("not_delivered", Delivery.FAILED),
        ("delivered_to_carrier", Delivery.CARRIER),
        ("handset_delivered", Delivery.DELIVERED),
        ("still_queued", Delivery.ACCEPTED),
        ("carrier_review", None),
        ("delivery", None),
        ("", None),
    ],
)
def test_a_status_has_one_rank_or_none(word: str, rank: Delivery | None) -> None:
    assert statuses.delivery(word) is rank


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("BlockedByCarrierUser", statuses.BLOCKED),
        ("blocked_by_user", statuses.BLOCKED),
        ("OptedOut", statuses.OPTED_OUT),
        ("Opted out", statuses.OPTED_OUT),
        ("BlockedByCarrierSpamFilter", statuses.FILTERED),
        ("CarrierViolation", statuses.FILTERED),
        ("LandlineNotTextCapable", statuses.LANDLINE),
        ("international number", statuses.ABROAD),
        ("UnknownSubscriber", statuses.BAD_NUMBER),
        ("InvalidNumber", statuses.BAD_NUMBER),
        ("CarrierTimeout", statuses.UNREACHABLE),
        ("", statuses.NO_REASON),
    ],
)
def test_staff_are_told_what_happened_and_what_to_do(code: str, failure: statuses.Failure) -> None:
    assert statuses.failure(code) == failure


@pytest.mark.parametrize(
    ("code", "title", "again"),
    [
        ("BlockedByCarrierUser", "Blocked by the person", False),
        ("CarrierTimeout", "Phone not reached", True),
        ("", "No reason given", True),
        ("Xyzzy", "Failed: Xyzzy", False),
        ("400", "Refused by the provider", False),
    ],
)
def test_an_error_code_says_whether_trying_again_makes_sense(code: str, title: str, again: bool) -> None:
    trouble = providers.get("ocelot").explain(code, "Too many commas.")
    assert (trouble.title, trouble.again) == (title, again)
    assert trouble.advice.endswith(".")


def test_an_unknown_error_is_told_by_its_own_name() -> None:
    found = statuses.failure("Xyzzy", "permanent_failure")
    assert "“Xyzzy”" in found.text
    assert not found.blocked_by_person
