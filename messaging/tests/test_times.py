"""When a batch may be composed, asks first, or is too late: leaving times, overdue schedules, "not after"."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from messaging import composing, controls, sending
from messaging.controls.stopping import expire_due
from messaging.models import Alert, AlertKind, Batch, Chunk, Holiday, forget_holidays
from messaging.statuses import BatchState, Reason
from messaging.tests.composed import at_statement, balanced, begin, compose, draft, states, stop, students
from messaging.zones import zones_of
from smsportal import clock
from smsportal.tests.world import fiction, make_account, make_batch, make_contact, make_list, make_unit

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 6, 2, 16, 0, tzinfo=UTC)  # in New York, where the numbers of these students are


@pytest.fixture(autouse=True)
def noon(settings, time_machine):
    settings.QUIET_HOURS = ""
    time_machine.move_to(NOON, tick=False)


@pytest.fixture
def later(time_machine):
    def move(**by):
        time_machine.move_to(NOON + timedelta(**by), tick=False)

    return move


def test_staff_are_told_of_a_scheduled_batch_whose_list_changed_before_its_time(later):
    contact_list = students(2)
    batch = begin(draft(contact_list, send_at=NOON + timedelta(hours=1)))
    make_contact(contact_list, fiction(1, 50)[0], first="Late")
    later(hours=1)
    assert compose(batch).state == BatchState.DRAFT
    alert = Alert.objects.get()
    assert (alert.kind, alert.batch, alert.unit, alert.seen_at) == (AlertKind.VOIDED, batch, batch.unit, None)
    assert alert.text == f"“Moved” was to be sent on 02 June at 13:00 and has not left. {batch.problem}"
    assert "Look at the preview and submit it." in batch.problem


# --- when it may leave ----------------------------------------------------------------------------------------------
def test_a_batch_may_leave_at_any_minute(later):
    batch = begin(draft(students(2), send_at=NOON + timedelta(minutes=7)))
    later(minutes=6, seconds=59)
    assert composing.next_batch() is None
    later(minutes=7)
    assert compose(batch).state == BatchState.RUNNING


def test_nothing_is_composed_while_a_start_can_be_undone(later):
    batch = controls.submit(draft(students(2)), actor=None)
    controls.start(batch, actor=None, undo_s=10)
    later(seconds=9)
    assert composing.next_batch() is None
    later(seconds=10)
    assert compose(batch).state == BatchState.RUNNING


# --- overdue --------------------------------------------------------------------------------------------------------
def test_a_schedule_an_outage_made_late_asks_before_it_is_sent(later):
    batch = begin(draft(students(2), send_at=NOON + timedelta(hours=1)))
    behind = begin(draft(students(2, "Others", start=10)))
    later(hours=2, minutes=1)
    assert compose(behind).state == BatchState.RUNNING  # those behind it do not wait
    batch.refresh_from_db()
    assert (batch.state, batch.resume_to, batch.recipients) == (BatchState.PAUSED, BatchState.EXPANDING, 0)
    assert batch.problem == (
        "It was to be sent on 02 June at 13:00 and could not be. Resume it to send it now, or cancel it."
    )
    alert = Alert.objects.get()
    assert (alert.kind, alert.batch, alert.unit, alert.seen_at) == (AlertKind.OVERDUE, batch, batch.unit, None)
    assert alert.text == f"“Moved” waits. {batch.problem}"
    assert composing.next_batch() is None
    assert compose(controls.resume(batch, actor=None)).state == BatchState.RUNNING
    assert (batch.recipients, batch.problem, Alert.objects.count()) == (2, "", 1)


def test_an_hour_late_is_not_overdue_and_the_limit_is_a_setting(later, settings):
    batch = begin(draft(students(2), send_at=NOON + timedelta(minutes=1)))
    later(hours=1, minutes=1)
    settings.OVERDUE_MINUTES = 59
    assert composing.next_batch() is None
    batch.refresh_from_db()
    Batch.objects.update(state=BatchState.EXPANDING, lease_until=None, problem="")
    settings.OVERDUE_MINUTES = 60
    assert compose(batch).state == BatchState.RUNNING


def test_what_was_begun_in_time_asks_too_when_the_rest_is_late(later, monkeypatch):
    monkeypatch.setattr(composing.audience, "PAGE", 1)
    batch = begin(draft(students(3), send_at=NOON + timedelta(minutes=1)))
    later(minutes=1)
    with pytest.raises(KeyboardInterrupt), at_statement([2], stop):
        composing.expand(composing.next_batch())
    later(hours=12)
    assert composing.next_batch() is None
    batch.refresh_from_db()
    assert batch.state == BatchState.PAUSED
    assert compose(controls.resume(batch, actor=None)).recipients == 3
    assert balanced(batch)


def test_who_pauses_or_cancels_an_overdue_batch_first_wins(later, monkeypatch):
    batch = begin(draft(students(2), send_at=NOON + timedelta(minutes=1)))
    later(hours=3)
    claimed = composing.claim

    def claim_then_cancel(*given, **more):
        held = claimed(*given, **more)
        if held is not None:
            controls.cancel(Batch.objects.get(pk=batch.pk), actor=None)
        return held

    monkeypatch.setattr(composing, "claim", claim_then_cancel)
    assert composing.next_batch() is None
    batch.refresh_from_db()
    assert (batch.state, Alert.objects.count()) == (BatchState.CANCELLED, 0)


def test_an_overdue_batch_that_has_expired_does_not_ask_but_ends(later):
    batch = begin(draft(students(2), send_at=NOON + timedelta(minutes=1), expires_at=NOON + timedelta(hours=2)))
    later(hours=3)
    assert compose(batch).state == BatchState.RUNNING
    assert set(states(batch).values()) == {"skipped expired"}
    assert not batch.chunks.exists()
    assert balanced(batch)


# --- not after ------------------------------------------------------------------------------------------------------
def test_what_cannot_leave_before_it_expires_is_skipped_at_once(settings, later):
    settings.QUIET_HOURS = "12:30-18:00"
    batch = begin(draft(students(80), send_at=NOON + timedelta(minutes=40), expires_at=NOON + timedelta(hours=2)))
    later(minutes=40)  # 12:40 in the east, 11:40 further west
    compose(batch)
    fates = states(batch)
    east = [fates[number] for number in fiction(80) if number.startswith("+1212")]
    west = [fates[number] for number in fiction(200) if number.startswith("+1312") and number in fates]
    assert set(east) == {"skipped expired"}
    assert set(west) <= {"ready"}
    assert balanced(batch)


def test_a_page_composed_after_the_end_is_skipped_and_the_rest_is_expired_by_the_sweeper(monkeypatch, time_machine):
    monkeypatch.setattr(composing.audience, "PAGE", 10)
    batch = begin(draft(students(30), expires_at=NOON + timedelta(minutes=5)))
    with at_statement([2], lambda: time_machine.move_to(NOON + timedelta(minutes=6), tick=False)):
        compose(batch)
    assert sorted(states(batch).values()) == ["ready"] * 20 + ["skipped expired"] * 10
    assert balanced(batch)
    assert expire_due() == 20
    assert set(states(batch).values()) == {"skipped expired"}
    assert balanced(batch)


def test_what_has_not_left_by_the_end_is_skipped_and_what_has_stands(twin, later):
    batch = make_batch(fiction(150), expires_at=NOON + timedelta(hours=1))
    assert sending.send_next()
    assert expire_due() == 0
    later(hours=1)
    assert expire_due() == 50
    counts = batch.counts()
    assert (counts["accepted"], counts["skipped"]) == (100, 50)
    assert set(batch.messages.filter(state="skipped").values_list("reason", flat=True)) == {Reason.EXPIRED}
    assert not sending.send_next()
    assert expire_due() == 0
    assert balanced(batch)


def test_a_paused_batch_expires_too_and_resuming_sends_nothing(twin, later):
    batch = controls.pause(make_batch(fiction(10), expires_at=NOON + timedelta(hours=1)), actor=None)
    later(hours=2)
    assert expire_due() == 10
    controls.resume(batch, actor=None)
    assert not sending.send_next()
    assert balanced(batch)


def test_one_paused_while_it_is_composed_may_expire_and_go_on(monkeypatch, later):
    monkeypatch.setattr(composing.audience, "PAGE", 10)
    batch = begin(draft(students(30), expires_at=NOON + timedelta(hours=1)))
    with pytest.raises(KeyboardInterrupt), at_statement([2], stop):
        composing.expand(composing.next_batch())
    batch.refresh_from_db()
    controls.pause(batch, actor=None)
    later(hours=2)
    assert expire_due() == 10
    Batch.objects.update(lease_until=None)
    compose(controls.resume(batch, actor=None))
    assert set(states(batch).values()) == {"skipped expired"}
    assert batch.recipients == 30
    assert balanced(batch)


def test_a_single_text_expires_like_any_batch(later):
    message = controls.send_single(
        actor=None,
        unit=make_unit(),
        account=make_account(),
        sender="+13125550190",
        to=fiction(1)[0],
        text="Now or never",
    )
    Batch.objects.filter(pk=message.batch_id).update(expires_at=NOON + timedelta(minutes=10))
    later(minutes=10)
    assert expire_due() == 1
    message.refresh_from_db()
    assert (message.state, message.reason) == ("skipped", Reason.EXPIRED)


def test_a_chunk_a_worker_holds_expires_without_being_sent(twin, later):
    batch = make_batch(fiction(5), expires_at=NOON + timedelta(minutes=1))
    taken = sending.take()
    later(minutes=1)
    assert expire_due() == 5
    assert sending.intend(taken) == []
    assert set(batch.chunks.values_list("state", flat=True)) == {"empty"}
    assert balanced(batch)


def test_a_large_batch_expires_page_by_page(monkeypatch, later):
    """Of a million texts one statement would be cancelled, sweep after sweep, with the batch locked all the while."""
    monkeypatch.setattr("messaging.controls.stopping.CHUNKS", 1)
    batch = make_batch(fiction(130), expires_at=NOON + timedelta(minutes=1))
    later(minutes=1)
    with pytest.raises(KeyboardInterrupt), at_statement([2], stop, 'UPDATE "messaging_message"'):
        expire_due()
    assert balanced(batch)
    assert 0 < batch.counts()["skipped"] < 130, "what was skipped stays so"
    assert expire_due() > 0
    assert batch.counts()["skipped"] == 130


@pytest.mark.parametrize("state", [BatchState.FINISHED, BatchState.CANCELLED, BatchState.EXPANDING, BatchState.DRAFT])
def test_only_what_is_sent_or_paused_is_looked_at(state, later):
    batch = make_batch(fiction(2), expires_at=NOON + timedelta(minutes=1))
    Batch.objects.update(state=state)
    later(hours=1)
    assert expire_due() == 0
    assert batch.counts()["ready"] == 2


def test_ten_batches_cost_one_look(django_assert_num_queries, later):
    for place in range(10):
        make_batch(fiction(1, start=place), list_name=f"List {place}", expires_at=clock.now() + timedelta(hours=1))
    with django_assert_num_queries(1):
        expire_due()


# --- the clock of the recipient, to the end -------------------------------------------------------------------------
NIGHT = "21:00-08:00"


def send_for_two_days(time_machine, start):
    """Let a worker look every half hour, from an outage's end on."""
    for half_hour in range(96):
        time_machine.move_to(start + timedelta(minutes=30 * half_hour), tick=False)
        while sending.send_next():
            pass


def nobody_was_woken(batch):
    """Each text left when it was day in all zones of its number."""
    left = batch.messages.values_list("number__e164", "chunk__attempts__created_at")
    for e164, at in left:
        for zone in zones_of(e164, "", batch.unit.time_zone).split("|"):
            local = at.astimezone(ZoneInfo(zone))
            assert 8 <= local.hour < 21, f"{e164} was texted at {local}"
            assert local.date() != date(2026, 6, 4), f"{e164} was texted on a holiday"
    return True


@pytest.fixture
def held_up(settings, time_machine, twin):
    """Composed at noon for people everywhere; then nothing worked until the night of the next day."""
    settings.QUIET_HOURS = NIGHT
    Holiday.objects.create(day="2026-06-04", name="Founders' Day")
    forget_holidays()
    contact_list = make_list("Everywhere")
    for number in fiction(1000)[::9]:
        make_contact(contact_list, number)
    return compose(begin(draft(contact_list)))


def test_after_an_outage_of_a_day_nobody_is_texted_at_night(held_up, time_machine):
    assert held_up.counts()["ready"] > 100
    send_for_two_days(time_machine, datetime(2026, 6, 4, 3, 30, tzinfo=UTC))  # 23:30 in New York
    assert held_up.counts()["accepted"] == held_up.recipients == 112
    assert nobody_was_woken(held_up)
    assert balanced(held_up)


def test_going_by_the_units_clock_would_be_seen(held_up, time_machine):
    Chunk.objects.update(zones="America/New_York", not_before=None)
    send_for_two_days(time_machine, datetime(2026, 6, 4, 3, 30, tzinfo=UTC))
    assert held_up.counts()["accepted"] == 112
    with pytest.raises(AssertionError, match="was texted at"):
        nobody_was_woken(held_up)
