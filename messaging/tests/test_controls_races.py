"""Many people and workers at once: one of them wins, the others are told, and the books balance."""

import threading

import pytest
from django.db import close_old_connections, connection

from messaging import composing, controls
from messaging.models import Batch
from messaging.statuses import BatchState
from messaging.tests.composed import balanced, begin, draft, states, students
from smsportal.problems import Conflict

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def any_hour(settings):
    settings.QUIET_HOURS = ""


def at_once(count, act):
    """What `act` gave to each of `count` threads that set out together; exceptions are given, too."""
    gate, results = threading.Barrier(count), []

    def one():
        close_old_connections()
        gate.wait()
        try:
            results.append(act())
        except Exception as problem:
            results.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_fifty_clicks_on_start_make_one_expansion():
    batch = controls.submit(draft(students(30)), actor=None)
    results = at_once(50, lambda: controls.start(Batch.objects.get(pk=batch.pk), actor=None))
    refused = [each for each in results if isinstance(each, Conflict)]
    assert len(refused) == 49
    assert all("it is being prepared" in each.detail for each in refused)
    claims = at_once(8, composing.next_batch)
    assert len([claim for claim in claims if claim is not None]) == 1
    composing.expand(next(claim for claim in claims if claim is not None))
    assert balanced(batch)
    assert (batch.recipients, batch.state) == (30, BatchState.RUNNING)


def test_workers_that_share_a_batch_write_nobody_twice(monkeypatch):
    monkeypatch.setattr("messaging.composing.audience.PAGE", 10)
    batch = begin(draft(students(60)))

    def work():
        Batch.objects.update(lease_until=None)  # as if every lease ran out at once
        held = composing.next_batch()
        if held is not None:
            composing.expand(held)

    at_once(6, work)
    while batch.state == BatchState.EXPANDING:
        work()
        batch.refresh_from_db()
    assert balanced(batch)
    assert set(states(batch).values()) == {"ready"}
    assert batch.recipients == 60


def test_a_cancel_during_composing_leaves_nothing_to_send(monkeypatch):
    monkeypatch.setattr("messaging.composing.audience.PAGE", 10)
    batch = begin(draft(students(60)))
    acts = iter(
        [lambda: composing.expand(composing.next_batch()), lambda: controls.cancel(Batch.objects.get(), actor=None)]
    )
    lock = threading.Lock()

    def act():
        with lock:
            mine = next(acts)
        return mine()

    at_once(2, act)
    assert balanced(batch)
    assert batch.state == BatchState.CANCELLED
    assert set(states(batch).values()) <= {"skipped cancelled"}
    assert set(batch.chunks.values_list("state", flat=True)) <= {"empty"}


def test_pause_and_cancel_at_once_end_cancelled():
    batch = begin(draft(students(2)))
    acts = [controls.pause, controls.cancel, controls.cancel, controls.pause]
    lock = threading.Lock()

    def act():
        with lock:
            mine = acts.pop()
        return mine(Batch.objects.get(pk=batch.pk), actor=None)

    results = at_once(4, act)
    batch.refresh_from_db()
    assert batch.state == BatchState.CANCELLED
    assert len([each for each in results if isinstance(each, Batch)]) in {1, 2}
