"""Writing and previewing a batch in a real Chromium: by keyboard at a desk and on a phone, and without a script."""

from __future__ import annotations

import pytest
from django.test import Client
from playwright.sync_api import expect

from contacts.models import Segment
from messaging import templating
from messaging.models import Batch
from messaging.tests.composed import draft
from smsportal.tests.test_browser import Desk, desk, sign_in, staff  # noqa: F401 — fixtures
from smsportal.tests.world import make_contact, make_list

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def lists(staff):  # noqa: F811
    freshmen, seniors = make_list(), make_list("Seniors")
    freshmen.own_fields.create(name="Home_Town", display_name="Home town")
    make_contact(freshmen, "+13125550100", first="Ada")
    make_contact(freshmen, "+13125550101", first="")
    make_contact(seniors, "+13125550102", first="Bo")
    somebody = [{"field": "First_Name", "test": "is_not_blank", "value": ""}]
    Segment.objects.create(unit=freshmen.unit, contact_list=freshmen, name="Named", conditions=somebody)
    templating.create_template(
        actor=staff, unit=freshmen.unit, name="Welcome", text="Hi {{First_Name|there}}, welcome!"
    )
    return freshmen, seniors


def press(desk: Desk, name: str) -> None:  # noqa: F811
    """Press a button that stays on the page with the keyboard."""
    desk.page.locator("#main").get_by_role("button", name=name, exact=True).focus()
    desk.page.keyboard.press("Enter")


def test_a_text_is_made_plain_a_template_changed_and_the_people_looked_at(desk, lists):  # noqa: F811
    sign_in(desk, "mia")
    desk.go("/admin/messaging/batch/add/")
    page = desk.page
    words, measure = page.locator("#id_text"), page.locator("#measure")
    page.get_by_label("Fall freshmen", exact=True).check()
    expect(page.get_by_role("button", name="Home Town")).to_be_visible()
    page.get_by_label("Seniors").check()
    expect(page.get_by_role("button", name="Home Town")).to_be_hidden()  # not all of them have it
    words.fill("Hi {{First_Name}}, it’s move-in day 🎉 ")
    expect(measure).to_contain_text("party popper, which has no plain equal")
    press(desk, "Use plain characters")
    expect(words).to_have_value("Hi {{First_Name}}, it's move-in day 🎉 ")
    press(desk, "Also leave the others out")
    expect(words).to_have_value("Hi {{First_Name}}, it's move-in day ")
    expect(measure).to_contain_text("GSM-7")
    page.locator("#id_template").select_option(label="Welcome (version 1)")
    expect(words).to_be_hidden()
    expect(page.locator("#chosen")).to_contain_text("Hi {{First_Name|there}}, welcome!")
    press(desk, "Change its words for this batch only")
    expect(words).to_have_value("Hi {{First_Name|there}}, welcome!")
    words.fill("Hi {{First_Name}}, welcome!")
    page.locator("#id_name").fill("Welcome")
    page.locator("#id_name").press("Enter")  # as the button would, not as one of those beside the text
    desk.sees("Each line leads to its people")
    desk.press("link", "A placeholder has no value")
    desk.sees("Fill it in at the contact")
    desk.press("link", "(312) 555-0101")
    desk.sees("Not sent to this person")


def test_all_of_it_works_without_a_script(desk, lists):  # noqa: F811
    signed_in = Client()
    signed_in.force_login(lists[0].unit.members.get(username="mia"))
    session = {"name": "sessionid", "value": signed_in.cookies["sessionid"].value, "url": desk.base}
    context = desk.page.context.browser.new_context(viewport=desk.page.viewport_size, java_script_enabled=False)
    context.add_cookies([session])
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.goto(f"{desk.base}/admin/messaging/batch/add/")
    page.get_by_label("Fall freshmen: Named").check()
    page.locator("#id_name").fill("Welcome")
    page.locator("#id_text").fill("It’s {{First_Name}} 🎉")
    page.get_by_role("button", name="Count the segments").click()
    expect(page.locator("#measure")).to_contain_text("right single quotation mark")
    page.get_by_role("button", name="Also leave the others out").click()
    expect(page.locator("#id_text")).to_have_value("It's {{First_Name}}")
    page.locator("form#compose").get_by_role("button", name="Save and preview").click()
    expect(page.locator("#main")).to_contain_text("It's Ada")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("#main")).to_contain_text("Ready to be started")
    context.close()
    assert Batch.objects.get().segments.get().name == "Named"


def test_a_name_without_a_blank_in_it_makes_no_page_wider_than_the_window(desk, staff):  # noqa: F811
    people = make_list("People")
    make_contact(people, "+13125550101", first="W" * 60)
    batch = draft(people, name="N" * 60)
    sign_in(desk, "mia")
    desk.go(f"/admin/messaging/batch/{batch.pk}/change/")  # which looks at the width
    desk.sees("W" * 60)
