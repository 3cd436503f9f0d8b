"""The database goes away while a call is read: no fault of the call, so it is read again at once and loses nothing."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from unittest import mock

import pytest
from django.db import InterfaceError, OperationalError, connection, transaction

from contacts.models import ConsentEvent, PhoneNumber
from messaging import events, tasks
from messaging.events import items
from messaging.models import CallState, Turn, WebhookCall, WebhookItem
from messaging.tests.calls import read_all, reply, store
from smsportal import clock
from smsportal.claims import let_go
from smsportal.tests.children import wait_for
from smsportal.tests.world import make_number

pytestmark = pytest.mark.django_db

WHERE = (
    "messaging.events._call",
    "messaging.events.items.take_in",
    "messaging.events.effects.hear_person",
    "messaging.events.let_go",
)


def away_once(where, error=OperationalError):
    """What is called at `where` fails once, as on a connection that was lost, and works from then on."""
    return mock.patch(where, side_effect=[error("the connection is closed"), *[mock.DEFAULT] * 20], wraps=_at(where))


def _at(where):
    module, name = where.rsplit(".", 1)
    return getattr(__import__(module, fromlist=[name]), name)


def opted_out():
    return PhoneNumber.objects.filter(opted_out=True).exists()


@pytest.mark.parametrize("where", WHERE)
def test_a_call_met_by_it_is_due_again_in_a_moment_and_counts_no_try(where, time_machine):
    time_machine.move_to(clock.now(), tick=False)
    call = store([reply("Hello", event="e0"), reply("STOP")])
    with away_once(where):
        events.read_call(events.next_call())
        call.refresh_from_db()
        assert (call.state, call.tries, call.lease_until, call.problem) == (CallState.NEW, 0, None, "")
        assert call.retry_at - clock.now() <= timedelta(seconds=1)
        time_machine.move_to(call.retry_at, tick=False)
        read_all()
    call.refresh_from_db()
    assert (call.state, call.tries, call.retry_at) == (CallState.DONE, 1, None)
    assert opted_out()
    assert (ConsentEvent.objects.count(), Turn.objects.count(), WebhookItem.objects.count()) == (1, 2, 2)
    assert not WebhookItem.objects.exclude(state="applied", repeats=0).exists()


def test_a_first_reading_told_by_its_tries_would_lose_the_opt_out(time_machine, monkeypatch):
    """The control of the test above: what was stored before the database went away must be known again."""
    genuine = items.take_in

    def by_tries(call, *rest):
        call.fence = call.tries
        return genuine(call, *rest)

    monkeypatch.setattr(items, "take_in", by_tries)
    store([reply("STOP")])
    with away_once("messaging.events.effects.hear_person"):
        read_all()
        time_machine.move_to(clock.now() + timedelta(seconds=2))
        read_all()
    assert WebhookCall.objects.get().state == CallState.DONE
    assert not opted_out()


def test_a_call_that_meets_it_again_and_again_waits_longer_and_is_never_put_aside(time_machine):
    time_machine.move_to(clock.now(), tick=False)
    call = store([reply("STOP")])
    waits = []
    with mock.patch("messaging.events.items.take_in", side_effect=OperationalError("it takes too long")):
        for _ in range(12):
            events.read_call(events.next_call())
            call.refresh_from_db()
            waits.append((call.retry_at - clock.now()).total_seconds())
            time_machine.move_to(call.retry_at, tick=False)
    assert waits == [*events.AGAIN_S, 60, 60]
    assert (call.state, call.tries) == (CallState.NEW, 0)
    read_all()
    assert opted_out()
    assert call.pk not in events._met


def test_a_bad_call_waits_a_minute():
    call = store([reply("Hello")])
    with mock.patch("messaging.events.items.take_in", side_effect=ValueError("our mistake")):
        read_all()
    call.refresh_from_db()
    assert (call.state, call.tries) == (CallState.NEW, 1)
    assert 55 < (call.retry_at - clock.now()).total_seconds() <= 60


def test_the_lane_goes_on_with_it_by_itself():
    """As a task of Celery's: one that ended would be missed until the next ring."""
    store([reply("STOP")])
    with away_once("messaging.events.effects.hear_person"):
        tasks.drain("hooks", 5)
    assert opted_out()


# --- while the database stays away -----------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_claim_is_given_back_as_soon_as_the_database_answers(monkeypatch):
    monkeypatch.setattr(events, "AGAIN_S", (0.05,))
    call = store([reply("STOP")])
    gone = [InterfaceError("no connection")] * 3
    with (
        away_once("messaging.events._call", InterfaceError),
        mock.patch("messaging.events.let_go", side_effect=[*gone, mock.DEFAULT], wraps=let_go) as giving,
    ):
        events.read_call(events.next_call())
    assert giving.call_count == 4
    call.refresh_from_db()
    assert (call.state, call.tries, call.lease_until) == (CallState.NEW, 0, None)


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_stopped_does_not_wait_for_it():
    call = store([reply("STOP")])
    with mock.patch("messaging.events.let_go", side_effect=OperationalError("no connection")):
        events.read_call(events.next_call(), lambda: True)
    call.refresh_from_db()
    assert call.lease_until > clock.now()


# --- a real one ------------------------------------------------------------------------------------------------------
def stop_met_by_a_lost_connection(work):
    """Seconds from the moment the number is free until the opt-out counts; the reader's connection was ended before."""
    number = make_number()
    store([reply("STOP")])
    done = threading.Event()

    def worker():
        try:
            while not done.is_set():
                work()
                time.sleep(0.1)
        finally:
            connection.close()

    reader = threading.Thread(target=worker)
    try:
        with transaction.atomic():
            PhoneNumber.objects.select_for_update().get(pk=number.pk)
            reader.start()
            wait_for(_end_who_waits, 10)
            time.sleep(0.5)
        freed = time.monotonic()
        while not opted_out() and time.monotonic() - freed < 5:
            time.sleep(0.05)
        return time.monotonic() - freed
    finally:
        done.set()
        reader.join()


def _end_who_waits():
    """End the session that waits for this one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks "
            "WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return cursor.fetchall()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="it has no connections that are lost")
@pytest.mark.django_db(transaction=True)
def test_an_opt_out_whose_reader_lost_its_connection_counts_in_a_moment():
    assert stop_met_by_a_lost_connection(tasks.work_hooks) < 2
    assert WebhookCall.objects.get().tries == 1


@pytest.mark.skipif(connection.vendor == "sqlite", reason="it has no connections that are lost")
@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_taken_for_a_bad_call_would_hold_it_up(monkeypatch):
    """The control of the test above."""
    monkeypatch.setattr(events, "AGAIN_S", (60,))
    monkeypatch.setattr(tasks, "work_hooks", lambda: (held := events.next_call()) and events.read_call(held))
    assert stop_met_by_a_lost_connection(tasks.work_hooks) > 4
