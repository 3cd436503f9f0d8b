"""What the pages of a batch claim: when it leaves, what waits, what is unknown, and what staff can do about an opt-out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import formats, timezone

from contacts import consent
from messaging import controls
from messaging.models import Batch, Conversation, Sender
from messaging.statuses import MessageState
from messaging.tasks import drain_all
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.tests.world import fiction, make_account, make_batch, make_contact, make_list, make_number, make_user

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


@pytest.fixture
def write(client):
    """Fills in the compose form, to be sent at a local time."""
    contact_list = make_list()
    make_contact(contact_list, *fiction(1))
    sender = Sender.objects.create(account=make_account(), address="+13125550190")

    def written(send_at: str) -> str:
        given = {"name": "Welcome", "unit": contact_list.unit_id, "lists": [contact_list.pk], "text": "Registrar: hi"}
        return client.post(url("batch_add"), {**given, "sender": sender.pk, "send_at": send_at}, follow=True).text

    return written


def test_a_time_in_the_past_is_not_taken_for_at_once(write):
    assert "This moment has passed" in write("2020-01-01T09:00")
    assert not Batch.objects.exists()


def test_a_later_batch_says_its_local_time_with_the_year_and_waits_for_it(client, write):
    later = timezone.localtime(clock.now() + timedelta(days=30)).replace(hour=9, minute=0)
    said = formats.date_format(later, "DATETIME_FORMAT")
    assert said.endswith(f"{later.year}, 09:00")
    page = write(f"{later:%Y-%m-%dT%H:%M}")
    assert "Will be sent" in page
    assert "at once" not in page
    batch = Batch.objects.get()
    client.post(url("batch_do", batch.pk, "submit"))
    assert f"1 text leaves on {said} from" in client.get(url("batch_do", batch.pk, "start")).text
    client.post(url("batch_do", batch.pk, "start"))
    drain_all()
    waiting = client.get(url("batch_change", batch.pk)).text
    assert "It waits for its time" in waiting
    assert f"On {said} its texts are prepared and sent" in waiting
    Batch.objects.update(send_at=clock.now() - timedelta(minutes=1))
    assert "It waits for its time" not in client.get(url("batch_change", batch.pk)).text


def test_what_staff_closed_is_not_asked_about_again(client):
    batch = make_batch(fiction(1))
    batch.messages.update(state=MessageState.UNKNOWN)
    news = client.get(url("batch_numbers", batch.pk)).json()
    assert (news["unknown"], news["unclear"]) == (1, 1)
    client.post(url("message_do", batch.messages.get().pk, "write_off"))
    cache.clear()
    news = client.get(url("batch_numbers", batch.pk)).json()
    assert (news["unknown"], news["unclear"]) == (0, 1)
    page = client.get(url("batch_change", batch.pk)).text
    assert 'data-show="unknown" hidden' in page
    assert "Unknown, closed ones included" in page


def test_a_thread_tells_the_same_of_an_opt_out_as_the_text(client, twin):
    batch = make_batch(fiction(1))
    number = make_number(*fiction(1))
    thread = Conversation.objects.create(account=batch.account, number=number)
    consent.opt_out(number, source="reply")
    drain_all()
    sentence = "can change that by texting START; staff can lift it with a reason"
    assert sentence in client.get(url("conversation_change", thread.pk)).text
    assert sentence in client.get(url("message_change", batch.messages.get().pk)).text


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        ({"is_active": False}, "is switched off. Nothing leaves until an administrator switches it on again."),
        ({"circuit_open": True, "circuit_reason": "Wrong keys."}, "Nothing leaves at the moment: Wrong keys. Ocelot"),
        ({"circuit_open": True, "paused_until": clock.after}, "is tried again at "),
        ({"circuit_open": True, "paused_until": None}, "is tried again within half a minute; when"),
        ({"paused_until": clock.after}, "The provider asked for a break until "),
        ({}, ""),
    ],
)
def test_a_running_batch_says_why_nothing_leaves(client, stop, said):
    batch = make_batch(fiction(2))
    ProviderAccount.objects.update(**{name: value(60) if callable(value) else value for name, value in stop.items()})
    news = client.get(url("batch_numbers", batch.pk)).json()
    assert said in news["stopped"]
    assert bool(news["stopped"]) == bool(said)
    assert news["stopped"] in client.get(url("batch_change", batch.pk)).text
    client.post(url("batch_do", batch.pk, "pause"))
    assert client.get(url("batch_numbers", batch.pk)).json()["stopped"] == ""


def test_a_refusal_says_each_sentence_once(client, write):
    write("")
    batch = Batch.objects.get()
    batch.lists.get().contacts.all().delete()
    said = client.post(url("batch_do", batch.pk, "submit"), follow=True).text
    assert said.count("The lists of this batch have no contacts.") == 1


def test_who_starts_or_resumes_a_late_batch_is_told_how_late_and_for_how_many(client, write, time_machine):
    write("")
    later = clock.now().replace(microsecond=0) + timedelta(hours=2)
    batch = controls.edit(Batch.objects.get(), actor=None, send_at=later)
    client.post(url("batch_do", batch.pk, "submit"))
    assert "It is late" not in client.get(url("batch_do", batch.pk, "start")).text
    time_machine.move_to(later + timedelta(hours=3, minutes=5))
    meant = formats.date_format(timezone.localtime(later), "DATETIME_FORMAT")
    late = f"It is late: it was to be sent on {meant}, 3 hours, 5 minutes ago."
    assert f"{late} Starting it sends it now to 1 person." in client.get(url("batch_do", batch.pk, "start")).text
    Batch.objects.update(state="paused", resume_to="expanding", started_at=later)
    assert f"{late} Resuming it sends it now to 1 person." in client.get(url("batch_do", batch.pk, "resume")).text
