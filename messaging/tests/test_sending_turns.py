"""Many senders at once: none keeps the one who stops a batch, another account, or the sweeper waiting."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest
from django.db import OperationalError, connection

from messaging import controls, sending
from messaging.models import Batch
from messaging.sending import drivers, driving, outcomes
from messaging.statuses import BatchState
from smsportal.accounts.models import ProviderAccount
from smsportal.tests.world import fiction, make_account, make_batch

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""


def small_calls(size, slug="ocelot"):
    account = make_account(slug)
    ProviderAccount.objects.filter(pk=account.pk).update(max_per_call=size)
    account.refresh_from_db()
    return account


def test_senders_who_queue_for_one_account_do_not_keep_a_pause_waiting(twin):
    """On PostgreSQL ten senders with shared locks kept it waiting until its statement was cancelled after a minute."""
    small_calls(1)
    batch = make_batch(fiction(60))
    over = threading.Event()

    def send():
        while not over.is_set():
            with suppress(OperationalError):
                taken = sending.take(4)
                sending.intend(taken)
                sending.give_back(taken)
        connection.close()

    senders = [threading.Thread(target=send) for _ in range(8)]
    for each in senders:
        each.start()
    try:
        time.sleep(1)
        began = time.monotonic()
        controls.pause(Batch.objects.get(pk=batch.pk), actor=None)
        took_s = time.monotonic() - began
    finally:
        over.set()
        for each in senders:
            each.join()
    assert Batch.objects.get(pk=batch.pk).state == BatchState.PAUSED
    assert took_s < 5


def test_an_account_is_not_kept_waiting_by_another_ones_long_batch(twin):
    twin.faults.add("latency", on="send", latency_ms=30)
    small_calls(1)
    long = make_batch(fiction(90))
    make_account("second")
    late: list[Batch] = []

    def stop():
        """Once the first is being sent, somebody starts a batch of the second."""
        if twin.ocelot.sent and not late:
            late.append(make_batch(fiction(5, 95), list_name="Second"))
            Batch.objects.filter(pk=late[0].pk).update(account=ProviderAccount.objects.get(slug="second"))
        return False

    assert drivers.drive(1, stop) == 95
    ended = [Batch.objects.get(pk=each.pk).finished_at for each in (late[0], long)]
    assert ended[0] < ended[1]


def test_single_texts_do_not_keep_a_batch_from_its_turn(twin):
    account = small_calls(5)
    first, second = make_batch(fiction(60)), make_batch(fiction(60, 65), list_name="Second")
    to = {"unit": first.unit, "account": account, "sender": "+13125550190", "text": "Hello"}
    taken = []
    driver = driving.Driver(account.pk, 1, lambda: False)
    driving.AT_ONCE, kept = 1, driving.AT_ONCE
    try:
        for number in fiction(4, 130):
            controls.send_single(actor=None, to=number, **to)
            for _ in range(2):
                driver.look_at = 0
                driver._stock_up()
                driver.clerk.finish()
                driver._hear(0)
                taken += [each.batch for each in driver.stock]
                driver.stock = []
    finally:
        driving.AT_ONCE = kept
    assert {each.pk for each in taken if not each.single} == {first.pk, second.pk}


def test_a_changed_address_holds_from_the_next_chunks_on(twin):
    """Keys and address are read again with the chunks, not once for a batch that takes hours."""
    account = small_calls(1)
    twin.faults.add("latency", on="send", latency_ms=20)
    batch = make_batch(fiction(60))

    def stop():
        if twin.ocelot.sent:
            ProviderAccount.objects.filter(pk=account.pk).update(base_url="http://moved.test/ocelot/api/v1")
        return False

    drivers.drive(1, stop)
    left = sum(Batch.objects.get(pk=batch.pk).counts()[state] for state in ("ready", "claimed"))
    assert left >= 60 - driving.AT_ONCE - 1


def test_what_cannot_be_written_leaves_the_others_alone(twin, monkeypatch):
    account = small_calls(1)
    batch = make_batch(fiction(3))
    intents = sending.intend(sending.take(3))
    done = [(each, sending.hand_over(account.at_provider(), each)) for each in intents]
    real = outcomes.record

    def record(some):
        if intents[0] in [intent for intent, _ in some]:
            raise ValueError("cannot be written")
        return real(some)

    monkeypatch.setattr(outcomes, "record", record)
    driving.Driver(account.pk, 1, lambda: False)._record(done)
    found = Batch.objects.get(pk=batch.pk).counts()
    assert (found["accepted"], found["submitting"]) == (2, 1)


def test_outcomes_wait_for_a_database_that_comes_back(twin, monkeypatch):
    account = small_calls(1)
    batch = make_batch(fiction(3))
    done = [(each, sending.hand_over(account.at_provider(), each)) for each in sending.intend(sending.take(3))]
    real, tries = outcomes.record, []

    def record(some):
        tries.append(1)
        if len(tries) <= 12:
            raise OperationalError("the database system is starting up")
        return real(some)

    monkeypatch.setattr(outcomes, "record", record)
    monkeypatch.setattr(sending, "AGAIN_AFTER_S", (0.0, 0.0))
    monkeypatch.setattr(driving, "PAUSE_S", 0.0)
    driving.Driver(account.pk, 1, lambda: False)._record(done)
    assert Batch.objects.get(pk=batch.pk).counts()["accepted"] == 3
