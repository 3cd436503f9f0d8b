"""The real worker as a process of its own, killed in the middle of a batch: nothing lost, nobody texted twice."""

from __future__ import annotations

import signal
from collections import Counter
from datetime import timedelta

import pytest

from messaging import tasks
from messaging.models import Batch, Chunk, Message
from messaging.statuses import BatchState, ChunkState
from smsportal import clock, doorbell
from smsportal.accounts.models import ProviderAccount
from smsportal.tests.children import ask, wait_for
from smsportal.tests.world import fiction, make_account, make_batch

PEOPLE = 400


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_kill_9_in_the_middle_of_a_batch_loses_and_doubles_nothing(start, served_twin, settings):
    settings.QUIET_HOURS = ""
    account = make_account(base_url=f"{served_twin}/ocelot/api/v1")
    ProviderAccount.objects.filter(pk=account.pk).update(max_per_call=20)
    account.refresh_from_db()
    ask(f"{served_twin}/_sandbox/faults", {"kind": "latency", "on": "send", "latency_ms": 150})
    batch = make_batch(fiction(PEOPLE))
    for killed in range(1, 4):
        worker = start("manage.py", "runworker", SEND_THREADS="2").running
        wait_for(lambda reached=killed * PEOPLE // 5: _accepted(batch) >= reached)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert sum(batch.counts().values()) == PEOPLE
        # Its leases run out while nobody works.
        at_work = Chunk.objects.filter(state__in=[ChunkState.CLAIMED, ChunkState.SUBMITTING])
        at_work.update(lease_until=clock.now() - timedelta(minutes=10))
    start("manage.py", "runworker")
    wait_for(lambda: Batch.objects.get(pk=batch.pk).state == BatchState.FINISHED)
    counts = {state: count for state, count in batch.counts().items() if count}
    assert sum(counts.values()) == PEOPLE
    assert set(counts) <= {"accepted", "unknown"}
    # Receipts keep coming in; what they prove is not unknown any more.
    log = ask(f"{served_twin}/_sandbox/log?limit=100000")["sent"]
    copies = Counter(text["e164"] for text in log)
    assert max(copies.values()) == 1
    wait_for(lambda: _accepted(batch) == len(copies))
    unknown = set(Message.objects.filter(batch=batch, state="unknown").values_list("number__e164", flat=True))
    assert unknown.isdisjoint(copies), "a receipt proves every text the twin has"


def _accepted(batch: Batch) -> int:
    return batch.counts()["accepted"]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_sigterm_finishes_what_is_in_hand(start, served_twin, settings):
    settings.QUIET_HOURS = ""
    account = make_account(base_url=f"{served_twin}/ocelot/api/v1")
    ProviderAccount.objects.filter(pk=account.pk).update(max_per_call=20)
    ask(f"{served_twin}/_sandbox/faults", {"kind": "latency", "on": "send", "latency_ms": 300})
    batch = make_batch(fiction(PEOPLE))
    worker = start("manage.py", "runworker", SEND_THREADS="2").running
    wait_for(lambda: _accepted(batch) > 0)
    worker.terminate()
    assert worker.wait(30) == 0
    counts = {state: count for state, count in batch.counts().items() if count}
    assert set(counts) == {"accepted", "ready"}


@pytest.mark.django_db
def test_a_composed_batch_wakes_those_who_send():
    doorbell.bells["sending"].clear()
    assert not tasks.work_composing()
    assert not doorbell.bells["sending"].is_set()
    batch = make_batch(fiction(3))
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.EXPANDING, expanded_to=0, recipients=0)
    batch.messages.all().delete()
    assert tasks.work_composing()
    assert doorbell.bells["sending"].is_set()
