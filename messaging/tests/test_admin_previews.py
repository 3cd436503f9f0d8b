"""The page of a batch that has not begun: its people step by step, its texts, its warnings, its approval, a test to oneself."""

from __future__ import annotations

import re
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import formats

from contacts import consent
from messaging import controls
from messaging.models import Batch, Message, Sender
from messaging.statuses import BatchState
from smsportal import clock
from smsportal.tests.world import make_account, make_contact, make_list, make_user

pytestmark = pytest.mark.django_db

TEXT = "Hi {{First_Name}}, Registrar here. Reply STOP to opt out."


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""


@pytest.fixture
def mia(client):
    found = make_user("mia", groups=("Sender",), phone="+13125550188")
    client.force_login(found)
    return found


@pytest.fixture
def contact_list():
    made = make_list()
    for number, first in enumerate(["Ada", "Bartholomew", "", "Cy"]):
        make_contact(made, f"+1312555010{number}", first=first)
    return made


def draft(actor, contact_list, text=TEXT, **more):
    Sender.objects.get_or_create(account=make_account(), address="+13125550190")
    given = {"unit": contact_list.unit, "account": contact_list.account, "sender": "+13125550190", "name": "Moved"}
    return controls.create(actor=actor, lists=[contact_list], text=text, **{**given, **more})


def url(page: str, *args) -> str:
    return reverse(f"admin:messaging_batch_{page}", args=args)


def test_every_line_of_the_waterfall_leads_to_its_people(client, mia, contact_list):
    seniors = make_list("Seniors")
    make_contact(seniors, "+13125550100", first="Ada")
    batch = draft(mia, contact_list)
    batch.lists.add(seniors)
    consent.opt_out("+13125550103", source="staff")
    answer = client.get(url("change", batch.pk))
    fall = {step.said: step for step in answer.context["fall"]}
    first, *others = answer.context["fall"]
    assert first.number == sum(step.number for step in others if not step.part) == 5
    for step in fall.values():
        assert step.url in answer.text
        shown = client.get(step.url).text
        assert shown.count('data-label="Person"') == step.number, step.said
    assert "is blank for this person" in client.get(url("people", batch.pk, "blank")).text
    assert "texting START" in client.get(url("people", batch.pk, "opted_out")).text
    assert "Has the same number as Ada" in client.get(url("people", batch.pk, "duplicates")).text


def test_people_come_page_by_page_and_an_unknown_step_is_told(client, mia, contact_list, monkeypatch):
    monkeypatch.setattr("messaging.admin.previews.PEOPLE_A_PAGE", 2)
    batch = draft(mia, contact_list, text="Registrar says hello. Reply STOP to opt out.")
    address, seen = url("people", batch.pk, "will_send"), []
    while address:
        page = client.get(address).text
        seen += re.findall(r"\(312\) 555-01\d\d", page)
        following = re.search(r'rel="next" href="(\?after=\d+)"', page)
        address = url("people", batch.pk, "will_send") + following[1] if following else ""
    assert seen == [f"(312) 555-010{n}" for n in range(4)]
    assert "There is no step" in client.get(url("people", batch.pk, "nonsense"), follow=True).text
    assert client.get(url("people", batch.pk, "will_send"), {"after": "x"}).status_code == 200


def test_the_first_the_longest_the_shortest_and_the_blank_are_shown(client, mia, contact_list):
    page = client.get(url("change", draft(mia, contact_list).pk)).text
    assert "Hi Bartholomew, Registrar here." in page
    for note in ("First", "Longest", "Shortest", "Left out: First_Name is blank"):
        assert note in page
    assert "Not sent to this person" in page


def test_one_recipient_is_looked_up_however_the_number_is_written(client, mia, contact_list):
    batch = draft(mia, contact_list)
    assert "Hi Cy, Registrar here." in client.get(url("change", batch.pk), {"to": "312.555.0103"}).text
    assert "is not among the people" in client.get(url("change", batch.pk), {"to": "312-555-0142"}).text
    answer = client.get(url("change", batch.pk), {"to": "<b>12"})
    assert answer.context["looked_up"]["problem"]
    assert "<b>12" not in answer.text


def test_each_warning_says_what_to_do_and_leads_to_its_people(client, mia, contact_list):
    batch = draft(mia, contact_list, text="HI {{First_Name}} – your code: https://bit.ly/x")
    page = client.get(url("change", batch.pk)).text
    assert "bit.ly" in page
    assert "A fallback would include the person: {{First_Name|there}}." in page
    assert f'href="{url("people", batch.pk, "blank")}">Show them' in page
    assert "Unicode because of –" in page


def test_a_test_goes_to_ones_own_phone_once_per_form(client, mia, contact_list, twin):
    batch = draft(mia, contact_list)
    page = client.get(url("change", batch.pk))
    assert 'value="(312) 555-0188"' in page.text
    cy = next(each["sample"] for each in page.context["samples"] if each["sample"].name.startswith("Bartholomew"))
    form = {"to": "(312) 555-0188", "sample": cy.number, "token": page.context["test"]["token"]}
    for _ in range(5):
        client.post(url("test", batch.pk), form)
    message = Message.objects.select_related("number").get()
    assert (message.number.e164, message.text[:24]) == ("+13125550188", "[Test] Hi Bartholomew, R")
    assert "Send me a test" in client.get(url("change", batch.pk)).text
    batch.refresh_from_db()
    assert (batch.state, batch.recipients) == (BatchState.DRAFT, 0)


def test_a_test_that_cannot_be_is_told_and_may_be_tried_again(client, mia, contact_list):
    batch = draft(mia, contact_list)
    form = {"to": "12", "token": "t" * 32, "sample": "9" * 30}
    assert "12" in client.post(url("test", batch.pk), form, follow=True).text
    assert not Message.objects.exists()
    client.post(url("test", batch.pk), {**form, "to": "(312) 555-0177", "sample": "²"})
    assert Message.objects.get().number.e164 == "+13125550177"


def test_braces_in_somebodys_name_do_not_stop_a_test(client, mia):
    odd = make_list("Odd names")
    make_contact(odd, "+13125550120", first="{{Last_Name}}")
    client.post(url("test", draft(mia, odd).pk), {"to": "(312) 555-0177"})
    assert Message.objects.get().text.startswith("[Test] Hi {{Last_Name}}, Registrar")


def test_who_may_only_look_is_offered_no_test(contact_list, mia):
    batch, viewer = draft(mia, contact_list), Client()
    viewer.force_login(make_user("vic", groups=("Viewer",)))
    assert "Send me a test" not in viewer.get(url("change", batch.pk)).text
    assert viewer.post(url("test", batch.pk), {"to": "(312) 555-0188"}).status_code == 403


def test_an_approver_sees_what_exactly_is_approved_and_approves_that(client, mia, contact_list, settings):
    settings.APPROVAL_ABOVE = 1
    batch = draft(mia, contact_list, send_at=None)
    controls.submit(batch, actor=mia)
    own = client.get(url("change", batch.pk)).text
    assert "Nobody approves their own" in own
    assert f'value="{batch.snapshot}"' not in own
    ann = Client()
    ann.force_login(make_user("ann", groups=("Approver",)))
    page = ann.get(url("change", batch.pk)).text
    for said in ("What you approve is exactly this", "as soon as it is started", "mia", batch.snapshot[:12]):
        assert said in page
    assert page.count(url("do", batch.pk, "approve")) == 1
    told = ann.post(url("do", batch.pk, "approve"), {"seen": "0" * 64}, follow=True).text
    assert "submitted anew since you looked at it" in told
    ann.post(url("do", batch.pk, "approve"), {"seen": batch.snapshot})
    batch.refresh_from_db()
    assert batch.state == BatchState.APPROVED
    assert "Ready to be started" in client.get(url("change", batch.pk)).text


def test_a_list_that_changed_since_is_told_before_anybody_approves(client, mia, contact_list):
    batch = draft(mia, contact_list)
    controls.submit(batch, actor=mia)
    assert "The lists changed since" not in client.get(url("change", batch.pk)).text
    make_contact(contact_list, "+13125550109", first="Dee")
    assert "The lists changed since" in client.get(url("change", batch.pk)).text


def test_who_edited_a_batch_is_told_that_it_is_theirs(mia, contact_list, settings):
    settings.APPROVAL_ABOVE = 1
    batch = draft(mia, contact_list)
    ann = make_user("ann", groups=("Approver",))
    controls.submit(controls.edit(batch, actor=ann, text=f"{batch.text} Hall 7."), actor=mia)
    browser = Client()
    browser.force_login(ann)
    page = browser.get(url("change", batch.pk)).text
    assert "Nobody approves their own" in page
    assert url("do", batch.pk, "approve") not in page
    told = browser.post(url("do", batch.pk, "approve"), {"seen": batch.snapshot}, follow=True).text
    assert "You edited it, so it is yours, too." in told


def test_what_changed_since_it_was_submitted_is_not_offered_to_be_approved(mia, contact_list, settings):
    settings.APPROVAL_ABOVE = 1
    batch = controls.submit(draft(mia, contact_list), actor=mia)
    make_contact(contact_list, "+13125550109", first="Dee")
    ann = Client()
    ann.force_login(make_user("ann", groups=("Approver",)))
    page = ann.get(url("change", batch.pk)).text
    assert url("do", batch.pk, "approve") not in page
    assert url("do", batch.pk, "reject") in page
    told = ann.post(url("do", batch.pk, "approve"), {"seen": batch.snapshot}, follow=True).text
    assert "so it is a draft again and not approved" in told


def test_times_name_their_zone(client, mia, contact_list):
    contact_list.unit.time_zone = "America/Chicago"
    contact_list.unit.save()
    there = (clock.now() + timedelta(days=30)).astimezone(ZoneInfo("America/Chicago"))
    begin, end = there.replace(hour=9, minute=7), there.replace(hour=17, minute=0)
    batch = draft(mia, contact_list, send_at=begin.astimezone(UTC), expires_at=end.astimezone(UTC))
    page = client.get(url("change", batch.pk)).text
    day = formats.date_format(there, "DATE_FORMAT")
    assert f"{day}, 09:07 (America/Chicago)" in page
    assert f"{day}, 17:00 (America/Chicago)" in page


@pytest.mark.parametrize("number", [3, 60])
def test_the_price_of_the_page_does_not_grow_with_the_people(
    client, mia, contact_list, django_assert_max_num_queries, number
):
    for place in range(number):
        make_contact(contact_list, f"+131255502{place:02}", first="Student")
    batch = draft(mia, contact_list)
    client.get(url("change", batch.pk))
    with django_assert_max_num_queries(32):
        client.get(url("change", batch.pk))
    with django_assert_max_num_queries(16):
        client.get(url("people", batch.pk, "will_send"))
    assert Batch.objects.count() == 1
