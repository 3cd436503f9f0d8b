"""What is left behind when a worker dies at each step, and what the sweeper makes of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.db import connection

from messaging import controls, sending, sweeping
from messaging.models import Attempt, Batch, Chunk
from messaging.sending import outcomes
from messaging.sending.answers import decide
from messaging.statuses import BatchState, ChunkState
from messaging.tasks import drain_all
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.tests.world import fiction, make_account, make_batch

pytestmark = pytest.mark.django_db
LATE = timedelta(seconds=180 + 60 + 1)


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""


def counts(batch: Batch) -> dict[str, int]:
    fresh = Batch.objects.get(pk=batch.pk)
    assert sum(fresh.counts().values()) == fresh.recipients
    return {state: count for state, count in fresh.counts().items() if count}


def intended(batch: Batch) -> sending.Intent:
    """A worker's intent, committed; then the worker is gone."""
    taken = sending.take()
    [intent] = sending.intend(taken)
    return intent


def test_a_worker_that_died_before_its_intent_costs_nothing(twin):
    batch = make_batch(fiction(3))
    sending.take()
    assert counts(batch) == {"claimed": 3}
    drain_all()
    assert counts(batch) == {"claimed": 3}, "its lease still runs"
    with time_machine.travel(clock.now() + LATE):
        drain_all()
    assert counts(batch) == {"accepted": 3}
    assert len(twin.ocelot.sent) == 3


@pytest.mark.parametrize("sent", [False, True])
def test_a_worker_that_died_after_its_intent_leaves_an_unknown(twin, sent):
    batch = make_batch(fiction(3))
    intent = intended(batch)
    if sent:
        sending.hand_over(batch.account.at_provider(), intent)
    with time_machine.travel(clock.now() + LATE):
        swept = sweeping.sweep()
        drain_all()
    assert swept.unknown == 1
    assert counts(batch) == {"unknown": 3}
    assert len(twin.ocelot.sent) == (3 if sent else 0)
    assert Attempt.objects.get().outcome == "unknown"
    assert Batch.objects.get(pk=batch.pk).state == BatchState.FINISHED
    twin.settle()
    with time_machine.travel(clock.now() + LATE):
        drain_all()
    assert counts(batch) == ({"accepted": 3} if sent else {"unknown": 3})


def test_a_receipt_that_came_before_the_sweep_is_believed(twin):
    batch = make_batch(fiction(3))
    intent = intended(batch)
    sending.hand_over(batch.account.at_provider(), intent)
    twin.settle()
    drain_all()
    assert counts(batch) == {"submitting": 3}, "only its worker or the sweeper may move it"
    with time_machine.travel(clock.now() + LATE):
        drain_all()
    assert counts(batch) == {"accepted": 3}


def test_a_worker_that_wakes_after_the_sweep_writes_nothing(twin):
    batch = make_batch(fiction(3))
    intent = intended(batch)
    with time_machine.travel(clock.now() + LATE):
        sweeping.sweep()
        assert not outcomes.record([(intent, decide(ValueError("late"), 3))])
    assert Chunk.objects.get().state == ChunkState.UNKNOWN
    assert counts(batch) == {"unknown": 3}


@pytest.mark.parametrize(("move", "left"), [("pause", "ready"), ("cancel", "skipped")])
def test_what_a_dead_worker_had_claimed_follows_its_batch(twin, move, left):
    batch = make_batch(fiction(3))
    sending.take()
    getattr(controls, move)(Batch.objects.get(pk=batch.pk), actor=None)
    with time_machine.travel(clock.now() + LATE):
        assert sweeping.sweep().released == 1
    assert counts(batch) == {left: 3}
    assert twin.ocelot.sent == []


def test_two_sweeps_settle_a_thing_once(twin):
    batch = make_batch(fiction(3))
    intended(batch)
    with time_machine.travel(clock.now() + LATE):
        assert sweeping.sweep().unknown == 1
        assert sweeping.sweep().unknown == 0


def test_a_batch_with_nothing_left_is_finished():
    batch = make_batch(fiction(1))
    Chunk.objects.update(state=ChunkState.EMPTY)
    assert sweeping.sweep().finished == 1
    assert Batch.objects.get(pk=batch.pk).state == BatchState.FINISHED


def lose_keys(slug):
    """As if FIELD_KEYS had been changed and the old one was gone."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_provideraccount SET secrets = 'lost' WHERE slug = %s", [slug])


def test_a_chunk_of_an_account_whose_keys_are_lost_is_judged_like_any_other(twin):
    batch = make_batch(fiction(3))
    intended(batch)
    lose_keys("ocelot")
    with time_machine.travel(clock.now() + LATE):
        assert sweeping.sweep().unknown == 1
    assert counts(batch) == {"unknown": 3}


def test_a_duty_that_fails_leaves_the_others_alone(twin):
    """An account whose keys are lost cannot be asked; the accounts behind it, and every other duty, can."""
    batch = make_batch(fiction(1))
    Batch.objects.update(expires_at=clock.after(-1))
    lost, other = make_account(), make_account("second")
    ProviderAccount.objects.update(circuit_open=True, paused_until=clock.after(-1))
    lose_keys(lost.slug)
    swept = sweeping.sweep()
    assert (swept.expired, swept.reopened) == (1, 1)
    assert counts(batch) == {"skipped": 1}
    assert not ProviderAccount.objects.filter(pk=other.pk).values_list("circuit_open", flat=True).get()


def test_what_asks_providers_does_not_keep_the_sweeper_waiting(twin):
    make_batch(fiction(1))
    Batch.objects.update(expires_at=clock.after(-1))
    ProviderAccount.objects.update(circuit_open=True, paused_until=clock.after(-1))
    assert sweeping.settle() == sweeping.Swept(expired=1)  # finished by the next
    assert sweeping.ask() == sweeping.Swept(reopened=1)
