"""The quick form of the soak: 1,500 texts through workers that are killed, at a twin that errs; and with a planted mistake."""

import json
import os
import subprocess
import sys
import time

import pytest
from django.db import connections

from contacts import consent
from contacts.models import ConsentSource
from messaging import sending
from messaging.sending import intents
from messaging.sending.answers import Decision, Verdict
from messaging.tests.proof.books import Books, after_stops
from messaging.tests.proof.twin import Ledger
from smsportal.tests.children import database_url
from smsportal.tests.world import fiction, make_batch


def soak(**plan: object) -> dict:
    """A soak on the test's database, in a process of its own."""
    connections.close_all()
    words = [word for name, value in plan.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "messaging.tests.proof.soak", *words]
    environment = {**os.environ, "DATABASE_URL": database_url()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.django_db(transaction=True)
def test_killed_workers_lose_nothing_and_double_nothing():
    found = soak(texts=600, kills=5, workers=2)
    assert found["wrong"] == {}
    assert found["ended_well"]
    assert found["kills"] >= 5


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_tries_again_after_a_timeout_is_caught():
    assert "doubled" in soak(texts=600, kills=2, workers=2, faults=8, mistake="retries a timeout")["wrong"]


def test_books_name_what_is_wrong():
    assert Books().wrong == {}
    assert (Books(doubled=["a"]) + Books(doubled=["b"], texts=3)).wrong == {"doubled": ["a", "b"]}


@pytest.mark.django_db
@pytest.mark.parametrize("is_looked_at", [True, False])
def test_books_see_a_text_that_left_after_a_stop_also_at_a_second_attempt(twin, settings, monkeypatch, is_looked_at):
    settings.QUIET_HOURS = ""
    batch = make_batch(fiction(1))
    [intent] = sending.intend(sending.take())
    sending.write_down([(intent, Decision(Verdict.LATER))])
    number = batch.messages.get().number
    consent.opt_out(number, source=ConsentSource.PROVIDER)
    stops = {number.e164: time.time()}
    if not is_looked_at:
        monkeypatch.setattr(intents, "_skip_opted_out", lambda going: None)
    for each in sending.intend(sending.take()):
        sending.hand_over(batch.account.at_provider(), each)
    ledger = Ledger()
    for text in twin.ocelot.sent:
        ledger.taken[text["customerMessageId"]].append(time.time())
        ledger.numbers[text["customerMessageId"]] = text["e164"]
    assert len(after_stops(ledger, stops)) == (0 if is_looked_at else 1)
