"""What is left behind when a worker dies at each step, and what the sweeper makes of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from messaging import controls, sending, sweeping
from messaging.models import Attempt, Batch, Chunk
from messaging.sending import outcomes
from messaging.sending.answers import decide
from messaging.statuses import BatchState, ChunkState
from messaging.tasks import drain_all
from smsportal import clock
from smsportal.tests.world import fiction, make_batch

pytestmark = pytest.mark.django_db
LATE = timedelta(seconds=sending.LEASE_S + sweeping.GRACE_S + 1)


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""


def counts(batch: Batch) -> dict[str, int]:
    fresh = Batch.objects.get(pk=batch.pk)
    assert sum(fresh.counts().values()) == fresh.recipients
    return {state: count for state, count in fresh.counts().items() if count}


def intended(batch: Batch) -> tuple[sending.Intent, Chunk]:
    """A worker's intent, committed; then the worker is gone."""
    held = sending.take()
    chunk = Chunk.objects.select_related("batch__account").get(pk=held.pk)
    intent = sending.intend(held, chunk)
    assert intent is not None
    return intent, chunk


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
    intent, chunk = intended(batch)
    if sent:
        sending.hand_over(chunk.batch.account.at_provider(), intent)
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
    intent, chunk = intended(batch)
    sending.hand_over(chunk.batch.account.at_provider(), intent)
    twin.settle()
    drain_all()
    assert counts(batch) == {"submitting": 3}, "only its worker or the sweeper may move it"
    with time_machine.travel(clock.now() + LATE):
        drain_all()
    assert counts(batch) == {"accepted": 3}


def test_a_worker_that_wakes_after_the_sweep_writes_nothing(twin):
    batch = make_batch(fiction(3))
    intent, chunk = intended(batch)
    with time_machine.travel(clock.now() + LATE):
        sweeping.sweep()
        assert not outcomes.record(intent.held, intent.attempt, decide(ValueError("late"), 3))
    assert Chunk.objects.get(pk=chunk.pk).state == ChunkState.UNKNOWN
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
