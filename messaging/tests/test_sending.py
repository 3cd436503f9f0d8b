"""Chunks handed to the twin: what each answer leaves behind, here and there, and that nobody gets a text twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.db.models import F

from contacts import consent
from contacts.models import ConsentSource, PhoneNumber
from messaging import controls, sending
from messaging.models import Attempt, Batch, Chunk, Message
from messaging.sending import intents, outcomes
from messaging.sending.answers import Decision, Verdict
from messaging.statuses import BatchState, ChunkState, MessageState
from messaging.tasks import drain_all
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.claims import Claim
from smsportal.providers.base import Delivery, Fate, Receipt
from smsportal.tests.world import fiction, make_batch

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""


def states(batch: Batch) -> dict[str, int]:
    """The states that occur, after checking that the books balance here and at the provider."""
    fresh = Batch.objects.get(pk=batch.pk)
    counts = fresh.counts()
    assert sum(counts.values()) == fresh.recipients
    return {state: count for state, count in counts.items() if count}


def most_per_person(twin) -> int:
    return max(Counter(text["e164"] for text in twin.ocelot.sent).values(), default=0)


def test_a_batch_is_sent_once_to_everybody_and_finishes(twin):
    batch = make_batch(fiction(250))
    drain_all()
    assert states(batch) == {"accepted": 250}
    assert Batch.objects.get(pk=batch.pk).state == BatchState.FINISHED
    assert len(twin.ocelot.sent) == 250
    assert most_per_person(twin) == 1
    assert sorted(Chunk.objects.filter(batch=batch).values_list("size", flat=True)) == [50, 100, 100]
    references = {f"{message.uuid}.1" for message in batch.messages.all()}
    assert {text["customerMessageId"] for text in twin.ocelot.sent} == references


@pytest.mark.parametrize("shape", ["object", "array", "empty", "renamed", "nested", "shuffled", "no_reference"])
def test_the_shape_of_the_answer_changes_nothing_for_staff(twin, shape):
    twin.ocelot.switches.send_shape = shape
    batch = make_batch(fiction(20))
    drain_all()
    assert states(batch) == {"accepted": 20}
    twin.settle()
    drain_all()
    assert set(batch.messages.values_list("delivery", flat=True)) == {Delivery.DELIVERED}


# fault → state of the messages, state of the chunk, accepted by the provider
FAULTS = {
    "400": ("rejected", "rejected", 0),
    "401": ("ready", "ready", 0),
    "403": ("ready", "ready", 0),
    "404": ("ready", "ready", 0),
    "413": ("rejected", "rejected", 0),
    "429": ("ready", "ready", 0),
    "500": ("unknown", "unknown", 0),
    "502": ("unknown", "unknown", 0),
    "503": ("unknown", "unknown", 0),
    "504": ("unknown", "unknown", 0),
    "redirect": ("ready", "ready", 0),
    "reset_before": ("unknown", "unknown", 0),
    "hang_before": ("unknown", "unknown", 0),
    "accept_500": ("unknown", "unknown", 1),
    "accept_503": ("unknown", "unknown", 1),
    "reset_after": ("unknown", "unknown", 1),
    "hang": ("unknown", "unknown", 1),
    "torn": ("unknown", "unknown", 1),
    "drip": ("unknown", "unknown", 1),
    "garbled": ("unknown", "unknown", 1),
    "bomb": ("unknown", "unknown", 1),
    "empty": ("accepted", "accepted", 1),
    "latency": ("accepted", "accepted", 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_leaves_exactly_what_is_known(twin, fault):
    state, chunk_state, accepted = FAULTS[fault]
    batch = make_batch(["+13125550100"])
    twin.faults.add(fault, on="send", times=1)
    assert sending.send_next()
    assert states(batch) == {state: 1}
    assert Chunk.objects.get(batch=batch).state == chunk_state
    assert len(twin.ocelot.sent) == accepted
    # Whatever comes later, receipts or sweeps: never a second copy.
    twin.settle()
    ProviderAccount.objects.update(paused_until=None)
    with time_machine.travel(clock.now() + timedelta(minutes=20)):
        drain_all()
        drain_all()
    assert most_per_person(twin) <= 1
    # A receipt proves what an answer could not; without one it stays unknown.
    if state == "unknown":
        assert states(batch) == ({"accepted": 1} if accepted else {"unknown": 1})


def test_one_receipt_proves_a_call_whose_answer_was_lost(twin):
    # 0158 never gets a receipt; the call was accepted as a whole all the same.
    batch = make_batch(["+13125550158", "+13125550100"])
    twin.faults.add("reset_after", on="send", times=1)
    drain_all()
    assert states(batch) == {"unknown": 2}
    twin.settle()
    drain_all()
    assert states(batch) == {"accepted": 2}
    evidence = dict(batch.messages.values_list("number__e164", "evidence"))
    assert evidence == {"+13125550158": "inference", "+13125550100": "receipt"}
    assert set(batch.messages.values_list("error_text", flat=True)) == {""}, "nothing is wrong with them any more"


def test_texts_a_readable_answer_leaves_out_are_unknown_by_themselves(twin):
    twin.ocelot.switches.send_shape = "missing_items"
    batch = make_batch(fiction(10))
    drain_all()
    assert states(batch) == {"accepted": 5, "unknown": 5}
    twin.settle()
    drain_all()
    assert states(batch) == {"accepted": 10}


def test_one_bad_text_does_not_stop_its_neighbours(twin):
    batch = make_batch([*fiction(30), "+13125550166"])
    drain_all()
    assert states(batch) == {"accepted": 30, "rejected": 1}
    refused = batch.messages.get(state=MessageState.REJECTED)
    assert refused.number.e164 == "+13125550166"
    assert refused.error_code == "400"
    assert most_per_person(twin) == 1


def test_too_large_a_call_is_halved_and_the_size_remembered(twin):
    batch = make_batch(fiction(150))
    twin.faults.add("413", on="send", times=1)
    drain_all()
    assert states(batch) == {"accepted": 150}
    assert ProviderAccount.objects.get().max_per_call == 50
    assert max(Attempt.objects.filter(outcome="accepted").values_list("texts", flat=True)) == 50
    assert most_per_person(twin) == 1


def test_a_throttled_account_rests_as_long_as_it_was_asked_to(twin):
    batch = make_batch(fiction(3))
    twin.faults.add("429", on="send", times=1, retry_after="30")
    drain_all()
    assert states(batch) == {"ready": 3}
    assert not sending.send_next()
    with time_machine.travel(clock.now() + timedelta(seconds=31)):
        drain_all()
    assert states(batch) == {"accepted": 3}


def test_a_wrong_key_stops_the_account_until_it_answers_again(twin):
    batch = make_batch(fiction(3))
    twin.faults.add("401")
    drain_all()
    account = ProviderAccount.objects.get()
    assert account.circuit_open
    assert account.circuit_reason
    assert states(batch) == {"ready": 3}
    with time_machine.travel(clock.now() + timedelta(minutes=1)):
        drain_all()
    assert ProviderAccount.objects.get().circuit_open, "the probe was refused as well"
    twin.faults.clear()
    with time_machine.travel(clock.now() + timedelta(minutes=3)):
        drain_all()
    assert states(batch) == {"accepted": 3}


def test_three_answers_that_tell_nothing_open_the_circuit(twin):
    batch = make_batch(fiction(500))
    twin.faults.add("500", on="send")
    drain_all()
    assert ProviderAccount.objects.get().circuit_open
    assert states(batch) == {"unknown": 300, "ready": 200}


def test_an_opt_out_before_the_intent_is_obeyed(twin):
    batch = make_batch(fiction(3))
    number = PhoneNumber.objects.get(e164=fiction(1)[0])
    [taken] = sending.take()
    consent.opt_out(number, source=ConsentSource.STAFF)
    [intent] = sending.intend([taken])
    assert {text.to for text in intent.texts} == set(fiction(3)[1:])
    outcomes.record([(intent, sending.hand_over(batch.account.at_provider(), intent))])
    assert states(batch) == {"accepted": 2, "skipped": 1}
    assert number.e164 not in {text["e164"] for text in twin.ocelot.sent}


@pytest.mark.parametrize(("move", "left"), [("pause", {"ready": 3}), ("cancel", {"skipped": 3})])
def test_a_stop_between_claim_and_intent_lets_nothing_leave(twin, move, left):
    batch = make_batch(fiction(3))
    taken = sending.take()
    getattr(controls, move)(Batch.objects.get(pk=batch.pk), actor=None)
    assert sending.intend(taken) == []
    drain_all()
    assert states(batch) == left
    assert twin.ocelot.sent == []


def test_a_paused_batch_goes_on_where_it_was(twin):
    batch = make_batch(fiction(250))
    assert sending.send_next()
    controls.pause(Batch.objects.get(pk=batch.pk), actor=None)
    drain_all()
    assert states(batch) == {"accepted": 100, "ready": 150}
    controls.resume(Batch.objects.get(pk=batch.pk), actor=None)
    drain_all()
    assert states(batch) == {"accepted": 250}
    assert most_per_person(twin) == 1


def test_a_worker_that_stood_still_after_its_intent_does_not_send(twin, monkeypatch):
    batch = make_batch(fiction(2))
    monkeypatch.setattr(sending, "FRESH_S", -1.0)
    assert sending.send_next()
    assert twin.ocelot.sent == []
    assert states(batch) == {"ready": 2}


def test_an_outcome_with_a_stale_fence_changes_nothing(twin):
    batch = make_batch(fiction(2))
    [intent] = sending.intend(sending.take())
    Chunk.objects.update(fence=intent.held.fence + 1)
    assert not outcomes.record([(intent, Decision(Verdict.REJECTED))])
    assert states(batch) == {"submitting": 2}


def test_quiet_hours_hold_a_chunk_that_is_due_too_late(twin, settings):
    batch = make_batch(fiction(2))
    settings.QUIET_HOURS = "21:00-08:00"
    with time_machine.travel("2026-11-20T04:30:00Z"):  # 23:30 in New York
        Batch.objects.filter(pk=batch.pk).update(state=BatchState.RUNNING)
        drain_all()
        assert states(batch) == {"held": 2}
    with time_machine.travel("2026-11-20T13:01:00Z"):
        drain_all()
    assert states(batch) == {"accepted": 2}


def test_what_the_answer_said_is_kept(twin):
    batch = make_batch(fiction(2))
    drain_all()
    messages = batch.messages.values_list("delivery", "attempt", "remote_id")
    assert {(delivery, attempt, bool(remote)) for delivery, attempt, remote in messages} == {
        (Delivery.ACCEPTED, 1, True)
    }
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.status, bool(attempt.finished_at)) == ("accepted", 201, True)
    assert attempt.answer


def test_sending_a_chunk_takes_a_fixed_number_of_statements(twin, django_assert_max_num_queries):
    make_batch(fiction(100))
    with django_assert_max_num_queries(48):
        sending.send_next()
    assert Chunk.objects.get().state == ChunkState.ACCEPTED


def held_twice():
    """What a worker has in its hands that stood still past the lease with a chunk in its stock, and claims on."""
    first = sending.take()
    Chunk.objects.update(lease_until=clock.after(-1))
    return [*first, *sending.take()]


def test_a_chunk_that_a_worker_holds_twice_is_intended_once(twin):
    batch = make_batch(fiction(2))
    first, again = held_twice()
    [intent] = sending.intend([first, again])
    assert intent.held == again.held
    assert Attempt.objects.count() == 1
    sending.write_down([(intent, sending.hand_over(batch.account.at_provider(), intent))])
    assert most_per_person(twin) == 1


def test_who_knows_claims_by_their_chunk_alone_would_send_it_twice(twin, monkeypatch):
    """The control of the test above."""
    real = intents._batch_states

    def by_chunk(taken, now):
        states = {pk: state for (pk, _), state in real(taken, now).items()}
        return {(each.held.pk, each.held.fence): states[each.held.pk] for each in taken if each.held.pk in states}

    monkeypatch.setattr(intents, "_batch_states", by_chunk)
    batch = make_batch(fiction(2))
    for intent in sending.intend(held_twice()):
        sending.hand_over(batch.account.at_provider(), intent)
    assert most_per_person(twin) == 2


@pytest.mark.parametrize("order", [1, -1])
def test_two_outcomes_of_one_chunk_are_told_apart_by_their_fences(twin, order):
    make_batch(fiction(2))
    [late] = sending.intend(sending.take())
    Chunk.objects.update(fence=F("fence") + 1)  # somebody took over, and sends it
    current = replace(late, held=Claim(late.held.pk, late.held.fence + 1))
    accepted = Decision(Verdict.ACCEPTED, tuple(Receipt(each.reference, Fate.ACCEPTED) for each in late.texts))
    sending.write_down([(current, accepted), (late, Decision(Verdict.LATER))][::order])
    assert set(Message.objects.values_list("state", flat=True)) == {"accepted"}
