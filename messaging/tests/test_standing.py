"""How an account rests when its answers tell nothing, and how it is tried again: by one request, after ever longer rests."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from messaging.models import Batch
from messaging.sending import standing
from messaging.sending.answers import Decision, Verdict
from messaging.tasks import drain_all
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.tests.world import fiction, make_account, make_batch

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""


def ten_chunks() -> Batch:
    make_account(max_per_call=10)
    return make_batch(fiction(100))


def states(batch: Batch) -> dict[str, int]:
    return {state: count for state, count in batch.counts().items() if count}


def after_the_rests(batch, *rests):
    """How many texts are unknown after each further rest of so many seconds, with everything done that can be."""
    found = []
    with time_machine.travel(clock.now(), tick=False) as moment:
        for seconds in rests:
            moment.shift(timedelta(seconds=seconds))
            drain_all()
            found.append(states(batch).get("unknown", 0))
    return found


def test_an_account_that_answers_but_does_not_send_costs_a_request_a_rest_and_rests_longer(twin):
    """The probe only reads, and succeeds."""
    batch = ten_chunks()
    twin.faults.add("500", on="send")
    with time_machine.travel(clock.now(), tick=False):
        drain_all()
        assert states(batch)["unknown"] == 30
        assert after_the_rests(batch, 31, 31, 30, 61, 60) == [40, 40, 50, 50, 60]
        twin.faults.clear()
        assert after_the_rests(batch, 600)[0] == 60
    account = ProviderAccount.objects.get()
    assert (account.circuit_open, account.bad_answers) == (False, 0)
    assert account.window > 1
    assert states(batch) == {"unknown": 60, "accepted": 40}


def test_an_account_reopened_as_if_nothing_had_been_costs_three_requests_a_rest(twin, monkeypatch):
    """The control of the test above: the bad answers are forgotten when the account is asked."""
    real = standing.reopen

    def forgetful(account_id):
        return real(account_id), ProviderAccount.objects.update(bad_answers=0)

    monkeypatch.setattr(standing, "reopen", lambda pk: forgetful(pk)[0])
    batch = ten_chunks()
    twin.faults.add("500", on="send")
    with time_machine.travel(clock.now(), tick=False):
        drain_all()
        assert after_the_rests(batch, 31, 31) == [60, 90]


def test_a_rest_doubles_up_to_a_quarter_of_an_hour():
    assert [standing.rest_s(bad) for bad in (0, 3, 4, 5, 6, 7, 8, 9, 5000)] == [
        30,
        30,
        60,
        120,
        240,
        480,
        900,
        900,
        900,
    ]


def test_what_was_under_way_when_the_account_was_stopped_does_not_lengthen_its_rest():
    account = make_account()
    for _ in range(9):
        standing.note(account.pk, Decision(Verdict.UNKNOWN, text="HTTP 500", strike=True))
    account.refresh_from_db()
    assert (account.circuit_open, account.bad_answers) == (True, 3)
    standing.reopen(account.pk)
    standing.note(account.pk, Decision(Verdict.LATER, wait_s=5))
    account.refresh_from_db()
    assert not account.circuit_open, "a throttle is an answer"
    standing.note(account.pk, Decision(Verdict.CLOSED, text="HTTP 401", wait_s=300))
    account.refresh_from_db()
    assert (account.circuit_open, account.bad_answers, account.window) == (True, 4, 1)
    assert account.paused_until > clock.after(290), "as long as the provider asked for"
