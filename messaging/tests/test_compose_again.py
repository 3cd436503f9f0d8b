"""The compose form opened once more: what was not touched stays as it was, what changed meanwhile is told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.urls import reverse

from messaging import templating
from messaging.models import Batch, Sender
from messaging.tests.composed import draft
from smsportal.tests.world import make_account, make_contact, make_list, make_user

pytestmark = pytest.mark.django_db

TEXT = "Hello {{First_Name|there}}, Registrar here. Reply STOP to opt out."
# At 01:30 in New York, once before the clocks are put back and once after.
FIRST, SECOND = datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _summer(settings, time_machine):
    settings.QUIET_HOURS = ""
    time_machine.move_to(datetime(2026, 6, 2, 16, 0, tzinfo=UTC), tick=False)


@pytest.fixture
def contact_list(client):
    client.force_login(make_user("mia", groups=("Sender",)))
    made = make_list()
    make_contact(made)
    Sender.objects.create(account=make_account(), address="+13125550190")
    return made


def url(page: str, *args) -> str:
    return reverse(f"admin:messaging_batch_{page}", args=args)


def shown(client, address, **more):
    """What a browser sends back of the form at `address`, but for `more`."""
    form = client.get(address, follow=True).context["form"]
    given = {each.name: "" if each.value() is None else getattr(each.value(), "pk", each.value()) for each in form}
    return {**given, **more}


# --- when ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "times",
    [{"send_at": FIRST}, {"send_at": SECOND}, {"expires_at": FIRST}, {"send_at": FIRST, "expires_at": SECOND}],
)
def test_a_time_that_comes_twice_stays_when_something_else_is_edited(client, contact_list, times):
    batch = draft(contact_list, text=TEXT, **times)
    form = shown(client, url("edit", batch.pk), name="Other")
    assert form["zone"] == "UTC"
    assert client.post(url("edit", batch.pk), form).status_code == 302
    batch.refresh_from_db()
    assert (batch.name, batch.send_at, batch.expires_at) == ("Other", times.get("send_at"), times.get("expires_at"))


def test_the_seconds_of_a_program_stay_until_the_minute_is_changed(client, contact_list):
    at = datetime(2026, 6, 3, 16, 5, 30, tzinfo=UTC)
    batch = draft(contact_list, text=TEXT, send_at=at)
    form = shown(client, url("edit", batch.pk), name="Other")
    assert (form["send_at"], form["zone"]) == ("2026-06-03T12:05", "America/New_York")
    client.post(url("edit", batch.pk), form)
    batch.refresh_from_db()
    assert (batch.name, batch.send_at) == ("Other", at)
    client.post(url("edit", batch.pk), shown(client, url("edit", batch.pk), send_at="2026-06-03T12:06"))
    batch.refresh_from_db()
    assert batch.send_at == datetime(2026, 6, 3, 16, 6, tzinfo=UTC)


# --- which words -----------------------------------------------------------------------------------------------------
def test_a_template_changed_while_the_form_is_open_is_read_before_it_is_pinned(client, contact_list):
    template = templating.create_template(actor=None, unit=contact_list.unit, name="Hello", text="Hello one. STOP")
    chosen = {"name": "Welcome", "lists": [contact_list.pk], "template": template.pk, "text": ""}
    form = shown(client, url("add"), **chosen)
    templating.change_template(template, actor=None, text="Hello two. STOP")
    templating.create_template(actor=None, unit=contact_list.unit, name="Another", text="Bye. STOP")
    answer = client.post(url("add"), form)
    assert "“Hello” got a new text since you opened this form: version 2." in answer.text
    assert "Hello two. STOP" in answer.text
    assert not Batch.objects.exists()
    form["wordings"] = answer.context["form"]["wordings"].value()
    client.post(url("add"), form)
    assert Batch.objects.get().text == "Hello two. STOP"
    assert client.post(url("edit", Batch.objects.get().pk), shown(client, url("edit", Batch.objects.get().pk))).url


def test_other_templates_may_change_while_the_form_is_open(client, contact_list):
    template = templating.create_template(actor=None, unit=contact_list.unit, name="Hello", text="Hello one. STOP")
    form = shown(client, url("add"), name="Welcome", lists=[contact_list.pk], template=template.pk, text="")
    templating.create_template(actor=None, unit=contact_list.unit, name="Another", text="Bye. STOP")
    client.post(url("add"), form)
    assert Batch.objects.get().text == "Hello one. STOP"
