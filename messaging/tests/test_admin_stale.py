"""What is said of a batch whose people changed behind its back: its list removed, its text gone on, its failures retried."""

from __future__ import annotations

import pytest
from django.urls import reverse

from messaging import controls
from messaging.models import Batch, Message
from messaging.statuses import BatchState, MessageState
from messaging.tests.composed import begin, compose, draft, students
from smsportal.problems import Conflict, Wrong
from smsportal.tests.world import fiction, make_contact, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def mia(client, settings):
    settings.QUIET_HOURS = ""
    found = make_user("mia", groups=("Sender",))
    client.force_login(found)
    return found


def url(page: str, *args) -> str:
    return reverse(f"admin:messaging_batch_{page}", args=args)


def test_a_draft_whose_only_list_was_removed_says_so(client, mia):
    contact_list = students(2)
    batch = draft(contact_list)
    contact_list.delete()
    page = client.get(url("change", batch.pk)).text
    assert "Its list was removed, so there is nobody to write to. Edit it and choose a list." in page
    assert "To: nobody, for its list was removed" in page
    assert "the lists have no contacts" not in page
    with pytest.raises(Wrong, match="Its list was removed"):
        controls.submit(batch, actor=mia)


def test_an_approved_batch_whose_list_was_removed_is_not_called_ready(client, mia):
    contact_list = students(2)
    batch = controls.submit(draft(contact_list), actor=mia)
    assert "Ready to be started" in client.get(url("change", batch.pk)).text
    contact_list.delete()
    page = client.get(url("change", batch.pk)).text
    assert "Its list was removed since this was submitted" in page
    assert "It must be submitted again" in page
    assert "Ready to be started" not in page
    assert url("do", batch.pk, "start") not in page
    with pytest.raises(Conflict, match="Its list was removed since this batch was approved"):
        controls.start(batch, actor=mia)


def _gone_on(mia):
    """A submitted correction of a paused text, and how that text goes on to one more."""
    first = compose(begin(draft(students(2), text="Room 12. Registrar")))
    first.messages.update(state=MessageState.ACCEPTED)
    Batch.objects.filter(pk=first.pk).update(state=BatchState.FINISHED)
    first.refresh_from_db()
    correction = controls.submit(controls.correct(first, actor=mia, text="Room 21. Registrar"), actor=mia)
    late = make_contact(first.lists.get(), fiction(1, 50)[0])
    Message.objects.create(batch=first, number=late.number, contact=late, text="Hi", state=MessageState.ACCEPTED)
    return correction


def test_a_correction_has_no_lists_that_change(client, mia):
    correction = _gone_on(mia)
    page = client.get(url("change", correction.pk)).text
    assert "The text it corrects went on to more people" in page
    assert "The lists changed" not in page
    with pytest.raises(Conflict, match="went on to more people"):
        controls.start(correction, actor=mia)
    assert "went on to more people" in correction.problem


def test_what_is_sent_again_already_is_not_asked_about_in_a_second_tab(client, mia):
    batch = compose(begin(draft(students(2), text="Room 12. Registrar")))
    batch.messages.update(state=MessageState.REJECTED, error_code="30008", attempt=1)
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.FINISHED)
    address, form = url("do", batch.pk, "retry_failed"), {"classes": ["code-30008"]}
    assert client.post(address, form).status_code == 302
    page = client.post(address, form).text
    assert "is being sent again already; there is nothing more to do." in page
    assert "Select a valid choice" not in page
    assert "0 texts" not in page


def test_of_two_reasons_the_one_sent_again_already_is_named(client, mia):
    batch = compose(begin(draft(students(2), text="Room 12. Registrar")))
    batch.messages.update(state=MessageState.REJECTED, error_code="30008", attempt=1)
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.FINISHED)
    page = client.post(url("do", batch.pk, "retry_failed"), {"classes": ["code-30008", "code-30003"]}).text
    assert "Texts you chose are being sent again already" in page
