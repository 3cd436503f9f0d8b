"""Which call is read first: replies and opt-outs overtake delivery receipts, and each kind keeps its order of arrival."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from contacts.models import PhoneNumber
from messaging import events
from messaging.models import Attempt, Conversation, WebhookCall
from messaging.tests.calls import make_sent, read_all, reply, status, store
from smsportal.claims import free
from smsportal.tests.world import make_number

pytestmark = pytest.mark.django_db

RECEIPTS = 30
STOP = reply("STOP", event="e1", at="2025-09-01T15:00:00Z")
START = reply("START", event="e2", at="2025-09-01T15:00:05Z")


@pytest.fixture
def attempt():
    """An attempt whose own address was called with thirty receipts that nobody has read."""
    messages = make_sent(RECEIPTS)
    attempt = Attempt.objects.get()
    for message in messages:
        store([status(message, "delivered")], attempt=attempt)
    return attempt


def read_until_opted_out():
    """How many calls are read until the person counts as opted out, and which."""
    read = []
    while held := events.next_call():
        read.append(held.pk)
        events.read_call(held)
        if PhoneNumber.objects.filter(opted_out=True).exists():
            break
    return read


def test_an_opt_out_overtakes_the_receipts_that_came_before_it(attempt):
    call = store([STOP])
    assert read_until_opted_out() == [call.pk]


def test_an_opt_out_at_the_address_of_an_attempt_is_heard_in_its_turn(attempt):
    """Also the control of the test above: not told apart, every opt-out would be read so late."""
    store([STOP], attempt=attempt)
    assert len(read_until_opted_out()) == RECEIPTS + 1


def test_each_kind_keeps_its_order(attempt):
    replies = [store([news]).pk for news in (STOP, START)]
    receipts = list(WebhookCall.objects.exclude(attempt=None).order_by("id").values_list("pk", flat=True))
    taken = []
    while held := events.next_call():
        taken.append(held.pk)
    assert taken == replies + receipts


# --- two workers with news of one person -----------------------------------------------------------------------------
@pytest.mark.parametrize("news", [(STOP, START), (START, STOP)], ids=["stop first", "start first"])
def test_what_two_workers_read_in_the_wrong_order_counts_in_the_right_one(news):
    for each in news:
        store([each])
    first, second = events.next_call(), events.next_call()
    events.read_call(second)
    events.read_call(first)
    number = PhoneNumber.objects.get()
    assert (number.opted_out, number.consent_at.isoformat()) == (False, "2025-09-01T15:00:05+00:00")
    assert Conversation.objects.get().last_text == "START"


def test_without_times_of_the_provider_an_opt_out_outweighs():
    timeless = [{name: value for name, value in each.items() if name != "dateTime"} for each in (STOP, START)]
    for each in timeless:
        store([each])
    first, second = events.next_call(), events.next_call()
    events.read_call(second)
    events.read_call(first)
    assert PhoneNumber.objects.get().opted_out


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_come_to_the_same_end():
    make_number()
    for each in (STOP, START):
        store([each])

    def worker():
        try:
            read_all()
        finally:
            connection.close()

    workers = [threading.Thread(target=worker) for _ in range(2)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert set(WebhookCall.objects.values_list("state", flat=True)) == {"done"}
    number = PhoneNumber.objects.get()
    assert (number.opted_out, number.consent_at.isoformat()) == (False, "2025-09-01T15:00:05+00:00")


# --- what it costs ---------------------------------------------------------------------------------------------------
def test_an_index_serves_the_calls_read_first(attempt):
    """Neither the receipts that wait nor the calls that were read long ago are looked through."""
    account = attempt.chunk.batch.account
    WebhookCall.objects.bulk_create(
        WebhookCall(account=account, body=b"", sha256=f"{state} {place}", state=state, attempt=where)
        for state, where in (("new", attempt), ("done", None))
        for place in range(2000)
    )
    for number in range(20):
        store([reply("Hello", event=f"e{number}")], account=account)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE messaging_webhookcall")
    waiting = WebhookCall.objects.filter(free(), state="new")
    assert "calls_read_first" in events.own_address(waiting)[:1].explain()
