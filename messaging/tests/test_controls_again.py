"""Sending again: retries of what failed, and texts nobody knows the fate of, settled by people."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from contacts.models import PhoneNumber
from messaging import controls
from messaging.models import Attempt, Batch, Chunk, Message, Receipt
from messaging.statuses import BatchState
from messaging.tests.composed import begin, compose, draft, states, students
from smsportal import clock
from smsportal.problems import Conflict, Wrong
from smsportal.providers.base import Delivery
from smsportal.tests.world import fiction, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def any_hour(settings):
    settings.QUIET_HOURS = ""


def finished(*fates):
    """A finished batch to as many students, each message with the columns given."""
    batch = compose(begin(draft(students(len(fates)))))
    batch.chunks.update(state="accepted")
    for number, fate in zip(fiction(len(fates)), fates, strict=True):
        batch.messages.filter(number__e164=number).update(**{"state": "accepted", "attempt": 1, **fate})
    Batch.objects.update(state="finished", finished_at=clock.now())
    batch.refresh_from_db()
    return batch


FAILED = {"delivery": Delivery.FAILED, "reported_failed": True, "error_code": "Unreachable", "remote_id": "r-1"}
REFUSED = {"state": "rejected", "reason": "refused", "error_code": "400", "error_text": "No."}
DELIVERED = {"delivery": Delivery.DELIVERED, "reported_failed": True, "reported_delivered": True}


def test_what_failed_is_made_ready_in_new_chunks_as_if_never_sent():
    batch = finished(FAILED, REFUSED, DELIVERED, {}, {"state": "unknown"})
    controls.retry_failed(batch, actor=None)
    assert (batch.state, batch.finished_at) == (BatchState.RUNNING, None)
    assert list(states(batch).values()) == ["ready", "ready", "accepted", "accepted", "unknown"]
    again = batch.messages.filter(state="ready")
    assert set(
        again.values_list("attempt", "delivery", "reported_failed", "error_code", "error_text", "remote_id", "reason")
    ) == {(1, 0, False, "", "", "", "")}
    assert set(again.values_list("chunk__state", "chunk__size")) == {("ready", 2)}
    batch.refresh_from_db()
    assert batch.recipients == sum(batch.counts().values()) == 5


def test_only_the_failures_of_some_classes_are_retried():
    batch = finished(FAILED, REFUSED)
    controls.retry_failed(batch, actor=None, classes=["Unreachable"])
    assert list(states(batch).values()) == ["ready", "rejected refused"]


def test_whoever_opted_out_meanwhile_is_not_tried_again():
    batch = finished(FAILED, FAILED)
    PhoneNumber.objects.filter(e164=fiction(2)[1]).update(opted_out=True)
    controls.retry_failed(batch, actor=None)
    assert list(states(batch).values()) == ["ready", "accepted"]


def test_retries_wait_for_the_end_of_quiet_hours(settings):
    batch = finished(FAILED, FAILED)
    west = batch.messages.order_by("pk").last()
    zones = ["America/New_York", "Pacific/Honolulu"]
    batch.chunks.update(zones=zones[0])
    Message.objects.filter(pk=west.pk).update(chunk=Chunk.objects.create(batch=batch, size=1, zones=zones[1]))
    now = clock.now()
    there = now.astimezone(ZoneInfo(zones[1]))
    settings.QUIET_HOURS = f"{there - timedelta(hours=1):%H:%M}-{there + timedelta(hours=2):%H:%M}"
    controls.retry_failed(batch, actor=None)
    assert list(states(batch).values()) == ["ready", "held quiet_hours"]  # those of two zones wait by themselves
    west.refresh_from_db()
    assert west.chunk.not_before > now
    assert west.chunk.zones == zones[1]


def test_many_retries_are_cut_into_calls_in_few_statements(django_assert_max_num_queries, monkeypatch):
    monkeypatch.setattr("messaging.controls.resending.PAGE", 100)
    batch = finished(*[FAILED] * 305)
    batch.chunks.update(zones="America/New_York")
    with django_assert_max_num_queries(9 + 4 * 12):  # twelve for each page
        controls.retry_failed(batch, actor=None)
    assert sorted(batch.chunks.filter(state="ready").values_list("size", flat=True)) == [5, 100, 100, 100]
    assert batch.recipients == sum(batch.counts().values()) == 305


def test_what_is_tried_again_after_its_end_is_refused(time_machine):
    batch = finished(FAILED)
    Batch.objects.update(expires_at=clock.now())
    batch.refresh_from_db()
    with pytest.raises(Conflict, match="not to be sent after"):
        controls.retry_failed(batch, actor=None)
    assert (batch.state, Batch.objects.get().state) == ("finished", "finished")


@pytest.mark.parametrize("classes", [(), ("Other",)])
def test_a_batch_without_failures_stays_finished(classes):
    batch = finished({}, FAILED if classes else {})
    with pytest.raises(Wrong, match="failed with “Other”" if classes else "Nothing in this batch failed"):
        controls.retry_failed(batch, actor=None, classes=classes)
    assert Batch.objects.get().state == BatchState.FINISHED


# --- unknown ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def author():
    return make_user("sam", groups=("Approver",))


@pytest.fixture
def approver():
    return make_user("alex", groups=("Approver",))


@pytest.fixture
def unknown(author):
    finished({"state": "unknown", "error_text": "timeout"})
    Batch.objects.update(author=author)
    return Message.objects.get()


def test_an_unknown_text_is_sent_again_by_somebody_else(unknown, approver):
    controls.resolve_unknown(unknown, actor=approver, resend=True)
    assert (unknown.state, unknown.attempt, unknown.error_text) == ("ready", 1, "")
    assert (unknown.chunk.state, unknown.chunk.size) == ("ready", 1)
    assert (unknown.batch.state, unknown.batch.moved_by) == (BatchState.RUNNING, approver)
    assert list(unknown.receipts.values_list("source", "status", "attempt")) == [("staff", "sent again by alex", 1)]


def test_an_unknown_text_is_written_off_by_anybody(unknown, author):
    controls.resolve_unknown(unknown, actor=author, resend=False)
    assert (unknown.state, unknown.evidence) == ("written_off", "staff")
    assert Batch.objects.get().state == BatchState.FINISHED
    assert unknown.receipts.get().status == "written off by sam"


def test_nobody_sends_their_own_unknown_text_again_nor_without_the_right(unknown, author):
    for actor in (author, make_user("kim", groups=("Sender",))):
        with pytest.raises(Conflict, match="may approve batches"):
            controls.resolve_unknown(unknown, actor=actor, resend=True)
    assert Message.objects.get().state == "unknown"


def test_a_fresh_unknown_text_waits_for_its_receipt(unknown, approver, time_machine):
    Attempt.objects.create(chunk=unknown.chunk, fence=1, texts=1)
    with pytest.raises(Conflict, match="receipt may still come"):
        controls.resolve_unknown(unknown, actor=approver, resend=True)
    time_machine.move_to(clock.now() + timedelta(minutes=16))
    assert controls.resolve_unknown(unknown, actor=approver, resend=True).state == "ready"


@pytest.mark.parametrize(
    ("rows", "change", "why"),
    [
        (Batch, {"state": "cancelled"}, "was cancelled"),
        (PhoneNumber, {"opted_out": True}, "opted out meanwhile"),
        (Message, {"state": "accepted"}, "is known by now"),
    ],
)
def test_what_need_not_or_must_not_be_sent_again_is_not(unknown, approver, rows, change, why):
    rows.objects.update(**change)
    with pytest.raises(Conflict, match=why):
        controls.resolve_unknown(Message.objects.get(), actor=approver, resend=True)
    assert not Message.objects.filter(state="ready").exists()
    assert Batch.objects.get().chunks.count() == 1


def test_what_is_known_is_not_written_off(unknown, approver):
    Message.objects.update(state="accepted")
    with pytest.raises(Conflict, match="is known by now"):
        controls.resolve_unknown(unknown, actor=approver, resend=False)
    assert Message.objects.get().state == "accepted"


# --- all that are unknown --------------------------------------------------------------------------------------------
@pytest.fixture
def several(author):
    """Four unknown texts: one of them tried lately, one to somebody who opted out; and one that was accepted."""
    batch = finished(*[{"state": "unknown"}] * 4, {})
    Batch.objects.update(author=author)
    batch.refresh_from_db()
    first, second = batch.messages.order_by("number__e164")[:2]
    late = Chunk.objects.create(batch=batch, size=1, state="unknown")
    Message.objects.filter(pk=first.pk).update(chunk=late)
    Attempt.objects.create(chunk=late, fence=1, texts=1)
    PhoneNumber.objects.filter(pk=second.number_id).update(opted_out=True)
    return batch


def test_all_unknown_texts_are_written_off_at_once(several, author, django_assert_max_num_queries):
    with django_assert_max_num_queries(8):
        assert controls.resolve_unknowns(several, actor=author, resend=False) == 4
    assert list(states(several).values()) == ["written_off"] * 4 + ["accepted"]
    assert set(Receipt.objects.values_list("source", "status")) == {("staff", "written off by sam")}
    with pytest.raises(Conflict, match="unknown any more"):
        controls.resolve_unknowns(several, actor=author, resend=False)


def test_the_unknown_texts_that_may_be_are_sent_again_by_somebody_else(several, author, approver, time_machine):
    with pytest.raises(Conflict, match="may approve batches"):
        controls.resolve_unknowns(several, actor=author, resend=True)
    assert controls.resolve_unknowns(several, actor=approver, resend=True) == 2
    assert list(states(several).values()) == ["unknown", "unknown", "ready", "ready", "accepted"]
    assert set(several.messages.filter(state="ready").values_list("evidence", "attempt")) == {("staff", 1)}
    assert (several.state, several.moved_by) == (BatchState.RUNNING, approver)
    assert Receipt.objects.filter(source="staff", status="sent again by alex").count() == 2
    with pytest.raises(Conflict, match="receipt may still come"):
        controls.resolve_unknowns(several, actor=approver, resend=True)
    time_machine.move_to(clock.now() + timedelta(minutes=16))
    assert controls.resolve_unknowns(several, actor=approver, resend=True) == 1
    with pytest.raises(Conflict, match="opted out meanwhile"):
        controls.resolve_unknowns(several, actor=approver, resend=True)
    assert several.recipients == sum(several.counts().values()) == 5


def test_who_submitted_it_does_not_send_its_unknown_texts_again(unknown, approver):
    Batch.objects.update(submitter=approver)
    with pytest.raises(Conflict, match="may approve batches"):
        controls.resolve_unknowns(Batch.objects.get(), actor=approver, resend=True)


def test_that_a_person_had_it_sent_again_stays_known_when_that_failed(unknown, approver):
    controls.resolve_unknown(unknown, actor=approver, resend=True)
    Message.objects.update(**{"state": "accepted", **FAILED})
    Batch.objects.update(state="finished")
    controls.retry_failed(Batch.objects.get(), actor=None)
    message = Message.objects.get()
    assert (message.state, message.evidence) == ("ready", "staff")
    assert [row.to for row in controls.outcome_rows(message.batch, "may_have")] == [message.number.e164]


GOT_BEFORE = {"attempt": 2, "delivery": Delivery.DELIVERED, "double_send": True}


def test_who_is_shown_as_having_got_it_is_neither_retried_nor_resent():
    """Refused, or unknown, at the second attempt, but a report says that the first one arrived."""
    batch = finished({**REFUSED, **GOT_BEFORE}, {"state": "unknown", **GOT_BEFORE})
    assert controls.outcome_counts(batch) == {"got": 2, "may_have": 0, "did_not": 0}
    assert controls.failure_classes(batch) == []
    with pytest.raises(Wrong):
        controls.retry_failed(batch, actor=None)
    with pytest.raises(Conflict, match="the person has the text"):
        controls.resolve_unknowns(batch, actor=make_user("boss", groups=("Approver",)), resend=True)
    assert not batch.messages.filter(state="ready").exists()
