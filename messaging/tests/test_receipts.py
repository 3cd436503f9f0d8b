"""What receipts do to messages, whatever order they come in: joins, evidence, earlier attempts, wrong addresses."""

from __future__ import annotations

import logging
import threading
from itertools import permutations

import pytest
from django.db import connection, transaction

from contacts.models import ConsentEvent, PhoneNumber
from messaging import controls, sending
from messaging.events import receipts
from messaging.models import Attempt, Chunk, Conversation, ItemState, Message, Receipt, Turn, WebhookItem
from messaging.statuses import ChunkState, Known
from messaging.tests.calls import make_sent, opt, read_all, reply, status, store, tell
from smsportal.providers.base import Delivery
from smsportal.tests.world import fiction, make_account, make_batch

pytestmark = pytest.mark.django_db


def fresh(message: Message) -> Message:
    return Message.objects.get(pk=message.pk)


def test_a_receipt_finds_its_message_and_leaves_a_trace():
    (message,) = make_sent()
    (item,) = tell([status(message, "delivered")])
    found = fresh(message)
    assert (found.delivery, found.reported_delivered, found.remote_id) == (
        Delivery.DELIVERED, True, status(message, "")["messageUuid"],
    )  # fmt: skip
    assert (item.state, item.message, item.number, item.effect) == (
        ItemState.APPLIED, message, message.number, "none → delivered",
    )  # fmt: skip
    receipt = Receipt.objects.get()
    assert (receipt.message, receipt.attempt, receipt.source, receipt.status) == (message, 1, "webhook", "delivered")


def test_without_our_reference_the_provider_s_id_is_enough():
    (message,) = make_sent(remote_id="8f4f4e18-392a-4e84-b859-fcf396b9051f")
    tell([status(message, "delivered", customerMessageId=None, messageUuid="8f4f4e18-392a-4e84-b859-fcf396b9051f")])
    assert fresh(message).delivery == Delivery.DELIVERED


def test_without_either_the_address_of_an_attempt_with_one_text_is_enough():
    (message,) = make_sent()
    blank = status(message, "delivered", customerMessageId="", messageUuid="unheard-of")
    tell([blank], attempt=Attempt.objects.get())
    assert fresh(message).delivery == Delivery.DELIVERED


def test_the_address_of_an_attempt_with_two_texts_is_not():
    messages = make_sent(2)
    blank = status(messages[0], "delivered", customerMessageId="", messageUuid="unheard-of")
    (item,) = tell([blank], attempt=Attempt.objects.get())
    assert item.state == ItemState.UNMATCHED


def test_another_account_may_not_report_on_our_messages():
    (message,) = make_sent()
    (item,) = tell([status(message, "delivered")], account=make_account("second"))
    assert (item.state, fresh(message).delivery) == (ItemState.UNMATCHED, Delivery.NONE)


def test_the_address_of_one_batch_may_not_report_on_another():
    (message,) = make_sent()
    (other,) = make_sent(start=5)
    (item,) = tell([status(message, "delivered")], attempt=Attempt.objects.get(chunk=other.chunk))
    assert (item.state, item.retry_at, fresh(message).delivery) == (ItemState.UNMATCHED, None, Delivery.NONE)


@pytest.mark.parametrize("reference", ["", "x", "x.1", "1", "{uuid}.9", "{uuid}.٣", "{uuid}.-1", "{uuid}.1e3"])
def test_a_strange_reference_harms_nothing(reference):
    (message,) = make_sent()
    tell([status(message, "failed", customerMessageId=reference.format(uuid=message.uuid))])
    assert fresh(message).delivery in (Delivery.NONE, Delivery.FAILED)


def test_the_worst_report_gives_the_error_and_both_ends_are_a_conflict():
    (message,) = make_sent()
    tell([status(message, "permanent_failure", "Landline")], [status(message, "retrying", "Timeout")])
    found = fresh(message)
    assert (found.delivery, found.error_code) == (Delivery.FAILED, "Landline")
    assert "landline" in found.error_text
    tell([status(message, "delivered")])
    found = fresh(message)
    assert (found.delivery, found.reported_failed, found.reported_delivered) == (Delivery.DELIVERED, True, True)


# --- evidence --------------------------------------------------------------------------------------------------------
def test_one_receipt_proves_what_was_unknown_and_the_rest_of_its_call():
    one, two, three = make_sent(3, state="unknown")
    tell([status(one, "sent")])
    assert [(m.state, m.evidence) for m in map(fresh, (one, two, three))] == [
        ("accepted", "receipt"), ("accepted", "inference"), ("accepted", "inference"),
    ]  # fmt: skip
    assert Chunk.objects.get().state == ChunkState.ACCEPTED
    tell([status(two, "permanent_failure", "Landline")])
    assert (fresh(two).evidence, fresh(two).delivery) == ("receipt", Delivery.FAILED)


def test_a_text_that_a_readable_answer_left_out_is_proven_by_its_own_receipt_only():
    one, two = make_sent(2, state="unknown", chunk_state="accepted")
    tell([status(one, "sent")])
    assert [fresh(m).state for m in (one, two)] == ["accepted", "unknown"]


@pytest.mark.parametrize("state", ["submitting", "rejected", "written_off", "accepted"])
def test_the_state_of_others_is_not_the_business_of_receipts(state):
    (message,) = make_sent(state=state, chunk_state="accepted")
    tell([status(message, "delivered")])
    assert (fresh(message).state, fresh(message).delivery) == (state, Delivery.DELIVERED)


def test_a_receipt_that_comes_before_the_answer_is_kept(twin, settings):
    """The provider may report while its answer to the send is still on its way."""
    settings.QUIET_HOURS = ""
    batch = make_batch(["+13125550100"])
    genuine = twin.handle

    def early(request):
        answer = genuine(request)
        twin.settle()
        read_all()
        return answer

    twin.handle = early
    assert sending.send_next()
    message = batch.messages.get()
    assert (message.state, message.delivery) == ("accepted", Delivery.DELIVERED)
    assert not WebhookItem.objects.exclude(state=ItemState.APPLIED).exists()


# --- earlier attempts ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("word", "doubled", "delivery"),
    [
        ("sent", True, 0),
        ("retrying", True, 0),
        ("permanent_failure", False, 0),
        ("delivered", True, Delivery.DELIVERED),
    ],
)
def test_an_earlier_attempt_that_went_out_too_is_an_incident(word, doubled, delivery, caplog):
    (message,) = make_sent(attempt=2)
    with caplog.at_level(logging.ERROR):
        (item,) = tell([status(message, word, attempt=1)])
    found = fresh(message)
    assert (found.double_send, found.delivery, found.error_code, item.state) == (doubled, delivery, "", "applied")
    assert ("more than one" in caplog.text) is doubled


def test_an_earlier_attempt_that_went_out_before_a_refusal_was_got_once(caplog):
    (message,) = make_sent(attempt=2, state="rejected")
    with caplog.at_level(logging.ERROR):
        tell([status(message, "sent", attempt=1)])
    assert fresh(message).double_send
    assert "more than one" not in caplog.text


def test_a_late_word_of_an_attempt_known_to_have_failed_is_no_incident():
    (message,) = make_sent(attempt=2)
    Receipt.objects.create(
        message=message, attempt=1, source="webhook", delivery=Delivery.FAILED, at=message.created_at
    )
    tell([status(message, "sent", attempt=1)])
    assert not fresh(message).double_send


@pytest.mark.parametrize("state", ["ready", "held"])
@pytest.mark.parametrize(
    ("word", "state_after", "delivery"),
    [("sent", "accepted", Delivery.SENT), ("delivered", "accepted", Delivery.DELIVERED), ("failed", "", Delivery.NONE)],
)
def test_evidence_in_time_keeps_a_text_from_being_sent_again(state, word, state_after, delivery):
    (message,) = make_sent(state=state, chunk_state="ready")
    tell([status(message, word, attempt=1)])
    found = fresh(message)
    assert (found.state, found.delivery) == (state_after or state, delivery)
    assert not found.double_send


def test_a_text_never_sent_is_not_believed_to_be():
    (message,) = make_sent(state="ready", attempt=0)
    items = tell(
        [status(message, "delivered", attempt=1)], [status(message, "sent", customerMessageId=f"{message.uuid}.0")]
    )
    assert {item.state for item in items} == {ItemState.UNMATCHED}
    assert fresh(message).state == "ready"


# --- opt-outs by the carrier -----------------------------------------------------------------------------------------
def test_a_person_who_blocks_us_is_not_texted_again():
    (message,) = make_sent()
    tell([status(message, "permanent_failure", "BlockedByCarrierUser")])
    assert PhoneNumber.objects.get().opted_out
    event = ConsentEvent.objects.get()
    assert (event.kind, event.source, event.evidence["error_code"]) == ("out", "carrier", "BlockedByCarrierUser")
    (later,) = make_sent(state="ready", attempt=0)
    assert PhoneNumber.objects.count() == 1
    with pytest.raises(controls.Conflict):
        controls.send_single(
            actor=None, unit=later.batch.unit, account=later.batch.account, sender="+13125550190", to=message.number.e164, text="Hi"
        )  # fmt: skip


# --- any order -------------------------------------------------------------------------------------------------------
def outcome() -> tuple[object, ...]:
    """Where everything ended, without ids and times of ours."""
    return (
        *Message.objects.order_by("pk").values_list(
            "state", "evidence", "delivery", "reported_failed", "reported_delivered", "double_send", "error_code",
            "error_text", "remote_id",
        ),
        *sorted(Receipt.objects.values_list("message__number__e164", "attempt", "delivery", "status", "error_code")),
        *PhoneNumber.objects.order_by("e164").values_list("e164", "opted_out", "consent_at"),
        *sorted(ConsentEvent.objects.values_list("number__e164", "kind", "source", "at")),
        *sorted(Turn.objects.values_list("conversation__number__e164", "text", "at")),
        *Conversation.objects.order_by("pk").values_list("number__e164", "last_text", "last_at", "needs_attention"),
        *sorted(WebhookItem.objects.values_list("key", "state")),
        *Chunk.objects.order_by("pk").values_list("state"),
    )  # fmt: skip


def orders(news: list[object]) -> set[tuple[object, ...]]:
    """The outcomes of telling `news` in every order, each from the same beginning."""
    found = set()
    for order in permutations(news):
        with transaction.atomic():
            for payload in order:
                store(payload)
            read_all()
            found.add(outcome())
            transaction.set_rollback(True)
    return found


def statuses_of(message: Message) -> list[object]:
    return [
        [status(message, "queued")],
        [status(message, "delivered")],
        [status(message, "permanent_failure", "Landline")],
        [status(message, "permanent_failure", "Spam")],
        [status(message, "temporary_failure", "Timeout")],
    ]


def of_one_chunk() -> list[object]:
    one, two, three = make_sent(3, state="unknown")
    return [
        [status(one, "sent"), status(two, "temporary_failure", "Timeout")],
        [status(one, "delivered")],
        [status(two, "permanent_failure", "BlockedByCarrierUser")],
        [status(three, "teleported"), status(two, "temporary_failure", "Timeout")],
    ]


def of_two_attempts() -> list[object]:
    (message,) = make_sent(attempt=2, state="unknown")
    return [
        [status(message, "sent", attempt=1)],
        [status(message, "permanent_failure", "Spam", attempt=1)],
        [status(message, "permanent_failure", "Landline")],
        [status(message, "delivered")],
    ]


def of_one_person() -> list[object]:
    return [
        [reply("STOP", event="e1", at="2025-09-01T15:00:00Z")],
        [reply("START", event="e2", at="2025-09-01T16:00:00Z")],
        [opt("Out", event="e4", at="2025-09-01T16:00:00Z")],
        [reply("Sorry, who is this?", event="e5", at="2025-09-01T16:00:00Z")],
    ]


SETS = {
    "statuses of one text": lambda: statuses_of(make_sent(state="unknown")[0]),
    "one chunk": of_one_chunk,
    "two attempts": of_two_attempts,
    "one person": of_one_person,
}


@pytest.mark.parametrize("news", SETS.values(), ids=SETS)
def test_every_order_of_the_same_news_ends_in_the_same_place(news, time_machine):
    time_machine.move_to("2025-09-02T12:00:00Z", tick=False)
    assert len(orders(news())) == 1


def test_the_proof_of_order_catches_the_mistake_that_the_last_news_wins(monkeypatch):
    monkeypatch.setattr(
        receipts, "join", lambda now, news: Known(news, news is Delivery.FAILED, news >= Delivery.DELIVERED)
    )
    assert len(orders(statuses_of(make_sent()[0])[:3])) > 1


# --- at once ---------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_workers_at_once_lose_nothing():
    messages = make_sent(40, state="unknown")
    words = ["queued", "sent", "delivered", "failed"]
    for word in words:
        for order in (messages, messages[::-1]):
            store([status(message, word) for message in order[:25]])
    threads = [threading.Thread(target=_read_and_close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = Message.objects.values_list("state", "evidence", "delivery", "reported_failed", "reported_delivered")
    assert set(found) == {("accepted", "receipt", Delivery.DELIVERED, True, True)}
    assert Receipt.objects.count() == 4 * 40


def _read_and_close() -> None:
    try:
        read_all()
    finally:
        connection.close()


def test_a_receipt_of_an_earlier_attempt_proves_nothing_of_the_neighbours_of_a_later_one():
    make_account()
    batch = make_batch(fiction(3))
    first, second, third = batch.messages.order_by("pk")
    # All were unknown; a person had them sent again in one request, whose answer was lost, too.
    batch.messages.update(state="unknown", attempt=2, evidence="staff")
    batch.chunks.update(state=ChunkState.UNKNOWN)
    Attempt.objects.create(chunk=batch.chunks.get(), fence=1, texts=3)
    tell([status(first, "delivered", attempt=1)], account=batch.account)
    assert [fresh(each).state for each in (first, second, third)] == ["accepted", "unknown", "unknown"]
    tell([status(third, "delivered", attempt=2)], account=batch.account)
    assert (fresh(second).state, fresh(second).evidence) == ("accepted", "inference")
