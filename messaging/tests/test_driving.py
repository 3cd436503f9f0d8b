"""The driver: many requests at once through one thread's transactions; what it holds is finished, written or given back."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from django.db import OperationalError, connection

from contacts import consent
from contacts.models import ConsentSource, PhoneNumber
from messaging import controls, sending
from messaging.models import Attempt, Batch, Chunk
from messaging.sending import drivers, driving
from messaging.statuses import BatchState, ChunkState
from smsportal.accounts.models import ProviderAccount
from smsportal.tests.world import fiction, make_account, make_batch

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""


def counts(batch):
    fresh = Batch.objects.get(pk=batch.pk)
    assert sum(fresh.counts().values()) == fresh.recipients
    return {state: number for state, number in fresh.counts().items() if number}


def small_calls(size=10):
    """Calls of at most `size` texts, so that few people make many chunks."""
    account = make_account()
    ProviderAccount.objects.filter(pk=account.pk).update(max_per_call=size)
    account.refresh_from_db()
    return account


def copies(twin):
    return Counter(text["e164"] for text in twin.ocelot.sent)


def test_it_sends_everything_once_and_finishes_the_batch(twin):
    small_calls()
    batch = make_batch(fiction(400))
    assert drivers.drive(8) == 40
    assert counts(batch) == {"accepted": 400}
    assert Batch.objects.get(pk=batch.pk).state == BatchState.FINISHED
    assert (len(copies(twin)), max(copies(twin).values())) == (400, 1)
    assert Attempt.objects.filter(outcome="accepted", finished_at__isnull=False).count() == 40


def test_its_statements_do_not_grow_with_the_chunks(twin, django_assert_max_num_queries):
    small_calls(5)
    make_batch(fiction(400))
    with django_assert_max_num_queries(400):  # 80 chunks; one by one they took 40 each
        drivers.drive(16)


def test_it_stops_within_a_moment_and_keeps_nothing(twin):
    small_calls()
    twin.faults.add("latency", on="send", latency_ms=50)
    batch = make_batch(fiction(400))
    asked = []

    def stop():
        asked.append(1)
        return bool(twin.ocelot.sent)

    drivers.drive(4, stop)
    found = counts(batch)
    assert set(found) == {"accepted", "ready"}
    assert not Chunk.objects.exclude(state__in=[ChunkState.READY, ChunkState.ACCEPTED, ChunkState.SPLIT]).exists()
    assert found["accepted"] == len(twin.ocelot.sent)
    drivers.drive(4)
    assert counts(batch) == {"accepted": 400}
    assert max(copies(twin).values()) == 1


@pytest.mark.parametrize("fault", ["429", "401", "500", "reset_before", "503"])
def test_a_provider_in_trouble_leaves_little_unknown(twin, fault):
    small_calls()
    batch = make_batch(fiction(400))
    twin.faults.add(fault, on="send")
    drivers.drive(4)
    found = counts(batch)
    assert found.get("unknown", 0) <= (3 + 4) * 10
    assert found.get("accepted", 0) == 0
    assert not Chunk.objects.filter(state__in=[ChunkState.CLAIMED, ChunkState.SUBMITTING]).exists()
    assert not ProviderAccount.objects.filter(ProviderAccount.open()).exists()


def test_a_bad_text_and_a_size_too_large_are_found_by_halving(twin):
    batch = make_batch([*fiction(150), "+13125550166"])
    twin.faults.add("413", on="send", times=1)
    drivers.drive(4)
    assert counts(batch) == {"accepted": 150, "rejected": 1}
    assert max(copies(twin).values()) == 1


def test_single_texts_overtake_and_batches_take_turns(twin):
    small_calls()
    first, second = make_batch(fiction(60)), make_batch(fiction(60, 100), list_name="Second")
    to = {"sender": "+13125550190", "operator": "advising@example.edu", "text": "Hello"}
    single = controls.send_single(actor=None, unit=first.unit, account=first.account, to="+13125550149", **to)
    order = [batch for batch, _ in _taken(5)]
    assert order == [single.batch_id, first.pk, second.pk, first.pk, second.pk]


def _taken(times):
    after = 0
    for _ in range(times):
        [taken] = sending.take(1, after=after)
        after = after if taken.batch.single else taken.batch.pk
        yield taken.batch.pk, taken


def test_the_window_holds_over_all_drivers(twin, settings):
    settings.SEND_WINDOW = 2
    small_calls()
    batch = make_batch(fiction(100))
    elsewhere = sending.intend(sending.take(2))
    assert len(elsewhere) == 2
    assert sending.intend(sending.take(3)) == []
    sending.write_down([(each, sending.hand_over(batch.account.at_provider(), each)) for each in elsewhere])
    assert len(sending.intend(sending.take(3))) == 2


def test_bad_answers_narrow_the_window_and_good_ones_widen_it(twin, settings):
    settings.SEND_WINDOW = 8
    small_calls()
    make_batch(fiction(200))
    twin.faults.add("500", on="send", times=2)
    seen = []
    for _ in range(6):
        sending.send_next()
        seen.append(ProviderAccount.objects.get().window)
    assert seen == [4, 2, 4, None, None, None]


def test_a_lost_commit_of_an_intent_is_not_unknown(twin, monkeypatch):
    """The database committed the intents and died before it said so: nothing was posted, so all may be sent again."""
    small_calls()
    batch = make_batch(fiction(40))
    real, tries = sending.intend, []

    def lost(taken, **given):
        intents = real(taken, **given)
        tries.append(1)
        if len(tries) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        return intents

    monkeypatch.setattr(sending, "intend", lost)
    monkeypatch.setattr(driving, "PAUSE_S", 0)
    monkeypatch.setattr(connection, "close", lambda: None)
    drivers.drive(4)
    assert counts(batch) == {"accepted": 40}
    assert max(copies(twin).values()) == 1


def test_accounts_are_driven_side_by_side(twin, transactional_db):
    one, two = make_account(), make_account("second")
    batches = [make_batch(fiction(30)), make_batch(fiction(30, 50), list_name="Second")]
    Batch.objects.filter(pk=batches[1].pk).update(account=two)
    drivers.drive(4)
    assert [counts(batch) for batch in batches] == [{"accepted": 30}, {"accepted": 30}]
    assert {each.batch.account_id for each in Chunk.objects.select_related("batch")} == {one.pk, two.pk}


def test_a_cut_connection_keeps_no_account_waiting_for_another(twin, transactional_db, monkeypatch):
    slow, quick = make_account("second"), make_account()
    long, short = make_batch(fiction(10)), make_batch(fiction(10, 50), list_name="Second")
    Batch.objects.filter(pk=long.pk).update(account=slow)
    real, hand_over, later, went = drivers.due_accounts, sending.hand_over, [], threading.Event()

    def due():
        if not later and Batch.objects.get(pk=short.pk).state == BatchState.FINISHED:
            later.append(make_batch(fiction(5, 70), list_name="Third"))
            Batch.objects.filter(pk=later[0].pk).update(account=quick)
            raise OperationalError("server closed the connection unexpectedly")
        return real()

    def answer(provider, intent):
        if intent.batch.pk == long.pk:
            assert went.wait(10), "the third batch waits for the first"
        told = hand_over(provider, intent)
        if later and intent.batch.pk == later[0].pk:
            went.set()
        return told

    monkeypatch.setattr(drivers, "due_accounts", due)
    monkeypatch.setattr(sending, "hand_over", answer)
    drivers.drive(1)
    assert [counts(each) for each in (long, short, *later)] == [{"accepted": 10}, {"accepted": 10}, {"accepted": 5}]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no clerk: outcomes are written at once")
def test_outcomes_that_wait_share_a_transaction(twin, transactional_db, monkeypatch):
    small_calls()
    batch = make_batch(fiction(200))
    real, together, all_answered = sending.write_down, [], threading.Event()

    def held_up(done):
        if not together:
            all_answered.wait(10)
        together.append(len(done))
        return real(done)

    def answer(provider, intent, real=sending.hand_over):
        told = real(provider, intent)
        if len(twin.ocelot.sent) >= 100:
            all_answered.set()
        return told

    monkeypatch.setattr(sending, "write_down", held_up)
    monkeypatch.setattr(sending, "hand_over", answer)
    drivers.drive(4)
    assert counts(batch) == {"accepted": 200}
    assert sum(together) == 20
    assert together[1] >= 5


def test_an_opt_out_between_claim_and_intent_is_obeyed(twin):
    batch = make_batch(fiction(3))
    taken = sending.take(4)
    consent.opt_out(PhoneNumber.objects.get(e164=fiction(1)[0]), source=ConsentSource.STAFF)
    [intent] = sending.intend(taken)
    assert {text.to for text in intent.texts} == set(fiction(3)[1:])
    assert len(intent.messages) == len(intent.texts) == 2
    assert counts(batch) == {"submitting": 2, "skipped": 1}


def test_posting_threads_end(twin):
    make_batch(fiction(5))
    drivers.drive(4)
    assert not [each for each in threading.enumerate() if each.name == "poster" and not each.daemon]
