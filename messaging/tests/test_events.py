"""Stored calls become items, each once and with its own fate: broken bodies, repetitions, conflicts, retries, replays."""

from __future__ import annotations

import json
from datetime import timedelta
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts.models import ConsentEvent, PhoneNumber
from messaging import events
from messaging.events import effects, receipts
from messaging.models import CallState, Conversation, ItemState, Message, Receipt, Turn, WebhookCall, WebhookItem
from messaging.tests.calls import make_sent, opt, read_all, reply, status, store, tell
from smsportal import clock
from smsportal.providers.base import Delivery
from smsportal.providers.ocelot import statuses
from smsportal.tests.world import make_account

pytestmark = pytest.mark.django_db

BROKEN = {
    "empty": b"",
    "not json": b"hello",
    "half": b'[{"eventId": "e1"',
    "utf-16": '{"a":1}'.encode("utf-16"),
    "latin-1": '{"name": "Zoë"}'.encode("latin-1"),
    "nested": b"[" * 100_000 + b"]" * 100_000,
    "not a number": b'{"a": NaN}',
    "infinite": b'{"a": 1e999}',
    "wide": b"[" + b"1," * 10_000 + b"1]",
}
ODD = {
    "byte order mark": b'\xef\xbb\xbf[{"name": "x"}]',
    "scalar": b"5",
    "null": b"null",
    "text": b'"STOP"',
    "empty object": b"{}",
    "huge integer": b'{"eventId": 1' + b"0" * 5000 + b"}",
    "NUL": b'{"name": "a\\u0000b"}',
    "half a character": b'{"name": "\\ud800", "\\udc00": 1}',
    "wrong types": b'{"messageUuid": [], "status": {}, "customerMessageId": 7, "errorCode": true}',
    "no number": b'{"name": "PhoneNumber.optedOut", "referenceField": null}',
    "year 1": b'{"from":"+13125550100","to":"x","message":"hi","name":"IncomingSms.received","dateTime":"0001-01-01T00:00:00+14:00"}',
    "year 9999": b'{"from":"+13125550100","to":"x","message":"hi","name":"IncomingSms.received","dateTime":"9999-12-31T23:59:59-14:00"}',
    "long": json.dumps({"eventId": "e" * 5000, "name": "n" * 5000, "messageUuid": "m" * 5000}).encode(),
}  # fmt: skip


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_body_nobody_can_read_is_put_aside_with_the_reason(body):
    call = store(body)
    read_all()
    call.refresh_from_db()
    assert call.state == CallState.PARKED
    assert call.problem
    assert not call.items.exists()


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_an_odd_body_is_read_and_harms_nothing(body):
    call = store(body)
    read_all()
    call.refresh_from_db()
    assert call.state == CallState.DONE
    assert call.items.exclude(state=ItemState.NEW).count() == 1
    assert not PhoneNumber.objects.filter(opted_out=True).exists()


# One level of JSON around words the parser looks for, so that random bodies come close to real ones.
_leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_names = st.sampled_from(
    ["eventId", "name", "messageUuid", "customerMessageId", "status", "errorCode", "referenceField", "campaignId",
     "contactFields", "from", "to", "message", "dateTime", "triggerType", "events", "type", "value"]
)  # fmt: skip
_json = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names | st.text(max_size=8), inner, max_size=6)
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=_json)
def test_no_body_ever_stops_the_worker(payload):
    WebhookCall.objects.all().delete()
    call = store(json.dumps(payload).encode())
    read_all()
    call.refresh_from_db()
    assert call.state in (CallState.DONE, CallState.PARKED)
    assert not call.items.filter(state__in=[ItemState.NEW, ItemState.PARKED]).exists()


def test_one_bad_element_leaves_its_neighbours_alone():
    one, two = make_sent(2)
    fates = [item.state for item in tell([status(one, "delivered"), 7, {"messageUuid": {}}, status(two, "delivered")])]
    assert fates == [ItemState.APPLIED, ItemState.UNRECOGNISED, ItemState.UNRECOGNISED, ItemState.APPLIED]
    assert set(Message.objects.values_list("delivery", flat=True)) == {Delivery.DELIVERED}


def test_an_unknown_status_and_an_unknown_event_are_kept_and_change_nothing():
    (message,) = make_sent(state="unknown")
    items = tell([status(message, "teleported"), {"name": "Moon.rose", "eventId": "m1"}, opt("Sideways")])
    assert {item.state for item in items} == {ItemState.UNRECOGNISED}
    assert all(item.problem for item in items)
    message.refresh_from_db()
    assert (message.state, message.delivery) == ("unknown", Delivery.NONE)
    assert not ConsentEvent.objects.exists()


# --- once each -------------------------------------------------------------------------------------------------------
def test_the_same_news_in_another_call_counts_once():
    (message,) = make_sent()
    news = status(message, "delivered")
    tell([news], [news, {"name": "Moon.rose"}], {"events": [news]})
    item = WebhookItem.objects.get(kind="receipt")
    assert (item.repeats, item.state) == (2, ItemState.APPLIED)
    assert Receipt.objects.filter(message=message).count() == 1


def test_the_same_event_with_another_content_is_a_conflict_and_not_applied():
    first, second = reply("See you at 3", event="e5"), reply("STOP", event="e5")
    items = tell([first], [second], [second, {}])
    assert [item.state for item in items] == [ItemState.APPLIED, ItemState.CONFLICT, ItemState.UNRECOGNISED]
    assert str(items[0].uuid) in items[1].problem
    assert Turn.objects.get().text == "See you at 3"
    assert not PhoneNumber.objects.get().opted_out


def test_two_of_one_key_in_one_array_count_once():
    (message,) = make_sent()
    one, other = status(message, "delivered"), status(message, "delivered", batchUuid="x")
    assert [item.state for item in tell([one, one, other])] == [ItemState.APPLIED, ItemState.CONFLICT]
    assert Receipt.objects.count() == 1


def test_one_event_id_on_two_kinds_is_two_events():
    """Ocelot's own samples show the same eventId on an inbound text and on an opt-in (Texting API)."""
    shared = "d6703cc8-9e79-415d-ac03-a4dc7f6ab43c"
    items = tell([reply("Hello", event=shared)], opt("Out", event=shared))
    assert [item.state for item in items] == [ItemState.APPLIED, ItemState.APPLIED]
    assert Turn.objects.count() == 1
    assert PhoneNumber.objects.get().opted_out


def test_two_accounts_may_use_one_event_id():
    tell([reply("Hello")])
    tell([reply("Hello")], account=make_account("second"))
    assert Turn.objects.count() == 2


# --- a worker that dies or fails -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "where", ["messaging.events.items.take_in", "messaging.events._apply", "messaging.events.let_go"]
)
def test_a_call_whose_worker_died_is_read_again_with_one_effect(where, time_machine):
    (message,) = make_sent(state="unknown")
    call = store([status(message, "delivered"), reply("STOP")])
    with mock.patch(where, side_effect=SystemExit), pytest.raises(SystemExit):
        read_all()
    read_all()
    assert WebhookCall.objects.get().state == CallState.NEW
    time_machine.move_to(clock.now() + timedelta(seconds=events.LEASE_S + 1))
    read_all()
    call.refresh_from_db()
    assert (call.state, call.tries) == (CallState.DONE, 2)
    assert {item.state for item in call.items.all()} == {ItemState.APPLIED}
    assert (Receipt.objects.count(), Turn.objects.count(), ConsentEvent.objects.count()) == (1, 1, 1)


def test_a_call_that_fails_five_times_is_put_aside(time_machine):
    call = store([reply("Hello")])
    with mock.patch("messaging.events.items.take_in", side_effect=ValueError("our mistake")):
        for _ in range(7):
            read_all()
            time_machine.move_to(clock.now() + timedelta(hours=10))
    call.refresh_from_db()
    assert (call.state, call.tries) == (CallState.PARKED, 5)
    assert "our mistake" in call.problem


def test_a_receipt_that_breaks_our_code_leaves_the_others_alone_and_is_put_aside(time_machine):
    one, two = make_sent(2)
    genuine = receipts._join

    def breaks(row, *rest):
        if row.pk == one.pk:
            raise ValueError("our mistake")
        genuine(row, *rest)

    with mock.patch.object(receipts, "_join", breaks):
        bad, good = tell([status(one, "delivered"), status(two, "delivered")])
        assert (bad.state, good.state) == (ItemState.NEW, ItemState.APPLIED)
        for _ in range(8):
            time_machine.move_to(clock.now() + timedelta(hours=10))
            events.retry_items()
    bad.refresh_from_db()
    assert (bad.state, bad.tries, bad.retry_at) == (ItemState.PARKED, effects.MAX_TRIES, None)
    assert "our mistake" in bad.problem
    two.refresh_from_db()
    assert two.delivery == Delivery.DELIVERED
    assert Receipt.objects.filter(message=two).count() == 1


def test_a_person_s_item_that_breaks_our_code_is_tried_again(time_machine):
    with mock.patch("messaging.events.effects.conversations.note_reply", side_effect=ValueError("our mistake")):
        bad, good = tell([reply("STOP"), opt("Out", number="312-555-0101")])
    assert (bad.state, good.state) == (ItemState.NEW, ItemState.APPLIED)
    assert not ConsentEvent.objects.filter(number__e164="+13125550100").exists()
    time_machine.move_to(bad.retry_at)
    assert events.retry_items() == 1
    assert PhoneNumber.objects.get(e164="+13125550100").opted_out


# --- news that comes too early ---------------------------------------------------------------------------------------
def test_a_receipt_of_an_unknown_message_is_tried_again_for_a_day(time_machine):
    (message,) = make_sent()
    news = status(message, "delivered", customerMessageId="00000000-0000-4000-8000-000000000000.1")
    (item,) = tell([news])
    waits = []
    while item.retry_at is not None:
        waits.append(round((item.retry_at - clock.now()).total_seconds() / 60))
        time_machine.move_to(item.retry_at + timedelta(seconds=1))
        assert events.retry_items() == 0
        item.refresh_from_db()
    assert waits == [1, 5, 30, 120, 480, 1440]
    assert (item.state, item.message) == (ItemState.UNMATCHED, None)
    assert events.retry_items() == 0


def test_a_receipt_before_its_message_is_committed_finds_it_later(time_machine):
    (message,) = make_sent(state="unknown")
    news = status(message, "delivered")
    kept = Message(**{field.attname: getattr(message, field.attname) for field in Message._meta.concrete_fields})
    message.delete()
    (item,) = tell([news])
    assert item.state == ItemState.UNMATCHED
    kept.save(force_insert=True)
    assert events.retry_items() == 0
    time_machine.move_to(item.retry_at)
    assert events.retry_items() == 1
    item.refresh_from_db()
    kept.refresh_from_db()
    assert (item.state, item.message, kept.state) == (ItemState.APPLIED, kept, "accepted")


# --- reading again ---------------------------------------------------------------------------------------------------
def snapshot() -> tuple[object, ...]:
    """Everything webhooks can change."""
    return (
        list(Message.objects.order_by("pk").values_list("state", "evidence", "delivery", "error_code", "remote_id")),
        list(Receipt.objects.order_by("pk").values_list("message", "attempt", "delivery", "status")),
        list(ConsentEvent.objects.order_by("pk").values_list("number", "kind", "at")),
        list(PhoneNumber.objects.order_by("pk").values_list("e164", "opted_out", "consent_at")),
        list(Turn.objects.order_by("pk").values_list("text", "at")),
        list(Conversation.objects.order_by("pk").values_list("last_text", "needs_attention")),
        list(WebhookItem.objects.order_by("pk").values_list("key", "state", "effect", "repeats", "message")),
    )


def test_reading_everything_again_changes_nothing():
    one, two = make_sent(2, state="unknown")
    tell(
        [status(one, "sent"), status(two, "permanent_failure", "BlockedByCarrierUser"), 5],
        [status(one, "sent"), reply("STOP"), reply("Hi", event="e2", number="+13125550101")],
        opt("In"), [reply("other", event="e2")], b"[",
    )  # fmt: skip
    before = snapshot()
    told = events.replay(WebhookCall.objects.all())
    assert (told.calls, told.busy, told.failed, dict(told.changes)) == (5, 0, 0, {})
    assert snapshot() == before


def test_a_word_learned_later_is_applied_by_a_replay(monkeypatch, capsys):
    (message,) = make_sent(state="unknown")
    tell([status(message, "teleported")])
    monkeypatch.setattr(statuses, "delivery", statuses.delivery.__wrapped__)  # it remembers what it was asked
    monkeypatch.setitem(statuses.STATUSES, "teleported", Delivery.DELIVERED)
    call_command("replay_webhooks", "--state", "all", "--dry-run")
    dry = capsys.readouterr().out
    message.refresh_from_db()
    assert (message.state, WebhookItem.objects.get().kind) == ("unknown", "unrecognised")
    call_command("replay_webhooks", "--state", "all")
    message.refresh_from_db()
    assert (message.state, message.delivery) == ("accepted", Delivery.DELIVERED)
    assert WebhookItem.objects.get().state == ItemState.APPLIED
    wet = capsys.readouterr().out
    for line in ("1 × none → delivered", "1 × item unrecognised → applied"):
        assert f"would change      {line}" in dry
        assert f"changed      {line}" in wet


def test_a_replay_leaves_alone_what_a_worker_is_reading():
    store([reply("Hello")])
    held = events.next_call()
    told = events.replay(WebhookCall.objects.all())
    assert (told.calls, told.busy) == (0, 1)
    events.read_call(held)
    assert Turn.objects.count() == 1


def test_a_body_that_was_cut_off_is_never_read():
    call = store([reply("STOP")])
    WebhookCall.objects.update(sha256="0" * 64, state=CallState.PARKED, problem="Lost: too large.")
    events.replay(WebhookCall.objects.all())
    call.refresh_from_db()
    assert (call.state, call.problem) == (CallState.PARKED, "Lost: too large.")
    assert not call.items.exists()


def test_the_command_chooses_calls(capsys):
    parked, done = store(b"["), store([reply("Hello")])
    read_all()
    for arguments, count in (
        ([], 1), (["--state", "done"], 1), (["--state", "all"], 2), (["--call", str(done.uuid)], 1),
        (["--account", "ocelot"], 1), (["--account", "other"], 0), (["--call", str(parked.uuid), "--dry-run"], 1),
    ):  # fmt: skip
        call_command("replay_webhooks", *arguments)
        assert f"{count} calls read again" in capsys.readouterr().out
    for wrong in ("x", "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(CommandError):
            call_command("replay_webhooks", "--call", wrong)


# --- what a call costs -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", ["accepted", "unknown"])
def test_a_call_of_a_hundred_receipts_costs_as_many_statements_as_one_of_ten(state, django_assert_max_num_queries):
    for start, count in ((0, 10), (100, 100)):
        messages = make_sent(count, state=state, start=start)
        store([status(message, "delivered" if message.pk % 3 else "failed", None) for message in messages])
        with django_assert_max_num_queries(33 if state == "unknown" else 27):
            read_all()
    assert WebhookItem.objects.filter(state=ItemState.APPLIED).count() == 110
