"""The page of a batch while it is sent: figures, minutes, what watching costs, and what staff do from there."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from contacts import consent
from contacts.models import ContactList
from messaging.admin import figures, minutes
from messaging.admin.minutes import MOST, series, steps_of
from messaging.models import Alert, AlertKind, Attempt, Batch, Chunk, Message, Receipt
from messaging.statuses import BatchState, ChunkState, MessageState, Reason
from messaging.tasks import drain_all
from messaging.tests.composed import begin, compose, draft
from smsportal import clock
from smsportal.providers.base import Delivery
from smsportal.tests.world import fiction, make_batch, make_contact, make_list, make_user

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""
    settings.UNDO_SECONDS = 10
    settings.PAUSE_AT_FAILED_PERCENT = settings.PAUSE_AT_OPTED_OUT_PERCENT = 0
    cache.clear()


def signed_in(user) -> Client:
    made = Client()
    made.force_login(user)
    return made


@pytest.fixture
def client():
    return signed_in(make_user("mia", groups=("Sender",)))


def url(page: str, *args) -> str:
    return reverse(f"admin:messaging_{page}", args=args)


@pytest.fixture
def sent(twin):
    """A finished batch: two arrived, one is a landline."""
    batch = make_batch(["+13125550151", "+13125550101", "+13125550102"])
    drain_all()
    twin.settle()
    drain_all()
    batch.refresh_from_db()
    return batch


def fate(batch, **columns) -> None:
    batch.messages.update(**columns)
    batch.chunks.update(state=ChunkState.ACCEPTED)


# --- minutes --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("hours", "until_hours", "width"), [(0.5, None, 1), (0.97, None, 1), (1, None, 2), (4, None, 5), (0.1, 30, 60), (300, None, 360)]
)  # fmt: skip
def test_any_length_fits_and_no_text_is_lost_in_it(hours, until_hours, width):
    counts = {NOON + timedelta(minutes=m): [10, 4, 1] for m in range(0, int(hours * 60) + 1, 3)}
    found = steps_of(counts, NOON + timedelta(hours=until_hours) if until_hours else None)
    assert found.minutes == width
    assert len(found.steps) <= MOST
    assert sum(each.left for each in found.steps) == 10 * len(counts)
    assert sum(each.arrived + each.failed for each in found.steps) == 5 * len(counts)


def test_reports_of_days_later_do_not_squeeze_the_sending():
    found = steps_of(
        {NOON: [100, 0, 0], NOON + timedelta(minutes=1): [0, 90, 0], NOON + timedelta(days=2): [0, 7, 1]}, None
    )
    assert (found.minutes, found.later) == (1, 8)
    assert (found.steps[0].left, found.steps[1].arrived) == (100, 90)


def test_nothing_yet_is_drawn_as_nothing():
    assert steps_of({}, NOON).steps == []


@pytest.mark.parametrize(("most", "top"), [(1, 1), (3, 5), (50, 50), (51, 100), (1200, 2000)])
def test_the_scale_ends_at_a_round_number(most, top):
    assert steps_of({NOON: [most, 0, 0]}, None).drawing().top == top


def happened(batch, handed: int, arrived: int, at: datetime) -> None:
    chunk = batch.chunks.first()
    Attempt.objects.create(chunk=chunk, fence=1, texts=handed, finished_at=at, outcome="accepted")
    Attempt.objects.create(chunk=chunk, fence=1, texts=handed, finished_at=at, outcome="later")  # nothing left
    message = batch.messages.first()
    Receipt.objects.bulk_create(
        Receipt(message=message, attempt=1, source="webhook", delivery=Delivery.DELIVERED, at=at)
        for _ in range(arrived)
    )


@pytest.mark.parametrize("small", [5_000, 0], ids=["small", "large"])
def test_the_minutes_are_those_of_requests_and_reports(monkeypatch, small):
    monkeypatch.setattr(minutes, "SMALL", small)
    batch, now = make_batch(fiction(2)), clock.now()
    other = make_batch(fiction(1, 5), list_name="Others")
    happened(batch, 100, 60, now - timedelta(minutes=10))
    happened(other, 7, 7, now - timedelta(minutes=10))
    first = series(batch)
    assert (first.steps[0].left, first.steps[0].arrived) == (100, 60)
    assert len(first.steps) in (11, 12)  # a minute may just have ended
    happened(batch, 50, 30, now)
    again = series(batch)  # a large one reads only what is new, and sums up to the same
    assert sum(each.left for each in again.steps) == 150
    assert sum(each.arrived for each in again.steps) == 90
    assert again.steps[0].at == first.steps[0].at


def test_drawing_and_table_show_the_same_numbers(client, sent):
    Attempt.objects.update(finished_at=NOON)
    Receipt.objects.update(at=NOON)
    Batch.objects.update(finished_at=NOON)
    page = client.get(url("batch_change", sent.pk)).text
    assert '<svg viewBox="0 0 ' in page
    assert "3 handed over, 2 arrived, 1 failed" in page
    rows = page.split('data-part="minutes"')[1].split("</tbody>")[0]
    assert [rows.count(f'<td class="num">{n}</td>') for n in (3, 2, 1)] == [1, 1, 1]


# --- figures --------------------------------------------------------------------------------------------------------
def test_the_rate_is_that_of_the_last_minute_and_the_end_follows_from_it():
    batch = make_batch(fiction(300))
    Batch.objects.update(started_at=clock.now() - timedelta(hours=3))
    batch.refresh_from_db()
    happened(batch, 6000, 0, clock.now() - timedelta(hours=1))
    assert figures.numbers(batch)["pace"] == "Nothing has left in the last minute."
    happened(batch, 60, 0, clock.now() - timedelta(seconds=5))
    assert "1.0 texts a second in the last minute, about 5 more minutes: done about " in figures.numbers(batch)["pace"]
    assert re.search(r"done about [0-2]\d:\d\d\.$", figures.numbers(batch)["pace"])  # as in the table below it


def test_without_a_reason_nothing_stands_below_its_heading(client):
    batch = make_batch(fiction(1))
    page = client.get(url("batch_change", batch.pk)).text
    assert re.search(r'data-show="parts.reasons" hidden', page)
    assert client.get(url("batch_numbers", batch.pk)).json()["parts"]["reasons"] == ""


def test_held_texts_are_said_with_the_hour_they_wait_for():
    batch = make_batch(fiction(2))
    batch.messages.update(state=MessageState.HELD, reason=Reason.QUIET_HOURS)
    batch.chunks.update(not_before=clock.after(3600))
    assert (
        "2 texts wait for quiet hours or a holiday to end, the first of them until " in figures.numbers(batch)["pace"]
    )


def test_a_claim_on_the_chunk_counts_as_claimed_and_the_sum_stays():
    batch = make_batch(fiction(3))
    Chunk.objects.update(state=ChunkState.CLAIMED)
    counted = {state: n for state, _, n in figures.numbers(batch)["states"]}
    assert (counted["claimed"], counted["ready"], sum(counted.values())) == (3, 0, 3)


def test_what_is_read_out_changes_every_tenth_only():
    batch = make_batch(fiction(100))
    said = set()
    for n, message in enumerate(batch.messages.all()):
        if n % 3 == 0:
            said.add(figures.numbers(batch)["said"])
        Message.objects.filter(pk=message.pk).update(state=MessageState.ACCEPTED)
    assert len(said) == 10
    assert "Sending: 90% of 100 texts handed over." in said


def test_every_reason_says_what_to_do(client, sent):
    consent.opt_out(sent.messages.first().number, source="staff", reason="asked")
    sent.messages.filter(delivery=Delivery.DELIVERED).update(
        state=MessageState.SKIPPED, reason=Reason.CAPPED, delivery=0
    )
    found = figures.reasons(sent)
    assert [(each.title, each.number) for each in found] == [("Too many texts in a day", 2), ("A landline", 1)]
    assert "1 person of these opted out since" in found[1].advice
    page = client.get(url("batch_change", sent.pk)).text
    assert "Write to them on another day" in page
    for why in found:
        assert client.get(url("message_changelist") + f"?batch__id__exact={sent.pk}&{why.query}").status_code == 200


# --- what watching costs --------------------------------------------------------------------------------------------
def test_who_knows_already_is_told_so_in_an_empty_answer(client, sent):
    first = client.get(url("batch_numbers", sent.pk))
    again = client.get(url("batch_numbers", sent.pk), headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    sent.messages.update(delivery=Delivery.READ)
    cache.clear()
    news = client.get(url("batch_numbers", sent.pk), headers={"If-None-Match": first["ETag"]})
    assert (news.status_code, news.json()["arrived"]) == (200, 3)


def test_the_second_who_watches_counts_nothing(client, sent, django_assert_num_queries):
    client.get(url("batch_numbers", sent.pk))
    with django_assert_num_queries(5):  # session, person, two for the rights, the batch
        client.get(url("batch_numbers", sent.pk))


@pytest.mark.parametrize("texts", [3, 60])
def test_a_page_asks_as_much_for_many_texts_as_for_few(client, texts, django_assert_max_num_queries):
    batch = make_batch(fiction(texts))
    fate(batch, state=MessageState.ACCEPTED, delivery=Delivery.FAILED, error_code="Landline")
    Batch.objects.update(state=BatchState.FINISHED, finished_at=clock.now())
    for page, most in (("change", 19), ("numbers", 12), ("outcome", 15)):
        with django_assert_max_num_queries(most):
            assert client.get(url(f"batch_{page}", batch.pk)).status_code == 200
    for deed in ("retry_failed", "correct", "close_unknown"):
        with django_assert_max_num_queries(13):
            assert client.get(url("batch_do", batch.pk, deed)).status_code == 200
    with django_assert_max_num_queries(15):
        client.get(reverse("admin:index"))


def test_a_finished_page_looks_no_more_and_one_at_work_does_without_a_script(client, sent):
    assert 'http-equiv="refresh"' not in client.get(url("batch_change", sent.pk)).text
    running = make_batch(fiction(1, 9), list_name="Others")
    assert '<noscript><meta http-equiv="refresh" content="5">' in client.get(url("batch_change", running.pk)).text


# --- undo -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def started(client):
    batch = draft_to(fiction(2))
    client.post(url("batch_do", batch.pk, "submit"))
    client.post(url("batch_do", batch.pk, "start"))
    batch.refresh_from_db()
    return batch


def draft_to(numbers):
    from messaging.tests.composed import draft

    contact_list = make_list("Undone")
    for number in numbers:
        make_contact(contact_list, number)
    return draft(contact_list)


def test_a_start_is_undone_while_the_seconds_run(client, started):
    drain_all()
    page = client.get(url("batch_change", started.pk)).text
    assert "Nothing has left yet" in page
    assert 1 <= int(page.split('id="undo" data-seconds="')[1].split('"')[0]) <= 10
    assert page.count("Undo the start") == 1
    assert '<noscript><meta http-equiv="refresh" content="2">' in page
    client.post(url("batch_do", started.pk, "undo"))
    started.refresh_from_db()
    assert (started.state, started.recipients) == (BatchState.APPROVED, 0)


def test_a_start_is_not_undone_once_the_seconds_are_over(client, started):
    Batch.objects.update(leaves_at=clock.now() - timedelta(seconds=1))
    assert "Undo the start" not in client.get(url("batch_change", started.pk)).text
    drain_all()
    said = client.post(url("batch_do", started.pk, "undo"), follow=True).text
    assert "Cannot undo" in said


# --- stop, correct, settle ------------------------------------------------------------------------------------------
def test_cancelling_ends_on_who_got_it_and_who_did_not(client):
    batch = make_batch(fiction(4))
    ids = list(batch.messages.values_list("pk", flat=True))
    Message.objects.filter(pk=ids[0]).update(state=MessageState.ACCEPTED, delivery=Delivery.DELIVERED)
    Message.objects.filter(pk=ids[1]).update(state=MessageState.SUBMITTING)
    page = client.post(url("batch_do", batch.pk, "cancel"), follow=True)
    assert page.redirect_chain[-1][0] == url("batch_outcome", batch.pk)
    for said in ("Got it: 1", "May have got it: 1", "Did not get it: 2", "1 text is being handed over"):
        assert said in page.text
    for group, number in (("got", 1), ("may_have", 1), ("did_not", 2), ("", 4)):
        answer = client.get(url("batch_outcome_csv", batch.pk), {"group": group})
        rows = list(csv.DictReader(answer.getvalue().decode().splitlines()))
        assert len(rows) == number
        assert 'filename="Class-moved-' in answer["Content-Disposition"]
    assert client.get(url("batch_outcome_csv", batch.pk), {"group": "others"}).status_code == 404


def test_no_cell_of_the_file_is_a_formula(client):
    batch = make_batch(fiction(1))
    contact = batch.messages.get().contact
    contact.first_name, contact.last_name = '=HYPERLINK("http://evil")', "@sum"
    contact.save()
    batch.messages.update(text="+1 for you\n-2")
    text = client.get(url("batch_outcome_csv", batch.pk)).getvalue().decode()
    row = next(csv.DictReader(text.splitlines(keepends=True)))
    assert (row["first_name"][:2], row["last_name"], row["text"][:2]) == ("'=", "'@sum", "'+")


def test_a_stranger_gets_neither_page_nor_file(sent):
    from smsportal.tests.world import make_unit

    stranger = signed_in(make_user("hal", units=[make_unit("Housing")], groups=("Sender",)))
    for page in ("outcome", "outcome_csv", "numbers", "change"):
        assert stranger.get(url(f"batch_{page}", sent.pk)).status_code == 302


def test_a_correction_whose_form_is_sent_twice_is_one_batch(client, sent):
    token = client.get(url("batch_do", sent.pk, "correct")).context["form"]["token"].value()
    form = {"text": "Room 12, not 21. Registrar", "token": token}
    assert len({client.post(url("batch_do", sent.pk, "correct"), form).url for _ in range(2)}) == 1
    assert sent.corrections.count() == 1


def test_a_correction_goes_to_those_who_got_it(client, sent):
    page = client.get(url("batch_change", sent.pk)).text
    assert "Send a correction to the 2 who got it" in page
    asked = client.get(url("batch_do", sent.pk, "correct")).text
    assert "2 people got “Class moved”" in asked
    wrong = client.post(url("batch_do", sent.pk, "correct"), {"text": "Sorry {{First_Nme}}"}).text
    assert "First_Nme" in wrong
    assert "Sorry {{First_Nme}}" in wrong  # what was typed is not lost
    client.post(url("batch_do", sent.pk, "correct"), {"text": "Sorry {{First_Name}}, class is not moved. Registrar"})
    made = Batch.objects.get(corrects=sent)
    assert made.state == BatchState.DRAFT
    assert url("batch_change", sent.pk) in client.get(url("batch_change", made.pk)).text


def test_only_the_chosen_reasons_are_sent_again(client):
    batch = make_batch(fiction(3))
    fate(batch, state=MessageState.ACCEPTED, delivery=Delivery.FAILED, error_code="Landline", error_text="")
    refused = batch.messages.first()
    Message.objects.filter(pk=refused.pk).update(state=MessageState.REJECTED, delivery=0, error_code="")
    Batch.objects.update(state=BatchState.FINISHED, finished_at=clock.now())
    asked = client.get(url("batch_do", batch.pk, "retry_failed")).text.split("<fieldset")[1].split("</fieldset>")[0]
    assert asked.count("checked") == 1  # a landline stays one
    assert "Sending it again makes no sense, so it is not chosen." in asked
    client.post(url("batch_do", batch.pk, "retry_failed"), {"classes": "code-"})
    assert [each.pk for each in batch.messages.filter(state=MessageState.READY)] == [refused.pk]


def test_all_unknown_texts_are_settled_at_once(client):
    batch = make_batch(fiction(3))
    fate(batch, state=MessageState.UNKNOWN, attempt=1)
    Batch.objects.update(state=BatchState.FINISHED, finished_at=clock.now())
    page = client.get(url("batch_change", batch.pk)).text
    assert "Close all of them" in page
    assert "Send all of them again" not in page
    approver = signed_in(make_user("ann", groups=("Approver",)))
    assert "Send all of them again" in approver.get(url("batch_change", batch.pk)).text
    assert "3 texts are closed without being sent" in client.get(url("batch_do", batch.pk, "close_unknown")).text
    client.post(url("batch_do", batch.pk, "close_unknown"))
    assert batch.messages.filter(state=MessageState.WRITTEN_OFF).count() == 3


# --- alerts ---------------------------------------------------------------------------------------------------------
def test_an_alert_stands_on_the_first_page_until_somebody_has_seen_it(client):
    batch = make_batch(fiction(1))
    text = "40 of 100 texts that left (40 %) failed. Look at the reasons, then resume or cancel it."
    Batch.objects.update(state=BatchState.PAUSED, resume_to=BatchState.RUNNING, problem=text)
    alert = Alert.objects.create(unit=batch.unit, batch=batch, kind=AlertKind.FAILURES, text=text)
    first, page = client.get(reverse("admin:index")).text, client.get(url("batch_change", batch.pk)).text
    assert first.count(f"<p>{text}</p>") == page.count(f"<p>{text}</p>") == 1
    assert "The portal paused it by itself" in page
    viewer = signed_in(make_user("vic", groups=("Viewer",)))
    assert "I have seen it" not in viewer.get(reverse("admin:index")).text
    assert viewer.post(url("alert_do", alert.pk, "seen")).status_code == 403
    back = client.post(url("alert_do", alert.pk, "seen"), {"next": url("batch_change", batch.pk)})
    assert back["Location"] == url("batch_change", batch.pk)
    assert text not in client.get(reverse("admin:index")).text
    assert f"<p>{text}</p>" in client.get(url("batch_change", batch.pk)).text  # why it is paused stays said
    alert.refresh_from_db()
    assert alert.seen_by.username == "mia"
    assert "Seen" in client.get(url("alert_change", alert.pk)).text


def test_a_refusal_names_the_retry_as_people_do(client):
    batch = make_batch(fiction(1))
    Batch.objects.update(
        state=BatchState.FINISHED, finished_at=clock.now(), moved_at=clock.now(), moved_by=make_user("ada")
    )
    refused = client.post(url("batch_do", batch.pk, "pause"), follow=True).text
    assert "it is finished since" in refused
    assert "by ada" not in refused  # who started it did not finish it
    assert "Nothing more can be done with it." in refused
    batch.messages.update(state=MessageState.REJECTED)
    assert "Possible now: retry what failed." in client.post(url("batch_do", batch.pk, "pause"), follow=True).text
    said = client.post(url("batch_do", batch.pk, "retry_failed"), {"classes": []}).text
    assert "Choose at least one reason" in said


def test_the_keyboard_can_skip_the_sidebar(client):
    page = client.get(reverse("admin:index")).text
    assert page.index('class="skip" href="#content"') < page.index('id="nav-sidebar"')


def test_each_step_of_the_waterfall_leads_to_its_people_and_what_became_of_them(client, monkeypatch):
    monkeypatch.setattr("messaging.admin.previews.PEOPLE_A_PAGE", 2)
    contact_list = make_list()
    for number, first in zip(fiction(4), ("Ada", "Bo", "", "Cy"), strict=True):
        make_contact(contact_list, number, first=first)
    make_contact(make_list("Seniors"), fiction(1)[0], first="Ada")
    consent.opt_out(fiction(4)[3], source="staff")
    batch = compose(begin(draft(*ContactList.objects.all())))
    page = client.get(url("batch_change", batch.pk))
    fall = {step.said: step for step in page.context["fall"]}
    assert [step.number for step in fall.values()] == [5, 1, 1, 1, 2]
    for step in fall.values():
        assert f'href="{step.url}">{step.said}</a>' in page.text
        assert "Back to the batch" in client.get(step.url).text
    everybody = url("batch_people", batch.pk, "audience")
    first, second = client.get(everybody), client.get(everybody, {"after": client.get(everybody).context["after"]})
    assert [first.text.count('data-label="Person"'), second.text.count('data-label="Person"')] == [2, 2]
    assert second.context["after"] is None
    assert "a field in the text is blank" in client.get(url("batch_people", batch.pk, "invalid")).text
    assert "the person opted out" in client.get(url("batch_people", batch.pk, "opted_out")).text
    assert "by the lists as they are now" in client.get(url("batch_people", batch.pk, "duplicates")).text.lower()
    assert "There is no step" in client.get(url("batch_people", batch.pk, "nonsense"), follow=True).text
