"""What the pages of a batch say and count is so, at every moment of it: scheduled, stopped, paused, handed over, over."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from messaging import composing, controls
from messaging.admin import figures
from messaging.composing import audience
from messaging.models import Alert, AlertKind, Batch
from messaging.statuses import BatchState, ChunkState, MessageState
from messaging.tests.composed import at_statement, begin, compose, draft, stop, students
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.providers.base import Delivery
from smsportal.tests.world import fiction, make_batch, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""
    settings.UNDO_SECONDS = 0
    cache.clear()


@pytest.fixture
def client():
    made = Client()
    made.force_login(make_user("mia", groups=("Sender",)))
    return made


def url(page: str, *args) -> str:
    return reverse(f"admin:messaging_{page}", args=args)


def sums(numbers: dict) -> bool:
    parts = ("waiting", "going", "arrived", "failed", "unclear", "skipped")
    reported = sum(count for _, _, count in numbers["delivery"]) + numbers["elsewhere"]
    return numbers["total"] == sum(numbers[part] for part in parts) == reported


def test_a_scheduled_batch_is_shown_as_such_with_what_was_submitted(client):
    batch = begin(draft(students(3), send_at=clock.now() + timedelta(days=1)))
    page = client.get(url("batch_change", batch.pk)).text
    assert "Scheduled" in page
    assert "Being prepared" not in page
    assert "The texts are being prepared" not in page
    numbers = figures.numbers(batch)
    assert (numbers["total"], numbers["waiting"], numbers["said"]) == (3, 3, "Scheduled.")
    assert sums(numbers)
    assert "Scheduled" in client.get(url("batch_changelist")).text
    assert "Scheduled" in client.get(reverse("admin:index")).text


@pytest.fixture
def half_prepared(monkeypatch):
    """Five people, of whom the first two are prepared, and the worker is gone."""
    monkeypatch.setattr(audience, "PAGE", 2)
    batch = begin(draft(students(5)))
    held = composing.next_batch()
    with at_statement([2], stop), pytest.raises(KeyboardInterrupt):
        composing.expand(held)
    batch.refresh_from_db()
    assert batch.recipients == 2
    return batch


def test_of_a_batch_stopped_while_it_is_prepared_all_its_people_are_told(client, half_prepared):
    batch = half_prepared
    assert figures.numbers(batch)["missing"].startswith("3 more people are to get it; their texts are being prepared")
    controls.pause(batch, actor=None)
    assert (
        "3 more people are to get it; nothing is prepared for them yet"
        in client.get(url("batch_change", batch.pk)).text
    )
    asked = client.get(url("batch_do", batch.pk, "resume")).text
    assert "2 texts are prepared." in asked
    assert "3 more people are to get it, and nothing is prepared for them yet." in asked
    asked = client.get(url("batch_do", batch.pk, "cancel")).text
    assert "2 texts that wait are not sent, for good." in asked
    assert "3 more people were to get it; nothing is prepared for them, so they do not get it." in asked
    controls.cancel(batch, actor=None)
    gone = "3 more people were to get it; nothing was prepared for them, so they did not get it."
    assert gone in client.get(url("batch_change", batch.pk)).text
    assert f"{gone} They are in none of the lists and files here." in client.get(url("batch_outcome", batch.pk)).text


def test_who_opted_out_while_it_was_prepared_is_not_counted_twice(half_prepared):
    half_prepared.waterfall.update(will_send=1, opted_out=1)  # of the two prepared
    assert figures.unprepared(half_prepared) == 3


def test_where_nobody_knows_how_many_were_to_come_the_rest_is_told(client, half_prepared):
    Batch.objects.update(planned=None)  # begun by an earlier release
    half_prepared.refresh_from_db()
    controls.pause(half_prepared, actor=None)
    assert "The rest of its people are to get it" in client.get(url("batch_change", half_prepared.pk)).text
    asked = client.get(url("batch_do", half_prepared.pk, "cancel")).text
    assert "The rest of its people were to get it; nothing is prepared for them" in asked
    assert "The rest of its people are to get it" in client.get(url("batch_do", half_prepared.pk, "resume")).text


def test_a_batch_cancelled_before_and_after_it_was_prepared(client):
    batch = begin(draft(students(3)))
    assert "3 people were to get it; nothing is prepared" in client.get(url("batch_do", batch.pk, "cancel")).text
    batch = compose(batch)
    batch.messages.filter(pk=batch.messages.first().pk).update(state=MessageState.ACCEPTED)
    controls.cancel(batch, actor=None)
    assert figures.missing(batch) == ""


def test_of_a_stopped_account_no_text_is_said_to_be_on_its_way():
    batch = make_batch(fiction(2))
    ProviderAccount.objects.update(circuit_open=True, circuit_reason="Wrong keys.")
    batch.refresh_from_db()
    numbers = figures.numbers(batch)
    assert "Wrong keys" in numbers["stopped"]
    assert numbers["pace"] == ""


def test_what_is_being_handed_over_is_on_its_way_also_when_paused():
    batch = make_batch(fiction(4))
    batch.messages.filter(pk__in=batch.messages.values("pk")[:3]).update(state=MessageState.SUBMITTING)
    batch.chunks.update(state=ChunkState.SUBMITTING)
    controls.pause(batch, actor=None)
    numbers = figures.numbers(batch)
    assert (numbers["going"], numbers["waiting"], numbers["left"]) == (3, 1, 0)
    assert sums(numbers)


def test_counts_of_reports_sum_up_with_those_not_accepted(client):
    batch = make_batch(fiction(5))
    first, *others = batch.messages.values_list("pk", flat=True)
    batch.messages.filter(pk=first).update(state=MessageState.ACCEPTED, delivery=Delivery.DELIVERED)
    batch.messages.filter(pk__in=others[:2]).update(state=MessageState.REJECTED)
    numbers = figures.numbers(batch)
    assert numbers["elsewhere"] == 4
    assert sums(numbers)
    assert "Not with the provider" in client.get(url("batch_change", batch.pk)).text


def test_a_correction_names_those_without_a_final_report(client):
    batch = make_batch(fiction(3))
    batch.messages.update(state=MessageState.ACCEPTED, delivery=Delivery.DELIVERED)
    batch.messages.filter(pk=batch.messages.first().pk).update(delivery=Delivery.SENT)
    Batch.objects.update(state=BatchState.FINISHED)
    page = client.get(url("batch_change", batch.pk)).text
    assert "Send a correction to the 3 who got it or may have it: 1 without a final report" in page
    asked = client.get(url("batch_do", batch.pk, "correct")).text
    assert "2 people got “Class moved”." in asked
    assert "1 person may have got “Class moved”: there is no final report" in asked


@pytest.mark.parametrize(("code", "offered"), [("Landline", False), ("", True)])
def test_to_send_again_is_offered_where_it_makes_sense(client, monkeypatch, code, offered):
    batch = make_batch(fiction(2))
    batch.messages.update(state=MessageState.ACCEPTED, delivery=Delivery.FAILED, error_code=code)
    Batch.objects.update(state=BatchState.FINISHED)
    assert any(each.again for each in controls.failure_classes(batch)) is offered
    assert ("Send what failed again" in client.get(url("batch_change", batch.pk)).text) is offered


def test_alerts_are_found_by_who_has_seen_them(client):
    batch = make_batch(fiction(1))
    for text, seen_at in (("Nobody knows", None), ("Somebody knows", clock.now())):
        Alert.objects.create(unit=batch.unit, batch=batch, kind=AlertKind.FAILURES, text=text, seen_at=seen_at)
    page = client.get(url("alert_changelist"), {"seen": "no"}).text
    assert "Not seen" in page
    assert "Not empty" not in page
    assert ("Nobody knows" in page, "Somebody knows" in page) == (True, False)
    page = client.get(url("alert_changelist"), {"seen": "yes"}).text
    assert ("Nobody knows" in page, "Somebody knows" in page) == (False, True)


def test_the_advice_of_an_alert_is_told_as_of_then_once_the_batch_was_moved(client):
    batch = make_batch(fiction(1))
    advice = "It was to be sent on 2 May and could not be. Resume it to send it now, or cancel it."
    alert = Alert.objects.create(unit=batch.unit, batch=batch, kind=AlertKind.OVERDUE, text=advice)
    pages = [reverse("admin:index"), url("alert_change", alert.pk), url("alert_changelist")]
    for page in pages:
        assert "It was said then" not in client.get(page).text
    Batch.objects.update(state=BatchState.DRAFT, moved_at=clock.now())
    for page in pages:
        said = client.get(page).text
        assert f"It was said then: “{advice}” The batch was changed since" in said
        assert "it is a draft now." in said
