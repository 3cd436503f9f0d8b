"""Pausing, resuming and cancelling, and the lists that are busy meanwhile."""

import pytest

from contacts import keeping
from contacts.keeping import segments
from messaging import composing, controls
from messaging.controls import stopping
from messaging.models import Batch, Chunk
from messaging.statuses import BatchState
from messaging.sweeping import sweep
from messaging.tests.composed import balanced, begin, compose, draft, states, students
from smsportal import clock
from smsportal.problems import Conflict
from smsportal.tests.world import make_list

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def any_hour(settings):
    settings.QUIET_HOURS = ""


@pytest.mark.parametrize("far", [begin, lambda batch: compose(begin(batch))])
def test_resume_leads_back_to_where_it_was_paused(far):
    batch = far(draft(students(1)))
    before = batch.state
    assert controls.pause(batch, actor=None).state == BatchState.PAUSED
    assert composing.next_batch() is None
    assert controls.resume(batch, actor=None).state == before
    assert batch.resume_to == ""


def test_cancel_skips_what_waits_and_leaves_what_is_on_its_way():
    batch = compose(begin(draft(students(205))))
    taken = batch.chunks.first()
    Chunk.objects.filter(pk=taken.pk).update(state="submitting")
    taken.messages.update(state="submitting")
    controls.cancel(batch, actor=None)
    assert batch.finished_at is not None
    assert {state: n for state, n in batch.counts().items() if n} == {"submitting": 100, "skipped": 105}
    assert set(batch.messages.filter(state="skipped").values_list("reason", flat=True)) == {"cancelled"}
    assert list(batch.chunks.order_by("pk").values_list("state", flat=True)) == ["submitting", "empty", "empty"]
    assert balanced(batch)


def test_a_large_batch_is_cancelled_in_pages_and_finished_by_the_sweeper(monkeypatch):
    monkeypatch.setattr("messaging.controls.stopping.CHUNKS", 2)
    batch = compose(begin(draft(students(305))))
    Batch.objects.update(state="cancelled", finished_at=clock.now())  # killed before anything was skipped
    taken = batch.chunks.first()
    Chunk.objects.filter(pk=taken.pk).update(state="claimed")
    assert sweep().skipped == 305
    assert {state: n for state, n in batch.counts().items() if n} == {"skipped": 305}
    assert set(batch.chunks.exclude(pk=taken.pk).values_list("state", flat=True)) == {"empty"}
    assert sweep().skipped == 0


def test_only_cancelled_batches_are_skipped():
    batch = compose(begin(draft(students(3))))
    assert stopping.skip_waiting(batch.pk) == controls.skip_cancelled() == 0
    assert set(states(batch).values()) == {"ready"}


def test_a_list_is_busy_while_a_batch_that_uses_it_is_on_its_way():
    contact_list = students(1)
    batch = begin(draft(contact_list))
    assert "“Moved” is being sent to this list" in controls.busy(contact_list)
    compose(batch)
    assert controls.busy(contact_list)
    assert not controls.busy(make_list("Other"))
    controls.cancel(batch, actor=None)
    assert controls.busy(contact_list) == ""


def test_a_segment_and_its_list_stay_while_a_batch_that_uses_it_is_submitted_or_on_its_way():
    contact_list = students(1)
    asked = [{"field": "First_Name", "test": "is_not_blank", "value": ""}]
    segment = segments.create_segment(contact_list=contact_list, name="Named", match="all", conditions=asked)
    batch = draft(segments=[segment])
    assert controls.busy(segment) == controls.busy(contact_list) == ""
    controls.submit(batch, actor=None)
    with pytest.raises(Conflict, match="“Moved” is to be sent to this segment; choose others in it, or cancel it"):
        keeping.remove_list(contact_list)
    controls.start(batch, actor=None)
    assert "is being sent to this list" in controls.busy(contact_list)
    with pytest.raises(Conflict, match="“Moved” is being sent to this segment"):
        segments.remove_segment(segment)
    controls.cancel(batch, actor=None)
    segments.remove_segment(segment)
    keeping.remove_list(contact_list)
