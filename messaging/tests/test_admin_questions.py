"""What staff are asked and told at each move of a batch: exact numbers, true hours, nothing twice, and no second one by mistake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from messaging import controls, guarding
from messaging.controls.resending import HOLD
from messaging.models import Alert, Attempt, Batch
from messaging.statuses import BatchState, ChunkState, MessageState
from messaging.tests.composed import begin, compose, draft, students
from smsportal import clock
from smsportal.providers.base import Delivery
from smsportal.tests.world import fiction, make_account, make_batch, make_user

pytestmark = pytest.mark.django_db

MORNING = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)  # 9:30 in New York, 6:30 in Los Angeles


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""
    settings.UNDO_SECONDS = 0
    cache.clear()


def signed_in(name: str, *groups: str) -> Client:
    made = Client()
    made.force_login(make_user(name, groups=groups))
    return made


@pytest.fixture
def client():
    return signed_in("mia", "Sender")


def url(page: str, *args) -> str:
    return reverse(f"admin:messaging_batch_{page}", args=args)


def told(answer) -> list[str]:
    return [str(each) for each in answer.context["messages"]]


def finished(**columns) -> Batch:
    batch = make_batch(fiction(2))
    batch.messages.update(**columns)
    batch.chunks.update(state=ChunkState.ACCEPTED)
    Batch.objects.update(state=BatchState.FINISHED, finished_at=clock.now())
    batch.refresh_from_db()
    return batch


# --- the start ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ([(2, 0)], "2 texts leave at once from (312) 555-0190."),
        ([(2, 0), (3, 50)], "5 texts from (312) 555-0190: 2 leave at once, 3 wait until quiet hours or holidays end"),
        ([(3, 50)], "3 texts from (312) 555-0190, none of them at once: they wait until quiet hours or holidays end"),
    ],
    ids=["none waits", "some wait", "all wait"],
)
def test_a_start_says_how_many_wait_for_the_quiet_hours_to_end(client, settings, monkeypatch, lists, said):
    settings.QUIET_HOURS = "21:00-08:00"
    chosen = [students(count, f"From {start}", start) for count, start in lists]
    monkeypatch.setattr(clock, "now", lambda: MORNING - timedelta(hours=6))
    batch = controls.submit(draft(*chosen), actor=None)  # at night all of them would have waited
    monkeypatch.setattr(clock, "now", lambda: MORNING)
    assert said in client.get(url("do", batch.pk, "start")).text


def test_a_start_says_until_when_its_texts_may_leave(client):
    batch = controls.submit(draft(students(2), expires_at=clock.now() + timedelta(days=9)), actor=None)
    assert "What has not left by" in client.get(url("do", batch.pk, "start")).text


@pytest.mark.parametrize(
    ("state", "deed", "said", "offered"),
    [
        ("finished", "start", "Cannot start “Moved”: it is finished", "correct"),
        ("draft", "resume", "Cannot resume “Moved”: it is a draft", "cancel"),
        ("cancelled", "cancel", "Cannot cancel “Moved”: it is cancelled", "correct"),
        ("finished", "retry_failed", "Nothing in this batch failed that could be sent again.", "correct"),
        ("running", "correct", "is still being sent. Pause or cancel it", "cancel"),
        ("draft", "correct", "Nobody got “Moved”, so there is nothing to correct.", "cancel"),
        ("running", "close_unknown", "No text of this batch is unknown any more", "cancel"),
    ],
)
def test_nobody_is_asked_about_what_is_not_possible(client, state, deed, said, offered):
    batch = draft(students(3))
    if state != "draft":
        batch = compose(begin(batch))
        batch.messages.update(state=MessageState.ACCEPTED, delivery=Delivery.DELIVERED)
    Batch.objects.update(state=state)
    page = client.get(url("do", batch.pk, deed)).text
    assert said in page
    assert url("do", batch.pk, offered) in page  # what is possible instead
    assert f'type="submit">{deed.capitalize()}' not in page
    assert 'name="count"' not in page
    assert "<textarea" not in page


# --- approval -------------------------------------------------------------------------------------------------------
def test_who_approves_an_old_page_is_told_what_changed(settings):
    settings.APPROVAL_ABOVE = 1
    batch = controls.submit(draft(students(3)), actor=None)
    ann = signed_in("ann", "Approver")
    page = ann.get(url("change", batch.pk))
    shown = {"seen": batch.snapshot, "terms": page.context["terms"]}
    assert 'name="terms"' in page.text
    controls.submit(controls.edit(batch, actor=None, text="Hall 7 it is. Reply STOP to opt out. Registrar"), actor=None)
    refused = told(ann.post(url("do", batch.pk, "approve"), shown, follow=True))[0]
    assert "What changed: text (it was “Dear {{First_Name}}, class is moved." in refused
    assert "now “Hall 7 it is." in refused
    assert "texts (" not in refused  # as many as before
    assert (
        "What changed"
        not in told(ann.post(url("do", batch.pk, "approve"), {"seen": "0", "terms": "["}, follow=True))[0]
    )


def test_editing_what_was_approved_is_told_before_and_after(client):
    batch = controls.submit(draft(students(2)), actor=None)
    form = client.get(url("edit", batch.pk))
    assert "It is approved. Saving takes that back" in form.text
    given = {name: value for name, value in form.context["form"].initial.items() if value is not None}
    answer = client.post(url("edit", batch.pk), {**given, "sender": _sender()}, follow=True)
    assert told(answer) == ["It is a draft again and no longer approved: submit it anew."]
    assert "Saving takes that back" not in client.get(url("edit", batch.pk)).text


def _sender() -> int:
    from messaging.models import Sender

    return Sender.objects.get_or_create(account=make_account(), address="+13125550190")[0].pk


# --- while it runs --------------------------------------------------------------------------------------------------
def test_what_paused_a_batch_is_said_once(client, settings):
    settings.PAUSE_AFTER, settings.PAUSE_AT_FAILED_PERCENT, settings.PAUSE_AT_OPTED_OUT_PERCENT = 2, 30, 0
    batch = make_batch(fiction(4))
    batch.messages.update(state=MessageState.ACCEPTED, delivery=Delivery.FAILED)
    Attempt.objects.create(chunk=batch.chunks.get(), texts=4, fence=1, outcome="accepted")
    assert guarding.guard() == 1
    page = client.get(url("change", batch.pk)).text
    assert "<p>“Class moved” paused itself. At least 100 % of its texts failed (failed: 4 of 4)." in page
    assert "<p>It paused itself." not in page
    assert "The portal paused it by itself" in page
    controls.resume(Batch.objects.get(), actor=None)
    Batch.objects.update(state=BatchState.PAUSED, problem="Its account was switched off.", moved_at=clock.now())
    assert Alert.objects.filter(seen_at=None).exists()
    assert "<p>Its account was switched off.</p>" in client.get(url("change", batch.pk)).text


def test_a_pause_after_the_last_text_says_that_nothing_waits(client):
    batch = finished(state=MessageState.ACCEPTED)
    Batch.objects.update(state=BatchState.PAUSED, resume_to=BatchState.RUNNING)
    assert "None of its texts waits any more" in client.get(url("do", batch.pk, "resume")).text


def test_a_question_about_cancelling_counts_no_zeros(client):
    page = client.get(url("do", make_batch(fiction(2)).pk, "cancel")).text
    assert "2 texts that wait are not sent, for good." in page
    assert "0 texts" not in page


def test_a_cancelled_batch_does_not_deny_what_is_being_handed_over(client):
    batch = make_batch(fiction(3))
    batch.messages.update(state=MessageState.CLAIMED)
    batch.messages.filter(pk=batch.messages.first().pk).update(state=MessageState.SUBMITTING)
    asked = client.get(url("do", batch.pk, "cancel")).text
    assert "2 texts that wait are not sent" in asked
    assert "1 text is being handed over" in asked
    said = told(client.post(url("do", batch.pk, "cancel"), follow=True))
    assert said == ["Cancelled. Nothing more leaves but what is being handed over at this moment: 1 text."]


def test_in_its_first_seconds_a_batch_does_not_complain_of_a_slow_minute(client):
    batch = make_batch(fiction(2))
    assert "No text has left yet." in client.get(url("change", batch.pk)).text
    batch.messages.update(state=MessageState.SUBMITTING)
    cache.clear()
    assert "The first texts are on their way to the provider." in client.get(url("change", batch.pk)).text
    Batch.objects.update(started_at=clock.after(-90))
    cache.clear()
    assert "Nothing has left in the last minute." in client.get(url("change", batch.pk)).text


# --- afterwards -----------------------------------------------------------------------------------------------------
def test_going_back_after_a_correction_makes_no_second_one(client):
    batch = finished(state=MessageState.ACCEPTED, delivery=Delivery.DELIVERED)
    form = client.get(url("do", batch.pk, "correct"))
    words = {"text": "Room 12, not 21. Registrar"}
    client.post(url("do", batch.pk, "correct"), {**words, "token": form.context["form"]["token"].value()})
    again = client.get(url("do", batch.pk, "correct")).text
    assert "is written already and was not started. Edit that one" in again
    assert "<textarea" not in again
    refused = client.post(url("do", batch.pk, "correct"), {**words, "token": "of another form"})
    assert "is written already and was not started. Edit that one" in refused.text
    assert words["text"] in refused.text  # what was typed is not lost
    assert batch.corrections.count() == 1
    page = client.get(url("change", batch.pk)).text
    assert "Its correction: draft" in page
    assert "Send a correction" not in page
    controls.cancel(batch.corrections.get(), actor=None)
    assert "Send a correction to the 2 who got it" in client.get(url("change", batch.pk)).text


def test_a_second_correction_is_one_that_is_known_to_be_one(client):
    batch = finished(state=MessageState.ACCEPTED, delivery=Delivery.DELIVERED)
    first = controls.correct(batch, actor=None, text="Room 12. Registrar")
    assert "Got the first text, or may have got it" in client.get(url("change", first.pk)).text
    controls.start(controls.submit(first, actor=None), actor=None)
    asked = client.get(url("do", batch.pk, "correct")).text
    assert "“Correction: Class moved” was started already. What you write here is one more." in asked


def test_a_further_correction_says_whom_it_leaves_out(client):
    batch = finished(state=MessageState.ACCEPTED, delivery=Delivery.DELIVERED)
    fix = compose(begin(controls.correct(batch, actor=None, text="Room 12. Registrar")))
    page = client.get(url("change", batch.pk)).text
    assert "Send a correction to the 2 who got it, once more" in page
    assert "It goes to the same people: they get both." in client.get(url("do", batch.pk, "correct")).text
    fix.messages.first().delete()  # somebody got the first text after that
    assert "Send a correction to the 1 who got it and no correction yet" in client.get(url("change", batch.pk)).text
    asked = client.get(url("do", batch.pk, "correct")).text
    assert "1 person got “Class moved” and no correction yet." in asked
    assert "1 person is left out here: they are in an earlier correction." in asked
    further = controls.correct(batch, actor=None, text="Room 13. Registrar")
    assert (
        "Got the first text, or may have got it, and no earlier correction"
        in client.get(url("change", further.pk)).text
    )


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("draft", "“Correction: Class moved” corrects this text: it is still a draft, so nobody has got it."),
        ("pending_approval", "corrects this text for 2 people: it is waiting for approval, so nobody has got it."),
        ("expanding", "“Correction: Class moved” corrects this text for 2 people: it is being prepared."),
        ("running", "“Correction: Class moved” corrects this text for 2 people: it is being sent."),
        ("finished", "“Correction: Class moved” has corrected this text for 2 people: it is sent."),
        ("cancelled", "“Correction: Class moved” corrected this text for 2 people before it was cancelled."),
    ],
)
def test_who_would_go_on_with_a_wrong_text_is_told_of_its_correction(client, state, said):
    batch = make_batch(fiction(5))
    one, two, failed, unknown = batch.messages.values_list("pk", flat=True)[:4]
    batch.messages.filter(pk__in=[one, two]).update(state=MessageState.ACCEPTED)
    controls.pause(batch, actor=None)
    fix = controls.correct(batch, actor=None, text="Room 12. Registrar")
    if state != "draft":
        fix = begin(fix) if state in {"pending_approval", "expanding"} else compose(begin(fix))
    fix.messages.update(state=MessageState.ACCEPTED)
    Batch.objects.filter(pk=fix.pk).update(state=state)
    asked = client.get(url("do", batch.pk, "resume")).text
    assert said in asked
    assert "Going on sends the text it corrects to 3 more." in asked
    batch.messages.filter(pk=failed).update(state=MessageState.REJECTED)
    batch.messages.filter(pk=unknown).update(state=MessageState.UNKNOWN)
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.FINISHED)
    asked = client.get(url("do", batch.pk, "retry_failed")).text
    ann = signed_in("ann", "Approver").get(url("do", batch.pk, "resend_unknown")).text
    for page in (asked, ann):
        assert said in page
        assert "Going on sends the text it corrects to 1 person again." in page


def test_a_cancelled_correction_nobody_got_is_not_spoken_of(client):
    batch = make_batch(fiction(2))
    batch.messages.filter(pk=batch.messages.first().pk).update(state=MessageState.ACCEPTED)
    controls.pause(batch, actor=None)
    controls.cancel(controls.correct(batch, actor=None, text="Room 12. Registrar"), actor=None)
    assert "correct" not in client.get(url("do", batch.pk, "resume")).text.split("1 text still waits")[0][-400:]


def test_people_who_may_have_got_it_are_not_said_to_have_got_it(client):
    batch = finished(state=MessageState.UNKNOWN)
    assert "Send a correction to the 2 who may have got it" in client.get(url("change", batch.pk)).text
    batch.messages.filter(pk=batch.messages.first().pk).update(state="accepted", delivery=Delivery.DELIVERED)
    assert "Send a correction to the 2 who got it or may have" in client.get(url("change", batch.pk)).text


def test_who_would_send_unknown_texts_again_is_told_how_long_to_wait():
    batch = finished(state=MessageState.UNKNOWN, error_text="The connection was cut.")
    attempt = Attempt.objects.create(chunk=batch.chunks.get(), texts=2, fence=1, outcome="unknown")
    ann = signed_in("ann", "Approver")
    assert "can be sent again only after" in ann.get(url("do", batch.pk, "resend_unknown")).text
    page = ann.get(url("change", batch.pk)).text
    assert "What happened: The connection was cut." in page
    assert "The provider says" not in page
    Attempt.objects.filter(pk=attempt.pk).update(created_at=clock.now() - HOLD)
    assert "can be sent again only after" not in ann.get(url("do", batch.pk, "resend_unknown")).text


# --- the first page -------------------------------------------------------------------------------------------------
def test_the_first_page_counts_the_texts_of_what_has_not_begun(client):
    controls.submit(draft(students(3), name="Submitted"), actor=None)
    draft(students(1, "Another"), name="A draft")
    assert [(str(batch), texts) for batch, _, texts in client.get(reverse("admin:index")).context["latest"]] == [
        ("A draft", 0),
        ("Submitted", 3),
    ]
    row = client.get(url("changelist"), {"q": "Submitted"}).text.split("field-texts", 1)[1]
    assert ">3<" in "".join(row.split("</td>")[0].split()) + "<"


def test_what_is_under_way_leads_to_all_of_it(client):
    make_batch(fiction(1))
    Batch.objects.update(state=BatchState.PAUSED)
    matter = next(each for each in client.get(reverse("admin:index")).context["matters"] if "under way" in each.what)
    assert "Class moved" in client.get(matter.url).text


def test_the_list_of_batches_says_in_words_where_to_write_one(client):
    page = client.get(url("changelist")).text
    assert page.count("Write a batch") == 2  # the button, and what the empty list says to do
    assert "Write a batch</a>" not in signed_in("vic", "Viewer").get(url("changelist")).text
