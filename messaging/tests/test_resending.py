"""Sending again page by page: killed, stopped, overtaken, and what others have sent meanwhile."""

from contextlib import suppress

import pytest

from contacts.models import PhoneNumber
from messaging import controls
from messaging.composing.capping import Lately
from messaging.controls import resending
from messaging.models import Batch, Chunk, Message, Receipt
from messaging.sending.outcomes import finish_if_done
from messaging.statuses import BatchState, ChunkState
from messaging.tests.composed import at_statement, sent, stop
from messaging.tests.test_controls_again import FAILED, finished
from messaging.tests.test_controls_races import at_once
from smsportal.problems import Conflict
from smsportal.tests.world import fiction, make_user

A_PAGE = 'UPDATE "messaging_message" SET "chunk_id"'
WRITTEN_OFF = 'UPDATE "messaging_message" SET "state"'
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def small_pages(settings, monkeypatch):
    settings.QUIET_HOURS = ""
    monkeypatch.setattr(resending, "PAGE", 10)


@pytest.fixture
def boss():
    return make_user("alex", groups=("Approver",))


@pytest.fixture
def failed():
    return finished(*[FAILED] * 35)


@pytest.fixture
def unknown():
    return finished(*[{"state": "unknown"}] * 35)


@pytest.fixture
def unknown_too(failed):
    Message.objects.filter(number__e164=fiction(1)[0]).update(state="unknown")


def counts(batch):
    batch.refresh_from_db()
    found = {state: number for state, number in batch.counts().items() if number}
    assert sum(found.values()) == batch.recipients == 35
    return found


def fail_again(batch):
    """Everything that was ready has been sent meanwhile, and has failed once more; the batch has finished."""
    again = batch.messages.filter(state="ready")
    for message in again:
        Message.objects.filter(pk=message.pk).update(**FAILED, state="accepted", attempt=message.attempt + 1)
    batch.chunks.update(state=ChunkState.ACCEPTED)
    assert finish_if_done(batch.pk)


def between_pages(monkeypatch, act):
    """Call `act` once, when the first page is committed and the second one is not begun."""
    may_go_on, calls = resending._may_go_on, []

    def after_act(batch):
        calls.append(batch)
        if len(calls) == 1:
            act()
        return may_go_on(batch)

    monkeypatch.setattr(resending, "_may_go_on", after_act)


@pytest.mark.parametrize("page", [1, 2, 4])
def test_a_killed_retry_is_finished_by_the_next(failed, page):
    with at_statement({page}, stop, beginning=A_PAGE), pytest.raises(KeyboardInterrupt):
        controls.retry_failed(failed, actor=None)
    done = 10 * (page - 1)
    assert counts(failed) == ({"ready": done} if done else {}) | {"accepted": 35 - done}
    assert failed.state == (BatchState.RUNNING if done else BatchState.FINISHED)
    if done:
        failed.messages.filter(state="ready").update(state="accepted", attempt=2)
        failed.chunks.update(state=ChunkState.ACCEPTED)
        assert finish_if_done(failed.pk)
    controls.retry_failed(Batch.objects.get(), actor=None)
    assert counts(failed)["ready"] == 35 - done
    assert set(failed.messages.filter(state="ready").values_list("attempt", flat=True)) == {1}


def retried_twice(batch, monkeypatch):
    """How often each text was set out with, by a retry and another one that was asked while the first was at work."""

    def other():
        fail_again(batch)
        controls.retry_failed(Batch.objects.get(), actor=None)
        fail_again(batch)

    between_pages(monkeypatch, other)
    controls.retry_failed(batch, actor=None)
    return sorted(batch.messages.values_list("attempt", flat=True)), batch.messages.filter(state="ready").count()


def test_of_two_retries_at_once_each_failure_is_followed_by_one_attempt(failed, monkeypatch):
    assert retried_twice(failed, monkeypatch) == ([2] * 25 + [3] * 10, 0)
    assert failed.state == BatchState.FINISHED


def test_a_retry_that_looked_for_its_next_page_anew_would_send_more_often(failed, monkeypatch):
    asked = resending._asked

    def anew(chosen):
        for page in asked(chosen):
            yield dict(chosen.filter(pk__in=page).values_list("pk", "attempt"))

    monkeypatch.setattr(resending, "_asked", anew)
    assert retried_twice(failed, monkeypatch) != ([2] * 25 + [3] * 10, 0)


def test_a_retry_goes_on_in_a_batch_that_has_finished_its_first_page(failed, monkeypatch):
    between_pages(monkeypatch, lambda: fail_again(failed))
    controls.retry_failed(failed, actor=None)
    assert counts(failed) == {"ready": 25, "accepted": 10}
    assert failed.state == BatchState.RUNNING


def test_a_cancel_ends_a_retry(failed, monkeypatch):
    between_pages(monkeypatch, lambda: controls.cancel(Batch.objects.get(), actor=None))
    assert controls.retry_failed(failed, actor=None).state == BatchState.CANCELLED
    assert counts(failed) == {"skipped": 10, "accepted": 25}


def test_a_retry_that_did_not_look_would_leave_texts_ready_in_a_cancelled_batch(failed, monkeypatch):
    monkeypatch.setattr(resending, "_may_go_on", lambda batch: True)
    between_pages(monkeypatch, lambda: controls.cancel(Batch.objects.get(), actor=None))
    controls.retry_failed(failed, actor=None)
    assert counts(failed) == {"skipped": 10, "ready": 25}


def test_a_pause_during_a_retry_holds(failed, monkeypatch):
    between_pages(monkeypatch, lambda: controls.pause(Batch.objects.get(), actor=None))
    assert controls.retry_failed(failed, actor=None).state == BatchState.PAUSED
    assert counts(failed) == {"ready": 35}


def test_who_opts_out_during_a_retry_is_left_out(failed, monkeypatch):
    last = PhoneNumber.objects.filter(e164=fiction(35)[-1])
    between_pages(monkeypatch, lambda: last.update(opted_out=True))
    controls.retry_failed(failed, actor=None)
    assert counts(failed) == {"ready": 34, "accepted": 1}


# --- the cap ---------------------------------------------------------------------------------------------------------
def sent_today(batch, settings):
    """Another batch, sent to all of them an hour ago; one text a day is the most."""
    settings.MAX_TEXTS_PER_DAY = 0
    other = sent(batch.lists.get(), "Another text. Registrar")
    settings.MAX_TEXTS_PER_DAY = 1
    return other


def test_who_got_enough_since_is_not_tried_again(failed, settings):
    other = sent_today(failed, settings)
    other.messages.filter(number__e164__in=fiction(5)).update(state="rejected")
    controls.retry_failed(failed, actor=None)
    assert counts(failed) == {"ready": 5, "accepted": 30}


def test_a_page_of_people_who_got_enough_does_not_end_a_retry(failed, settings):
    other = sent_today(failed, settings)
    other.messages.filter(number__e164__in=fiction(35)[20:]).update(state="rejected")
    controls.retry_failed(failed, actor=None)
    assert counts(failed) == {"ready": 15, "accepted": 20}
    assert failed.state == BatchState.RUNNING


def test_when_all_got_enough_the_batch_stays_finished(failed, unknown_too, settings, boss):
    sent_today(failed, settings)
    with pytest.raises(Conflict, match="enough texts"):
        controls.retry_failed(failed, actor=None)
    with pytest.raises(Conflict, match="enough texts"):
        controls.resolve_unknowns(failed, actor=boss, resend=True)
    assert counts(failed) == {"accepted": 34, "unknown": 1}
    assert failed.state == BatchState.FINISHED


def sent_meanwhile(batch, settings, monkeypatch):
    """How many are ready after a retry during which another batch went to all of them."""
    settings.MAX_TEXTS_PER_DAY = 1
    between_pages(monkeypatch, lambda: sent_today(batch, settings))
    controls.retry_failed(batch, actor=None)
    return counts(batch)["ready"]


def test_what_another_batch_sends_during_a_retry_counts(failed, settings, monkeypatch):
    assert sent_meanwhile(failed, settings, monkeypatch) == 10


def test_a_retry_that_asked_once_would_not_see_it(failed, settings, monkeypatch):
    monkeypatch.setattr(Lately, "changed", lambda self: False)
    assert sent_meanwhile(failed, settings, monkeypatch) == 35


# --- unknown ---------------------------------------------------------------------------------------------------------
def test_a_killed_writing_off_is_finished_by_the_next(unknown, boss):
    with at_statement({3}, stop, beginning=WRITTEN_OFF), pytest.raises(KeyboardInterrupt):
        controls.resolve_unknowns(unknown, actor=boss, resend=False)
    assert counts(unknown) == {"written_off": 20, "unknown": 15}
    assert Receipt.objects.count() == 20
    assert controls.resolve_unknowns(unknown, actor=boss, resend=False) == 15
    assert Receipt.objects.values("message").distinct().count() == Receipt.objects.count() == 35


def test_a_killed_resending_is_finished_by_the_next(unknown, boss):
    with at_statement({3}, stop, beginning=A_PAGE), pytest.raises(KeyboardInterrupt):
        controls.resolve_unknowns(unknown, actor=boss, resend=True)
    assert counts(unknown) == {"ready": 20, "unknown": 15}
    assert unknown.state == BatchState.RUNNING
    assert controls.resolve_unknowns(unknown, actor=boss, resend=True) == 15
    assert Receipt.objects.values("message").distinct().count() == Receipt.objects.count() == 35
    assert sum(Chunk.objects.filter(state="ready").values_list("size", flat=True)) == 35


def resent_twice(batch, boss, monkeypatch):
    """How many texts were made ready by a resending and another one that came before its first page."""
    between_pages(monkeypatch, lambda: controls.resolve_unknowns(batch, actor=boss, resend=True))
    with suppress(Conflict):  # when none is left
        controls.resolve_unknowns(batch, actor=boss, resend=True)
    return Receipt.objects.filter(status__startswith="sent again").count()


def test_of_two_who_send_the_unknown_again_one_does(unknown, boss, monkeypatch):
    assert resent_twice(unknown, boss, monkeypatch) == 35


def test_a_resending_that_did_not_choose_again_would_send_twice(unknown, boss, monkeypatch):
    once = lambda rows: Message.objects.filter(pk__in=list(rows.values_list("pk", flat=True)))  # noqa: E731
    monkeypatch.setattr(resending, "_resendable", once)
    assert resent_twice(unknown, boss, monkeypatch) == 70


@pytest.mark.django_db(transaction=True)
def test_four_at_once_send_each_unknown_text_again_once(unknown, boss):

    results = at_once(4, lambda: controls.resolve_unknowns(Batch.objects.get(), actor=boss, resend=True))
    assert sum(each for each in results if isinstance(each, int)) == 35
    assert not [each for each in results if not isinstance(each, int | Conflict)]
    assert Receipt.objects.values("message").distinct().count() == Receipt.objects.count() == 35
