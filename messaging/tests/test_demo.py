"""The demo's own parts: the same made-up students every time, a table that must sum, and children that never stay behind."""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from messaging.demo import students, table
from messaging.models import Batch, Message
from messaging.statuses import MessageState
from smsportal import phones, processes
from smsportal.processes import Broken, Crew
from smsportal.tests import world

SAMPLE = students.sample()
FILES = [(SAMPLE.freshmen, "utf-8-sig", ","), (SAMPLE.transfers, "cp1252", ";"), (SAMPLE.housing, "utf-16", "\t")]


def rows(file: students.File, encoding: str, separator: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.content.decode(encoding)), delimiter=separator))


def numbers(file: students.File, encoding: str, separator: str) -> list[str]:
    """The numbers of a file that can be read, in E.164."""
    found = []
    for row in rows(file, encoding, separator):
        try:
            found.append(phones.to_e164(row["Cell phone"]))
        except phones.BadNumber:
            continue
    return found


def test_the_students_are_the_same_every_time() -> None:
    assert students.sample() == SAMPLE


@pytest.mark.parametrize(("file", "encoding", "separator"), FILES, ids=lambda value: getattr(value, "name", None))
def test_a_file_is_what_its_program_would_write(file: students.File, encoding: str, separator: str) -> None:
    found = rows(file, encoding, separator)
    assert len(found) == file.rows
    assert set(found[0]) == set(students.COLUMNS)


def test_there_are_enough_students_and_their_numbers_are_fiction() -> None:
    people = {number for file in FILES for number in numbers(*file)}
    assert len(people) >= 1000
    assert all(number[5:9] == "5550" and number[9] == "1" for number in people)


def test_the_trouble_is_in_the_files() -> None:
    found = rows(*FILES[0])
    reasons = set()
    for row in found:
        try:
            phones.to_e164(row["Cell phone"])
        except phones.BadNumber as bad:
            reasons.add(bad.code)
    assert reasons == {"blank", "letters", "invalid", "two_numbers", "extension", "spreadsheet", "region"}
    known = numbers(*FILES[0])
    assert len(known) > len(set(known)), "somebody is in the file twice"
    assert any("🌻" in row["First name"] for row in found)
    assert any(not row["Adviser"] for row in found)
    assert {SAMPLE.opted_out, SAMPLE.says_stop, SAMPLE.blocked} <= set(known)


@pytest.mark.parametrize("spelled", list(students.spellings("+13125550142")))
def test_every_spelling_is_the_same_number(spelled: str) -> None:
    assert phones.to_e164(spelled) == "+13125550142"


# --- the table -------------------------------------------------------------------------------------------------------
def test_a_line_that_does_not_sum_is_marked() -> None:
    right = table.Line("sent", 1200, (("delivered", 1190), ("failed", 10)))
    wrong = table.Line("sent", 1200, (("delivered", 1190), ("failed", 9)))
    assert right.sums
    assert str(right).endswith("✓")
    assert not wrong.sums
    assert "1,199" in str(wrong)


@pytest.fixture
def batch(db: None) -> Batch:
    unit, account = world.make_unit(), world.make_account()
    batch = Batch.objects.create(
        unit=unit, account=account, name="Test", sender="+13125550190", text="Hi", recipients=2
    )
    for e164 in ("+13125550100", "+13125550101"):
        Message.objects.create(batch=batch, number=world.make_number(e164), text="Hi", state=MessageState.ACCEPTED)
    return batch


@pytest.mark.parametrize(
    ("received", "complaint"),
    [
        (["312-555-0100", "312-555-0101"], ""),
        (["312-555-0100", "312-555-0101", "312-555-0101"], "2 texts"),
        (["312-555-0100"], "the provider has no such text"),
        (["312-555-0100", "312-555-0101", "312-555-0102"], "we do not count as sent"),
        (["312-555-0100", "312-555-0101", "312-555-0109"], "had opted out"),
    ],
)
def test_the_providers_log_is_compared_with_ours(batch: Batch, received: list[str], complaint: str) -> None:
    found = table.complaints(batch, [{"to": number} for number in received], never=["+13125550109"])
    assert any(complaint in sentence for sentence in found) if complaint else not found


# --- the children ----------------------------------------------------------------------------------------------------
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_leaving_stops_every_child() -> None:
    with Crew() as crew:
        running = [crew.start(name, SLEEP).running for name in ("one", "two")]
        assert not crew.ended()
    assert all(child.poll() is not None for child in running)


def test_a_child_that_ends_is_noticed_with_its_last_words(tmp_path: Path) -> None:
    with Crew() as crew:
        crew.start("worker", [sys.executable, "-c", "raise SystemExit('no database')"], log=tmp_path / "worker.log")
        with pytest.raises(Broken, match="no database"):
            crew.wait_for(f"http://127.0.0.1:{processes.free_port()}/")


def test_a_child_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux can do this")
    started = tmp_path / "child"
    parent = (
        "import sys, time; from smsportal.processes import Crew; crew = Crew();"
        f"child = crew.start('child', {SLEEP!r}); open({str(started)!r}, 'w').write(str(child.running.pid));"
        "time.sleep(60)"
    )
    with Crew() as crew:
        running = crew.start("parent", [sys.executable, "-c", parent]).running
        until(lambda: started.exists() and started.read_text() != "")
        running.kill()
        pid = int(started.read_text())
        until(lambda: not is_running(pid))


def until(done: Callable[[], bool], seconds: float = 10) -> None:
    ends = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < ends
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether the process does anything: one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_taken_port_is_seen() -> None:
    with Crew() as crew:
        port = processes.free_port()
        assert not processes.is_taken(port)
        crew.start(
            "web", [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)], log=Path("/dev/null")
        )
        crew.wait_until(lambda: processes.is_taken(port), "the server")
