"""`make bench QUICK=1` on the database of these tests' kind: the measurements still run, and no side gets away with less."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from benchmarks import sides
from benchmarks.rounds import NotDone
from smsportal.tests.children import database_url
from smsportal.tests.world import fiction, make_batch

ROOT = Path(settings.BASE_DIR)
PAGE = ROOT / "benchmarks" / "README.md"


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("bench", sorted(path.stem for path in PAGE.parent.glob("bench_*.py")))
def test_a_bench_runs_and_every_side_does_its_work(bench):
    database = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[connection.vendor]
    page = PAGE.read_text()
    environment = {name: value for name, value in os.environ.items() if name != "TEST_SQLITE"}
    if connection.vendor == "postgresql":
        environment["TEST_POSTGRES_URL"] = database_url()
    command = [sys.executable, "-m", "benchmarks", "--quick", "--database", database, bench]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if f"| {database} |" in line], done.stdout
    assert PAGE.read_text() == page, "a quick run keeps no figures"


def post(far: sides.Stub, *references: str) -> None:
    messages = [{"to": "312-555-0100", "customerMessageId": reference} for reference in references]
    body = json.dumps({"messages": messages}).encode()
    with urllib.request.urlopen(f"{far.address}/api/v1/sms/send/", body, timeout=10) as answer:
        ids = [each["messageUuid"] for each in json.load(answer)["messages"]]
        assert len({*ids}) == len(references)


def test_a_side_that_lost_or_doubled_a_text_has_no_figure():
    one, other = "964783cd-c648-4628-8262-55dac3831d8f", "0b5d1f64-9f0f-4c62-8a41-1f7c5f0b8a11"
    with sides.stub() as far:
        post(far, f"{one}.1", f"{other}.1")
        far.must_have(2)
        with pytest.raises(NotDone, match="2 texts of 2 messages, not 3"):
            far.must_have(3)
        post(far, f"{one}.2")
        with pytest.raises(NotDone, match="3 texts of 2 messages"):
            far.must_have(3)
        far.reset()
        far.must_have(0)


@pytest.mark.django_db
def test_a_side_that_left_messages_unsent_has_no_figure(settings):
    settings.QUIET_HOURS = ""
    with pytest.raises(NotDone, match="Of 3 messages 0 were accepted; the batch is running"):
        sides.must_be_sent(make_batch(fiction(3)))
