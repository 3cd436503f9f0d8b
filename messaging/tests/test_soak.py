"""The quick form of the soak: 1,500 texts through workers that are killed, at a twin that errs; and with a planted mistake."""

import json
import os
import subprocess
import sys

import pytest
from django.db import connections

from messaging.tests.proof.books import Books
from smsportal.tests.children import database_url


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
