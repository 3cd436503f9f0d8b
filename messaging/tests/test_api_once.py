"""The same Idempotency-Key again, for calls that write much: the same answer, and no transaction around all of it."""

from __future__ import annotations

import pytest

from messaging.controls import stopping
from messaging.models import Batch
from messaging.statuses import BatchState, MessageState
from messaging.sweeping import sweep
from messaging.tests.composed import at_statement, balanced, stop
from smsportal.tests.programs import API, program
from smsportal.tests.world import fiction, make_account, make_batch, make_user

pytestmark = pytest.mark.django_db(transaction=True)
KEY = {"HTTP_IDEMPOTENCY_KEY": "k1"}
A_PAGE = 'UPDATE "messaging_chunk" SET "state"'


@pytest.fixture
def batch(settings, monkeypatch):
    settings.QUIET_HOURS = ""
    make_account(max_per_call=2)
    monkeypatch.setattr(stopping, "CHUNKS", 1)
    return make_batch(fiction(6))


@pytest.fixture
def client():
    return program(make_user(groups=("Sender",)))


def test_a_repeated_cancel_gets_the_first_answer(client, batch):
    url = f"{API}batches/{batch.uuid}/cancel/"
    first, second = (client.post(url, **KEY) for _ in range(2))
    assert (first.status_code, first.json()["counts"]["skipped"]) == (200, 6)
    assert (second.status_code, second.json(), second["Idempotent-Replayed"]) == (200, first.json(), "true")
    assert client.post(url).status_code == 409
    assert balanced(batch)


def test_a_cancel_killed_half_way_holds_all_the_same_and_is_finished_by_the_sweeper(client, batch):
    url = f"{API}batches/{batch.uuid}/cancel/"
    with at_statement({2}, stop, beginning=A_PAGE), pytest.raises(KeyboardInterrupt):
        client.post(url, **KEY)
    batch.refresh_from_db()
    assert batch.state == BatchState.CANCELLED
    assert batch.messages.filter(state=MessageState.SKIPPED).count() == 2
    assert client.post(url, **KEY).json()["allowed"] == []
    sweep()
    assert batch.messages.filter(state=MessageState.SKIPPED).count() == 6
    assert balanced(Batch.objects.get())
