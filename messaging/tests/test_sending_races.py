"""People, receipts and workers who come in between two statements of a sender: nothing is stuck, overwritten or doubled."""

import threading
from contextlib import contextmanager, suppress

import pytest
from django.db import OperationalError, connection

from contacts import consent
from contacts.models import ConsentSource
from messaging import controls, events, sending
from messaging.controls import resending
from messaging.models import Attempt, Batch, Chunk
from messaging.sending import outcomes, releasing
from messaging.sending.answers import Decision, Verdict
from messaging.statuses import BatchState, ChunkState, MessageState
from messaging.sweeping import sweep
from messaging.tasks import drain_all
from messaging.tests.calls import status, store
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.problems import Wrong
from smsportal.providers.base import Delivery
from smsportal.tests.world import fiction, make_batch, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def any_hour(settings):
    settings.QUIET_HOURS = ""


@contextmanager
def meanwhile(words, act):
    """Once this thread has executed a statement with `words` in it, another one does `act`, waited for for a moment."""
    threads = []

    def other():
        try:
            act()
        finally:
            connection.close()

    def watch(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if not threads and words in sql:
            threads.append(threading.Thread(target=other))
            threads[0].start()
            threads[0].join(0.7)
        return result

    with connection.execute_wrapper(watch):
        yield
    assert threads, f"No statement had {words}"
    threads[0].join()


def fresh(batch):
    return Batch.objects.get(pk=batch.pk)


def counts(batch):
    return {state: number for state, number in fresh(batch).counts().items() if number}


def intended(batch):
    """A chunk of `batch` whose intent is committed."""
    [intent] = sending.intend(sending.take())
    assert counts(batch) == {"submitting": batch.recipients}
    return intent


def test_what_is_sent_again_while_its_batch_is_being_finished_is_not_left_behind(twin, monkeypatch):
    monkeypatch.setattr(resending, "HOLD", resending.HOLD * 0)
    batch = make_batch(fiction(2))
    sending.write_down([(intended(batch), Decision(Verdict.UNKNOWN))])
    boss = make_user("boss", groups=("Approver",))
    message = batch.messages.first()
    with meanwhile('FROM "messaging_chunk"', lambda: controls.resolve_unknown(message, actor=boss, resend=True)):
        outcomes.finish_if_done(batch.pk)
    assert counts(batch) == {"ready": 1, "unknown": 1}
    assert fresh(batch).state == BatchState.RUNNING


@pytest.mark.parametrize("verdict", [Verdict.LATER, Verdict.CLOSED, Verdict.SPLIT, Verdict.SMALLER])
def test_what_comes_back_to_a_cancelled_batch_is_skipped(verdict):
    batch = make_batch(fiction(4))
    intent = intended(batch)
    controls.cancel(fresh(batch), actor=None)
    assert counts(batch) == {"submitting": 4}
    assert sending.write_down([(intent, Decision(verdict))])
    assert counts(batch) == {"skipped": 4}
    assert set(batch.chunks.values_list("state", flat=True)) == {ChunkState.EMPTY}


@pytest.mark.parametrize("verdict", [Verdict.LATER, Verdict.SPLIT])
def test_a_cancel_while_an_outcome_is_being_written_leaves_nothing_ready(verdict):
    batch = make_batch(fiction(4))
    intent = intended(batch)
    with meanwhile('FROM "messaging_batch"', lambda: controls.cancel(fresh(batch), actor=None)):
        sending.write_down([(intent, Decision(verdict))])
    assert counts(batch) == {"skipped": 4}


def test_a_cancel_before_a_chunk_is_cut_leaves_nothing_ready():
    batch = make_batch(fiction(4))
    [taken] = sending.take()
    controls.cancel(fresh(batch), actor=None)
    releasing.cut(taken.held, 2)
    assert counts(batch) == {"skipped": 4}


def test_an_account_switched_off_during_an_intent_is_not_overtaken():
    make_batch(fiction(3))
    seen = []

    def switch_off():
        ProviderAccount.objects.update(is_active=False)
        seen.append(Chunk.objects.get().state)

    taken = sending.take()
    with meanwhile("FROM accounts_provideraccount", switch_off):
        assert sending.intend(taken)
    assert seen == [ChunkState.SUBMITTING]  # never an intent that is committed after the account was switched off


def test_an_answer_is_written_down_although_the_database_was_away_for_a_moment(monkeypatch):
    monkeypatch.setattr(sending, "AGAIN_AFTER_S", (0, 0))
    batch = make_batch(fiction(3))
    intent = intended(batch)
    real, tries = outcomes.record, []

    def away(*given):
        tries.append(1)
        if len(tries) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        done = real(*given)
        if len(tries) == 2:
            raise OperationalError("it was committed, but the answer did not come")
        return done

    monkeypatch.setattr(outcomes, "record", away)
    assert not sending.write_down([(intent, Decision(Verdict.REJECTED, text="No."))])
    assert counts(batch) == {"rejected": 3}
    assert Attempt.objects.get().outcome == Verdict.REJECTED


@pytest.mark.parametrize("statement", ["contacts_phonenumber n", "UPDATE messaging_message"])
def test_an_opt_out_during_an_intent_is_seen_or_waits_for_it(statement):
    batch = make_batch(fiction(2))
    number, seen = batch.messages.first().number, []

    def stop():
        consent.opt_out(number, source=ConsentSource.PROVIDER)
        seen.append(Chunk.objects.get().state)

    taken = sending.take()
    with meanwhile(statement, stop):
        assert sending.intend(taken)
    assert seen == [ChunkState.SUBMITTING]


@pytest.mark.parametrize("act", [controls.pause, controls.cancel])
def test_a_batch_stopped_during_an_intent_waits_for_it(act):
    batch, seen = make_batch(fiction(2)), []

    def stop():
        act(fresh(batch), actor=None)
        seen.append(Chunk.objects.get().state)

    taken = sending.take()
    with meanwhile("UPDATE messaging_chunk", stop):
        assert sending.intend(taken)
    assert seen == [ChunkState.SUBMITTING]


def test_an_account_the_portal_fails_on_is_closed_and_keeps_no_claim(twin, monkeypatch):
    batch = make_batch(fiction(2))

    def broken(account):
        raise KeyError("no such option")

    with monkeypatch.context() as patched:
        patched.setattr(ProviderAccount, "at_provider", broken)
        assert sending.send_next()
        assert not sending.send_next()
        assert counts(batch) == {"ready": 2}
        account = ProviderAccount.objects.get()
        assert (account.circuit_open, "no such option" in account.circuit_reason) == (True, True)
        ProviderAccount.objects.update(paused_until=clock.now())
        assert not sweep()
    ProviderAccount.objects.update(paused_until=clock.now())
    assert sweep().reopened == 1
    drain_all()
    assert counts(batch) == {"accepted": 2}


@pytest.mark.parametrize("taken_over", [True, False])
def test_a_claim_that_ran_out_or_was_taken_over_intends_nothing(taken_over):
    batch = make_batch(fiction(2))
    taken = sending.take()
    Chunk.objects.update(lease_until=clock.after(-1))
    if taken_over:
        assert sending.take()[0].held.fence == taken[0].held.fence + 1
    assert sending.intend(taken) == []
    assert counts(batch) == {"claimed": 2}
    assert not Attempt.objects.exists()


def test_nothing_is_asked_of_the_database_between_an_intent_and_its_request(twin):
    make_batch(fiction(3))
    taken = sending.take()
    said = []

    def listen(execute, sql, params, many, context):
        said.append((connection.in_atomic_block, sql))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        assert sending.intend(taken)
    assert [sql for inside, sql in said if not inside and not sql.startswith("BEGIN")] == []


def failed_once(batch):
    """Every text of `batch` was accepted and reported as failed; the batch is finished."""
    batch.messages.update(state=MessageState.ACCEPTED, attempt=1, delivery=Delivery.FAILED, error_code="Unreachable")
    batch.chunks.update(state=ChunkState.ACCEPTED)
    Batch.objects.update(state=BatchState.FINISHED)


def hear(batch, word):
    """Receipts of the first attempt at every text, as a call that waits to be read."""
    store([status(message, word, attempt=1) for message in batch.messages.all()], account=batch.account)


def test_a_retry_that_waits_for_a_late_receipt_does_not_send_what_has_arrived(twin):
    batch = make_batch(fiction(2))
    failed_once(batch)
    hear(batch, "delivered")

    def again():
        with suppress(Wrong):
            controls.retry_failed(fresh(batch), actor=None)

    with meanwhile('UPDATE "messaging_message"', again):
        events.read_call(events.next_call())
    drain_all()
    assert counts(batch) == {"accepted": 2}
    assert twin.ocelot.sent == []
    assert set(batch.messages.values_list("delivery", "attempt")) == {(Delivery.DELIVERED, 1)}


def test_an_opt_out_does_not_make_unsent_what_a_late_receipt_proves(twin):
    batch = make_batch(fiction(2))
    failed_once(batch)
    controls.retry_failed(fresh(batch), actor=None)
    consent.opt_out(batch.messages.first().number, source=ConsentSource.STAFF)
    hear(batch, "delivered")
    taken = sending.take()
    with meanwhile('UPDATE "messaging_message"', lambda: sending.intend(taken)):
        events.read_call(events.next_call())
    drain_all()
    assert counts(batch) == {"accepted": 2}
    assert twin.ocelot.sent == []


def test_two_workers_with_news_of_one_message_lose_none_of_it():
    batch = make_batch(fiction(1))
    batch.messages.update(state=MessageState.ACCEPTED, attempt=1)
    hear(batch, "delivered")
    hear(batch, "permanent_failure")
    first, second = events.next_call(), events.next_call()
    with meanwhile('FROM "messaging_receipt"', lambda: events.read_call(second)):
        events.read_call(first)
    assert batch.messages.values_list("delivery", "reported_failed", "reported_delivered").get() == (70, True, True)


def cut_while_a_receipt_comes(batch):
    """Resent by a person; the account was found to take fewer per call, and the first attempt arrived after all."""
    batch.messages.update(state=MessageState.READY, attempt=1, evidence="staff")
    ProviderAccount.objects.update(max_per_call=2)
    hear(batch, "delivered")
    with meanwhile('SELECT "messaging_message"."id"', lambda: events.read_call(events.next_call())):
        sending.take()
    drain_all()


def test_a_cut_does_not_make_ready_what_a_late_receipt_settles(twin):
    batch = make_batch(fiction(4))
    cut_while_a_receipt_comes(batch)
    assert twin.ocelot.sent == []
    assert counts(batch) == {"accepted": 4}


@pytest.mark.skipif(connection.vendor == "sqlite", reason="there one writer waits for the other")
def test_a_cut_that_locks_nothing_would_send_them_again(twin, monkeypatch):
    """The control of the test above."""
    monkeypatch.setattr(releasing, "lock_messages", lambda messages: None)
    cut_while_a_receipt_comes(make_batch(fiction(4)))
    assert twin.ocelot.sent != []


@pytest.mark.skipif(connection.vendor == "sqlite", reason="a server that only reads for now, as in a failover")
def test_an_outcome_waits_until_the_database_writes_again():
    batch = make_batch(fiction(2))
    [intent] = sending.intend(sending.take())
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")  # of this session: the next one writes
    assert sending.write_down([(intent, Decision(Verdict.LATER))]) == {intent.held.pk}
    assert counts(batch) == {"ready": 2}
