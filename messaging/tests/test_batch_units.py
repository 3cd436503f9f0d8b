"""A batch goes to lists of its own unit: in the browser, in the API and at the prompt; older ones are told, not mended."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from contacts.models import Segment
from messaging import controls
from messaging.models import Batch, Sender
from messaging.tests.composed import draft
from smsportal.problems import Wrong
from smsportal.tests.programs import program
from smsportal.tests.world import fiction, make_account, make_contact, make_list, make_unit, make_user

pytestmark = pytest.mark.django_db

TEXT = "Hello {{First_Name|there}}, Registrar here. Reply STOP to opt out."
REFUSED = "“Residents” belongs to Housing, this batch to Registrar. Leave it out, or write a batch of Housing to it."


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""


@pytest.fixture
def ours():
    made = make_list()
    make_contact(made, fiction(1)[0], first="Ada")
    return made


@pytest.fixture
def theirs():
    made = make_list("Residents", unit=make_unit("Housing"))
    make_contact(made, fiction(1, 5)[0], first="Zed")
    return made


@pytest.fixture
def old(ours, theirs):
    """A batch of before, with a list of another unit."""
    made = draft(ours, text=TEXT)
    made.lists.add(theirs)
    return made


def url(page: str, *args) -> str:
    return reverse(f"admin:messaging_batch_{page}", args=args)


def form_for(*lists, **more):
    sender = Sender.objects.get_or_create(account=make_account(), address="+13125550190")[0]
    given = {"name": "Welcome", "unit": make_unit().pk, "lists": [each.pk for each in lists], "template": ""}
    times = {"send_at": "", "expires_at": "", "zone": "UTC"}
    return {**given, "text": TEXT, "sender": sender.pk, "operator": "", **times, **more}


def test_a_list_or_segment_of_another_unit_is_refused_with_the_remedy(ours, theirs):
    segment = Segment.objects.create(unit=theirs.unit, contact_list=theirs, name="North", conditions=[])
    with pytest.raises(Wrong) as wrong:
        draft(ours, theirs, segments=[segment])
    assert wrong.value.errors["lists"] == [REFUSED]
    assert wrong.value.errors["segments"][0].startswith("“Residents: North” belongs to Housing")
    batch = draft(ours)
    with pytest.raises(Wrong, match="belongs to Housing"):
        controls.edit(batch, actor=None, lists=[theirs])
    assert draft(theirs, unit=theirs.unit).lists.get() == theirs


def test_who_sees_all_units_chooses_lists_by_unit(client, ours, theirs):
    client.force_login(make_user("root", is_superuser=True))
    page = client.get(url("add"), follow=True)
    assert "Residents (Housing)" in page.text
    assert "Fall freshmen (Registrar)" in page.text
    assert page.context["form"]["unit"].value() == ours.unit_id
    assert client.get(url("add"), {"lists": theirs.pk}, follow=True).context["form"]["unit"].value() == theirs.unit_id
    assert REFUSED in client.post(url("add"), form_for(ours, theirs)).text
    assert not Batch.objects.exists()
    client.post(url("add"), form_for(theirs, unit=theirs.unit_id))
    assert Batch.objects.get().lists.get() == theirs


def test_who_belongs_to_one_unit_reads_no_units(client, ours):
    client.force_login(make_user("mia", groups=("Sender",)))
    assert "Fall freshmen (Registrar)" not in client.get(url("add"), follow=True).text


def test_editing_never_drops_a_list_the_editor_may_not_see(client, ours, theirs, old):
    client.force_login(make_user("mia", groups=("Sender",)))
    page = client.get(url("edit", old.pk))
    assert "Residents (Housing)" in page.text
    assert set(page.context["form"]["lists"].value()) == {ours.pk, theirs.pk}
    told = client.post(url("edit", old.pk), form_for(ours, theirs, name="Other", revision=old.revision)).text
    assert REFUSED in told
    old.refresh_from_db()
    assert (old.name, old.lists.count()) == ("Moved", 2)
    client.post(url("edit", old.pk), form_for(ours, revision=old.revision))
    assert old.lists.get() == ours


def test_people_of_another_unit_are_shown_to_nobody_who_may_not_see_them(client, theirs, old):
    client.force_login(make_user("mia", groups=("Sender",)))
    page = client.get(url("change", old.pk), {"to": fiction(1, 5)[0]}).text
    assert "Who gets it is not shown to you" in page
    assert "Hello Zed" not in page
    assert "Hello Ada" not in page
    answer = client.get(url("people", old.pk, "audience"), follow=True)
    assert "whose lists you may not see" in answer.text
    assert "Zed" not in answer.text
    client.post(url("test", old.pk), {"to": "+13125550177"})
    assert not old.messages.exists()
    client.force_login(make_user("root", is_superuser=True))
    assert "Hello Zed" in client.get(url("change", old.pk)).text


def test_the_api_shows_submits_and_edits_no_batch_to_another_unit(old):
    client = program(make_user("sam", groups=("Sender",)))
    address = f"/api/v1/batches/{old.uuid}/"
    for answer in (client.post(f"{address}preview/", {}, format="json"), client.get(f"{address}people/")):
        assert "whose lists you may not see" in answer.json()["detail"]
    assert REFUSED in client.post(f"{address}submit/", {}, format="json").json()["detail"]
    assert REFUSED in client.patch(address, {"name": "Other"}, format="json").json()["detail"]
    assert old.lists.count() == 2


def test_the_prompt_takes_lists_of_one_unit(ours, theirs):
    with pytest.raises(CommandError, match="belongs to Housing"):
        call_command("send_batch", "Fall freshmen", "Residents", "--sender", "+13125550190", "--text", TEXT)
    assert not Batch.objects.exists()
