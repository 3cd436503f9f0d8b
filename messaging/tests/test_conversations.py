"""What people answer: replies, STOP and START, opt events, the thread, our answer, and who is not texted any more."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from contacts import consent
from contacts.models import ConsentEvent, ConsentSource, PhoneNumber
from messaging import addresses, conversations, events
from messaging.models import Batch, Conversation, ItemState, Message, Turn, WebhookCall
from messaging.tasks import drain_all
from messaging.tests.calls import make_sent, opt, read_all, reply, status, store, tell
from smsportal import clock
from smsportal.problems import Conflict, Wrong
from smsportal.tests.world import make_account, make_batch, make_number, make_unit, make_user

pytestmark = pytest.mark.django_db

AT = datetime(2025, 9, 1, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""


def test_a_reply_starts_a_conversation_that_somebody_must_look_at():
    (item,) = tell(reply("See you at 3 😀\x00"))
    conversation = Conversation.objects.get()
    assert (str(conversation.number), conversation.account) == ("+13125550100", make_account())
    assert (conversation.needs_attention, conversation.last_text, conversation.last_at) == (True, "See you at 3 😀", AT)
    turn = Turn.objects.get()
    assert (turn.text, turn.at, turn.direction, turn.item, turn.message) == ("See you at 3 😀", AT, "in", item, None)
    assert (item.state, item.number, item.effect) == (ItemState.APPLIED, conversation.number, "reply noted")


@pytest.mark.parametrize("word", ["STOP", "start"])
def test_a_bare_keyword_leaves_nothing_to_answer(word):
    tell(reply(word))
    assert not Conversation.objects.get().needs_attention


def test_a_stop_does_not_hide_a_question_asked_before():
    tell(reply("Which room?", event="e1"), reply("STOP", event="e2"))
    assert Conversation.objects.get().needs_attention


def test_a_thread_shows_a_viewer_only_the_texts_of_their_units():
    (message,) = make_sent()
    conversation = Conversation.objects.create(account=message.batch.account, number=message.number)
    stranger = make_user("stranger", units=[make_unit("Another office")])
    colleague = make_user("colleague", units=[message.batch.unit])
    assert conversations.thread(conversation, viewer=stranger) == []
    assert [line.text for line in conversations.thread(conversation, viewer=colleague)] == [message.text]


def test_a_reply_knows_which_text_it_answers():
    (message,) = make_sent()
    Message.objects.update(created_at=AT - timedelta(hours=1))
    tell(reply("Thanks", number=str(message.number)))
    assert Turn.objects.get().message == message


def test_an_earlier_reply_that_comes_late_does_not_hide_the_latest():
    tell(reply("second", event="e2", at="2025-09-01T16:00:00Z"), reply("first", event="e1"))
    assert Conversation.objects.get().last_text == "second"
    assert [line.text for line in conversations.thread(Conversation.objects.get())] == ["first", "second"]


@pytest.mark.parametrize("future", ["2099-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "yesterday", ""])
def test_a_time_that_cannot_be_believed_becomes_ours(future):
    tell(reply("Hello", at=future))
    received = WebhookCall.objects.get().created_at
    assert Turn.objects.get().at == received


# --- stop and start --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", ["STOP", " stop. ", "Unsubscribe", "take me off your list", "ＳＴＯＰ", "St\u200bop!!", "QUIT"])  # fmt: skip
def test_a_stop_opts_out_at_once_and_skips_what_waits(text):
    (sent,) = make_sent()
    (ready,) = make_sent(state="ready", attempt=0)
    (held,) = make_sent(state="held", attempt=0)
    (other,) = make_sent(state="ready", attempt=0, start=3)
    (item,) = tell(reply(text, number=str(sent.number)))
    assert PhoneNumber.objects.get(pk=sent.number_id).opted_out
    states = {message.pk: (message.state, message.reason) for message in Message.objects.all()}
    assert states == {
        sent.pk: ("accepted", ""), ready.pk: ("skipped", "opted_out"), held.pk: ("skipped", "opted_out"),
        other.pk: ("ready", ""),
    }  # fmt: skip
    event = ConsentEvent.objects.get()
    assert (event.kind, event.source, event.at) == ("out", "reply", AT)
    assert event.evidence["item"] == str(item.uuid)
    assert item.effect == "opted out; 2 waiting skipped; reply noted"
    for message in (ready, held):
        counts = message.batch.counts()
        assert sum(counts.values()) == message.batch.recipients


@pytest.mark.parametrize("text", ["Can you stop by my office?", "I can't stop laughing", "Yes", "HELP", ""])
def test_a_sentence_or_a_question_opts_nobody_out(text):
    tell(reply(text))
    assert not ConsentEvent.objects.exists()
    assert Conversation.objects.get().needs_attention


def test_an_opt_out_at_one_account_holds_everywhere(twin):
    batch = make_batch(["+13125550100", "+13125550101"])
    tell(reply("STOP"), account=make_account("second"))
    drain_all()
    assert [text["e164"] for text in twin.ocelot.sent] == ["+13125550101"]
    assert batch.counts() | {"accepted": 1, "skipped": 1} == batch.counts()


@pytest.mark.parametrize(
    ("told", "opted_out"),
    [
        ([reply("STOP"), reply("START", event="e2", at="2025-09-01T16:00:00Z")], False),
        ([reply("STOP", at="2025-09-01T16:00:00Z"), reply("START", event="e2")], True),
        ([opt("Out"), opt("In", event="e8", at="2025-09-01T16:00:00Z")], False),
        ([opt("Out"), opt("In", event="e8")], True),
        ([opt("Out"), opt("In", event="e8", at=None)], True),
        ([opt("Out", at=None), opt("In", event="e8", at="2025-09-01T16:00:00Z")], True),
        ([opt("Out"), opt("In", event="e8", at="2099-01-01T00:00:00Z"), opt("Out", event="e7", at=None)], True),
        ([opt("Out"), opt("Sideways", event="e8")], True),
        ([opt("In")], False),
    ],
)
def test_who_spoke_last_is_obeyed(told, opted_out):
    tell(*told)
    assert PhoneNumber.objects.get().opted_out is opted_out


def test_an_opt_in_never_lifts_what_staff_blocked():
    consent.opt_out(make_number(), source=ConsentSource.STAFF, staff_block=True, at=AT - timedelta(days=1))
    tell(opt("In"), reply("START"))
    assert PhoneNumber.objects.get().opted_out


@pytest.mark.parametrize("number", ["123-456-7890", "", "nobody", "+44 20 7946 0958"])
def test_an_opt_out_of_a_number_we_cannot_use_is_shown_and_shouted(number, caplog):
    with caplog.at_level(logging.ERROR):
        (item,) = tell(reply("STOP", number=number) | {"campaignId": ""})
    assert item.state in (ItemState.UNMATCHED, ItemState.UNRECOGNISED)
    assert (item.retry_at, bool(item.problem)) == (None, True)
    assert "somebody must look" in caplog.text
    assert not PhoneNumber.objects.exists()


def test_a_campaign_text_that_the_person_blocks_opts_them_out_too():
    told = {
        "eventId": "c1", "name": "OutgoingSms.statusChanged", "triggerType": "outbound", "campaignId": "5f80ac62",
        "contactFields": [{"type": "PhoneNumber", "name": "Phone_Number", "value": "312-555-0100"}],
        "status": "permanent_failure", "errorCode": "BlockedByCarrierUser",
    }  # fmt: skip
    blocked, failed = tell([told, told | {"eventId": "c2", "errorCode": "Landline"}])
    assert PhoneNumber.objects.get().opted_out
    assert (blocked.state, blocked.effect) == (ItemState.APPLIED, "opted out")
    assert (failed.state, failed.retry_at) == (ItemState.UNMATCHED, None)


def test_an_early_report_of_a_block_suppresses_once_its_message_is_known(time_machine):
    (message,) = make_sent()
    told = status(message, "failed", "BlockedByCarrierUser")
    kept = Message(**{field.attname: getattr(message, field.attname) for field in Message._meta.concrete_fields})
    message.delete()
    (item,) = tell([told])
    assert item.retry_at is not None
    kept.save(force_insert=True)
    time_machine.move_to(item.retry_at)
    assert events.retry_items() == 1
    assert PhoneNumber.objects.get().opted_out


# --- the thread and our answer ---------------------------------------------------------------------------------------
def test_a_thread_holds_both_sides_by_time():
    (message,) = make_sent(delivery=70)
    make_sent(state="skipped")
    Message.objects.update(created_at=AT + timedelta(minutes=1))
    number = str(message.number)
    tell(reply("Hi", number=number), reply("And?", number=number, event="e2", at="2025-09-01T15:02:00Z"))
    lines = conversations.thread(Conversation.objects.get())
    assert [(line.direction, line.text, line.state) for line in lines] == [
        ("in", "Hi", ""), ("out", "Hello", "Delivered"), ("in", "And?", ""),
    ]  # fmt: skip


def test_an_answer_goes_out_from_where_the_last_text_came(twin):
    batch = make_batch(["+13125550100"])
    drain_all()
    store(reply("When?"))
    read_all()
    actor = make_user()
    answer = conversations.reply(Conversation.objects.get(), actor=actor, text="At three.")
    assert (answer.batch.sender, answer.batch.unit, answer.batch.operator) == (
        batch.sender, batch.unit, batch.operator,
    )  # fmt: skip
    assert not Conversation.objects.get().needs_attention
    drain_all()
    assert twin.ocelot.sent[-1]["text"] == "At three."
    lines = conversations.thread(Conversation.objects.get())
    assert {line.direction for line in lines if line.text == "When?"} == {"in"}
    assert (lines[-1].direction, lines[-1].text) == ("out", "At three.")


def test_each_office_answers_from_its_own_number():
    (theirs,) = make_sent()
    (ours,) = make_sent()
    aid, registrar = make_unit("Financial Aid"), make_unit()
    Batch.objects.filter(pk=ours.batch_id).update(unit=aid, sender="+13125550191")
    (latest,) = make_sent()
    tell(reply("Hi", number=str(latest.number)))
    conversation = Conversation.objects.get()
    for unit, sender in ((aid, "+13125550191"), (registrar, "+13125550190")):
        actor = make_user(unit.name, units=[unit])
        answer = conversations.reply(conversation, actor=actor, text="Hello")
        assert (answer.batch.unit, answer.batch.sender) == (unit, sender)
    guest = make_user("guest", units=[make_unit("Library")])
    assert conversations.reply(conversation, actor=guest, text="Hello").batch.unit.name == "Library"
    assert theirs.number == latest.number


def test_a_stranger_and_an_opted_out_person_are_not_answered():
    tell(reply("Who is this?"))
    conversation = Conversation.objects.get()
    with pytest.raises(Wrong, match="never texted"):
        conversations.reply(conversation, actor=make_user(), text="Hello")
    make_batch(["+13125550100"])
    tell(reply("STOP", event="e2"))
    with pytest.raises(Conflict):
        conversations.reply(conversation, actor=make_user("kim"), text="Hello")
    assert Conversation.objects.get().needs_attention


def test_a_closed_conversation_opens_again_when_the_person_writes():
    tell(reply("One"))
    conversations.close(Conversation.objects.get())
    assert not Conversation.objects.get().needs_attention
    tell(reply("Two", event="e2", at=clock.now().isoformat()))
    assert Conversation.objects.get().needs_attention


# --- with the twin ---------------------------------------------------------------------------------------------------
def test_every_fate_of_the_sandbox_ends_where_it_should(twin):
    fates = {
        "0150": (60, True), "0151": (60, False), "0152": (70, False), "0153": (70, False), "0154": (70, False),
        "0155": (70, False), "0156": (70, True), "0157": (60, True), "0158": (10, False), "0100": (70, False),
    }  # fmt: skip
    batch = make_batch([f"+1312555{last}" for last in fates])
    url = addresses.new_endpoint(make_account())
    twin.ocelot.webhooks.update(sms=url, opt=url)
    drain_all()
    twin.settle()
    drain_all()
    found = batch.messages.values_list("number__e164", "delivery", "number__opted_out", "state")
    assert {e164[-4:]: (delivery, out) for e164, delivery, out, _ in found} == fates
    assert {state for *_, state in found} == {"accepted"}
    assert sorted(Turn.objects.values_list("text", flat=True)) == ["STOP", "Thank you!"]
