"""A batch pauses itself when its texts fail or make people opt out, once, and tells staff; with mistakes planted."""

from datetime import timedelta

import pytest

from contacts import consent
from contacts.models import ConsentSource
from messaging import controls, guarding
from messaging.models import Alert, Attempt, Batch, Chunk, Message
from messaging.statuses import BatchState
from messaging.tests.composed import begin, compose, draft, students
from smsportal import clock
from smsportal.providers.base import Delivery
from smsportal.tests.world import fiction, make_user

pytestmark = pytest.mark.django_db

FAILED = {"state": "accepted", "delivery": Delivery.FAILED, "error_code": "CarrierTimeout"}
ARRIVED = {"state": "accepted", "delivery": Delivery.DELIVERED}
REFUSED = {"state": "rejected", "error_code": "400"}
UNKNOWN = {"state": "unknown"}


@pytest.fixture(autouse=True)
def shares(settings):
    settings.QUIET_HOURS = ""
    settings.PAUSE_AT_FAILED_PERCENT, settings.PAUSE_AT_OPTED_OUT_PERCENT, settings.PAUSE_AFTER = 30, 20, 10


@pytest.fixture
def batch(time_machine):
    """Running, to 30 people, nothing sent yet; its chunk stands for what is left to send."""
    made = compose(begin(draft(students(30))))
    time_machine.move_to(clock.now() + timedelta(minutes=1))
    return made


def leave(batch, *fates, outcome="accepted", ago=0):
    """One request with the next messages of `batch`, each with the columns given; it was answered `ago` seconds ago."""
    chunk = Chunk.objects.create(batch=batch, size=len(fates), state="accepted")
    answered = clock.after(-ago)
    Attempt.objects.create(chunk=chunk, fence=1, texts=len(fates), outcome=outcome, finished_at=answered)
    waiting = batch.messages.filter(state="ready").order_by("number__e164")
    for message, fate in zip(list(waiting[: len(fates)]), fates, strict=True):
        Message.objects.filter(pk=message.pk).update(**{"chunk": chunk, "state": "accepted", "attempt": 1, **fate})


def reply_stop(count, source=ConsentSource.REPLY, at=None):
    for e164 in fiction(count):
        consent.opt_out(e164, source=source, at=at)


def test_a_batch_whose_texts_fail_pauses_itself_and_tells_why(batch, time_machine):
    leave(batch, *[{}] * 6, FAILED, FAILED, FAILED, REFUSED)
    assert guarding.guard() == 1
    batch.refresh_from_db()
    assert (batch.state, batch.resume_to, batch.moved_by) == (BatchState.PAUSED, BatchState.RUNNING, None)
    alert = Alert.objects.get()
    assert (alert.batch, alert.unit, alert.kind, alert.seen_at) == (batch, batch.unit, "failures", None)
    said = "At least 40 % of its texts failed (refused: 1, failed: 3 of 10)."
    assert f"{said} Most often: Phone not reached." in alert.text
    assert "then resume or cancel it" in batch.problem
    assert guarding.guard() == 0  # it does not run any more
    assert Alert.objects.count() == 1


@pytest.mark.parametrize(
    ("fates", "more"),
    [
        ([*[{}] * 7, *[FAILED] * 3], {}),  # 30 %, not more
        ([FAILED] * 9, {}),  # too few have left
        ([FAILED] * 10, {"PAUSE_AT_FAILED_PERCENT": 0}),
        ([UNKNOWN] * 10, {}),  # they left just now: a receipt of one may prove them all
        ([{"state": "skipped"}] * 10, {}),
        ([{"delivery": Delivery.TEMPORARY_FAILURE}] * 10, {}),  # still being tried
        ([*[{}] * 18, *[FAILED] * 5], {}),  # fast reports of failures, before the first of an arrival
        ([*[FAILED] * 9, *[{}] * 21], {}),  # nothing has arrived yet, which proves nothing
        ([*[{}] * 8, *[REFUSED] * 3], {}),  # no report at all: 27 %
        ([*[{"delivery": Delivery.UNCONFIRMED}] * 12, *[FAILED] * 5], {}),  # the provider does not know either
    ],
)
def test_what_is_no_spike_of_failures_pauses_nothing(batch, settings, fates, more):
    for name, value in more.items():
        setattr(settings, name, value)
    leave(batch, *fates)
    assert guarding.guard() == 0
    assert Batch.objects.get().state == BatchState.RUNNING


def test_texts_that_left_just_now_hide_no_spike(batch):
    leave(batch, *[ARRIVED] * 5, FAILED, FAILED, REFUSED, REFUSED, {}, ago=30)
    leave(batch, *[{}] * 16)  # nobody can have reported on these yet
    assert guarding.guard() == 1
    said = "At least 40 % of its texts that left more than 20 seconds ago failed (refused: 2, failed: 2 of 10)."
    assert said in Alert.objects.get().text


def test_as_a_share_of_all_that_left_the_spike_would_not_be_seen(batch, monkeypatch):
    """The control of the test above: texts that left some time ago are not judged by themselves."""
    monkeypatch.setattr(guarding, "SETTLED_S", 3600)
    leave(batch, *[ARRIVED] * 5, FAILED, FAILED, REFUSED, REFUSED, {}, ago=30)
    leave(batch, *[{}] * 16)
    assert guarding.guard() == 0


def test_failures_that_are_reported_before_arrivals_are_no_spike(batch):
    """Three in a hundred fail at once; who judged by the reports alone would stop every large batch."""
    leave(batch, *[FAILED] * 3, *[{}] * 12, ago=30)
    leave(batch, *[FAILED] * 4, *[{}] * 9)
    assert guarding.guard() == 0


def test_a_batch_whose_texts_are_unknown_pauses_itself_and_tells_what_to_do(batch):
    """The account's rest keeps them few and tells nobody; somebody must decide on each that stays unknown."""
    leave(batch, *[UNKNOWN] * 4, *[{}] * 6, outcome="unknown", ago=30)
    assert guarding.guard() == 1
    batch.refresh_from_db()
    assert batch.state == BatchState.PAUSED
    alert = Alert.objects.get()
    assert (alert.kind, alert.get_kind_display()) == ("unknown", "Many texts are unknown")
    said = "Of 4 of 10 of its texts that left more than 20 seconds ago (40 %) nobody knows whether they were sent."
    assert f"{said} Look whether the provider is in trouble, wait for its receipts, settle" in alert.text
    assert guarding.guard() == 0


def test_unknown_texts_are_looked_for_before_they_are_a_spike(batch):
    """As after a killed worker: most of them are proven within minutes."""
    leave(batch, *[UNKNOWN] * 10, outcome="unknown", ago=30)
    Chunk.objects.filter(state="accepted").update(look_at=clock.after(90))
    assert guarding.guard() == 0
    Chunk.objects.filter(state="accepted").update(looks=1)
    assert guarding.guard() == 1


def test_what_dead_workers_left_unknown_counts(batch):
    leave(batch, *[UNKNOWN] * 10, outcome="unknown")
    Attempt.objects.update(finished_at=None)
    assert guarding.guard() == 1


@pytest.mark.parametrize(
    ("fates", "more"),
    [
        ([*[UNKNOWN] * 3, *[{}] * 7], {}),  # 30 %, not more
        ([UNKNOWN] * 9, {}),  # too few have left
        ([UNKNOWN] * 10, {"PAUSE_AT_FAILED_PERCENT": 0}),
        ([{"state": "written_off"}] * 10, {}),  # decided
        ([{"evidence": "inference", "delivery": Delivery.ACCEPTED}] * 10, {}),  # proven meanwhile
    ],
)
def test_what_is_no_spike_of_unknown_texts_pauses_nothing(batch, settings, fates, more):
    for name, value in more.items():
        setattr(settings, name, value)
    leave(batch, *fates, outcome="unknown", ago=30)
    assert guarding.guard() == 0
    assert not Alert.objects.exists()


def test_a_guard_of_failures_alone_would_let_unknown_texts_grow(batch, monkeypatch):
    """The control of the tests above."""
    monkeypatch.setattr(guarding, "_unknown", lambda settled: [])
    leave(batch, *[UNKNOWN] * 10, outcome="unknown", ago=30)
    assert guarding.guard() == 0


def test_failures_and_unknown_texts_are_told_each_by_itself(batch):
    leave(batch, *[UNKNOWN] * 9, *[FAILED] * 10, ago=30)
    assert guarding.guard() == 1
    assert set(Alert.objects.values_list("kind", flat=True)) == {"failures", "unknown"}


@pytest.mark.parametrize("state", [BatchState.RUNNING, BatchState.FINISHED])
def test_a_batch_with_nothing_left_to_send_is_not_paused_but_told_of_once(batch, time_machine, state):
    leave(batch, *[FAILED] * 10)
    batch.chunks.exclude(state="accepted").delete()
    Batch.objects.update(state=state, finished_at=clock.now())
    assert guarding.guard() == 1
    batch.refresh_from_db()
    assert (batch.state, batch.problem) == (state, "")
    assert Alert.objects.get().text.endswith("Look at the reasons; nothing of it is left to send.")
    assert guarding.guard() == 0
    reply_stop(4)  # something else is told by itself
    assert guarding.guard() == 1
    assert set(Alert.objects.values_list("kind", flat=True)) == {"failures", "opt_outs"}


def test_reports_that_come_long_after_a_batch_are_no_news(batch, time_machine):
    leave(batch, *[FAILED] * 10)
    Batch.objects.update(state=BatchState.FINISHED, finished_at=clock.after(-guarding.REPORTS_S - 1))
    assert guarding.guard() == 0
    Batch.objects.update(finished_at=clock.now())
    assert guarding.guard() == 1


def test_requests_nothing_of_which_left_are_not_counted(batch):
    """Throttled, refused as a whole and cut: the same texts leave later, in other requests."""
    leave(batch, *[{}] * 2, *[FAILED] * 6)
    chunk = Chunk.objects.create(batch=batch, size=20, state="split")
    for outcome in ("later", "split", "smaller", "closed", ""):
        Attempt.objects.create(chunk=chunk, fence=1, texts=20, outcome=outcome)
    assert guarding.guard() == 0


def test_a_batch_that_makes_people_opt_out_pauses_itself(batch, time_machine):
    leave(batch, *[{}] * 12)
    reply_stop(3)
    assert guarding.guard() == 1
    alert = Alert.objects.get()
    assert alert.kind == "opt_outs"
    assert "After 3 of 12 texts that left (25 %) people opted out" in alert.text


@pytest.mark.parametrize(
    "planted",
    [
        lambda: reply_stop(2),  # 2 of 12 are fewer than 20 %
        lambda: reply_stop(6, source=ConsentSource.IMPORT),  # a file
        lambda: reply_stop(6, source=ConsentSource.STAFF),
        lambda: reply_stop(6, at=clock.now() - timedelta(days=1)),  # said before the batch
        lambda: [consent.opt_out(e164, source=ConsentSource.REPLY) for e164 in fiction(6, 12)],  # not sent to yet
    ],
)
def test_opt_outs_that_are_no_answer_to_the_batch_pause_nothing(batch, planted):
    leave(batch, *[{}] * 12)
    planted()
    assert guarding.guard() == 0


def test_both_spikes_are_told(batch):
    leave(batch, *[{}] * 4, *[FAILED] * 8)
    reply_stop(4)
    assert guarding.guard() == 1
    assert set(Alert.objects.values_list("kind", flat=True)) == {"failures", "opt_outs"}


def test_whoever_resumes_it_is_not_stopped_again_for_the_same_texts(batch, time_machine):
    leave(batch, *[FAILED] * 10)
    assert guarding.guard() == 1
    time_machine.move_to(clock.now() + timedelta(minutes=5))
    batch.refresh_from_db()
    controls.resume(batch, actor=make_user("kim"))
    assert guarding.guard() == 0
    time_machine.move_to(clock.now() + timedelta(minutes=1))
    leave(batch, *[{}] * 7, *[FAILED] * 3)
    reply_stop(10)  # of those who were sent to before the pause
    assert guarding.guard() == 0
    leave(batch, *[FAILED] * 10)
    assert guarding.guard() == 1  # 13 since the resume
    assert Alert.objects.filter(kind="failures").count() == 2


def test_a_guard_that_forgot_the_resume_would_stop_it_again(batch, time_machine):
    """The control of the test above: counted from the start on, as if nobody had resumed it."""
    leave(batch, *[FAILED] * 10)
    began = batch.moved_at
    guarding.guard()
    time_machine.move_to(clock.now() + timedelta(minutes=5))
    batch.refresh_from_db()
    controls.resume(batch, actor=None)
    assert guarding.spikes(batch) == []
    batch.moved_at = began
    Alert.objects.all().delete()
    assert ["failed: 10 of 10" in spike.said for spike in guarding.spikes(batch)] == [True]


@pytest.mark.parametrize("move", [controls.pause, controls.cancel])
def test_a_person_who_moved_it_meanwhile_is_not_overruled(batch, move):
    leave(batch, *[FAILED] * 10)
    judged = Batch.objects.select_related("account").get()
    kim = make_user("kim")
    move(batch, actor=kim)
    assert not guarding._stop(judged)
    batch.refresh_from_db()
    assert batch.moved_by == kim
    assert not Alert.objects.exists()


def test_other_batches_go_on(batch):
    leave(batch, *[FAILED] * 10)
    other = compose(begin(draft(students(30, "Other", start=40))))
    assert guarding.guard() == 1
    other.refresh_from_db()
    assert other.state == BatchState.RUNNING


def test_the_guard_asks_few_questions(batch, django_assert_max_num_queries, settings):
    leave(batch, *[{}] * 12)
    reply_stop(2)
    with django_assert_max_num_queries(9):
        guarding.guard()
    settings.PAUSE_AT_FAILED_PERCENT = settings.PAUSE_AT_OPTED_OUT_PERCENT = 0
    with django_assert_max_num_queries(0):
        guarding.guard()


def test_the_first_to_see_an_alert_keeps_the_credit(batch):
    leave(batch, *[FAILED] * 10)
    guarding.guard()
    alert, kim = Alert.objects.get(), make_user("kim")
    guarding.see(Alert.objects.get(), actor=kim)
    guarding.see(alert, actor=make_user("alex"))
    assert (alert.seen_by, alert.seen_at is not None) == (kim, True)
