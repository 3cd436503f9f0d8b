"""The page of a batch in a real Chromium: it keeps itself up to date, quietly, by keyboard, and without a script."""

from __future__ import annotations

from itertools import pairwise

import pytest
from django.core.cache import cache
from playwright.sync_api import expect

from messaging import controls
from messaging.models import Batch, Message
from messaging.statuses import BatchState, MessageState
from messaging.tasks import drain_all
from messaging.tests.composed import draft, students
from smsportal.providers.base import Delivery
from smsportal.tests.test_browser import Desk, desk, sign_in, staff  # noqa: F401 - fixtures
from smsportal.tests.world import fiction, make_batch

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def stopped_clock(desk):  # noqa: F811
    """The time of the pages that are opened from now on, which stands still until it is told to run; `asked` in them is
    when they asked for numbers."""
    desk.page.clock.install(time=0)
    desk.page.clock.pause_at(1)
    desk.page.add_init_script(
        """
        window.asked = [];
        const fetched = window.fetch;
        window.fetch = (url, ...how) => {
          if (String(url).includes("/numbers/")) asked.push(Date.now());
          return fetched(url, ...how);
        };"""
    )
    return desk.page.clock


@pytest.fixture(autouse=True)
def _no_old_look():
    cache.clear()


def test_a_start_is_undone_by_keyboard_while_the_seconds_run(desk, staff, settings):  # noqa: F811
    settings.UNDO_SECONDS = 60
    batch = controls.submit(draft(students(3)), actor=staff)
    sign_in(desk, "mia")
    desk.go(f"/admin/messaging/batch/{batch.pk}/do/start/")
    desk.press("button", "Start")
    desk.sees("Nothing has left yet")
    counting = desk.page.locator("[data-undo]")
    before = int(counting.inner_text())
    expect(counting).not_to_have_text(str(before))
    assert int(counting.inner_text()) < before
    desk.press("button", "Undo the start")
    desk.sees("Nothing has left.")
    assert Batch.objects.get().state == BatchState.APPROVED


def test_the_page_follows_the_batch_and_keeps_the_focus(desk, staff, twin):  # noqa: F811
    batch = make_batch(["+13125550151", *fiction(2)])
    sign_in(desk, "mia")
    desk.go(f"/admin/messaging/batch/{batch.pk}/change/")
    page = desk.page
    page.evaluate("window.stays = true")
    page.locator("#main").get_by_role("link", name="Messages").focus()
    drain_all()
    desk.sees("Finished")  # other buttons, other state; the page was never left
    assert page.evaluate("window.stays") is True
    assert page.evaluate("document.activeElement.innerText") == "Messages"
    twin.settle()
    drain_all()
    desk.sees("A landline")
    expect(page.locator(".drawn rect title").last).to_contain_text("arrived")
    rows = page.locator("[data-part=minutes] td")
    assert sum(int(each) for each in rows.all_inner_texts()) == 6  # three handed over, two arrived, one failed
    assert [each.inner_text() for each in page.get_by_role("status").all()[1:]] == ["Finished."]


def test_nothing_is_asked_any_more_once_nothing_can_change(desk, staff):  # noqa: F811
    batch = make_batch(fiction(2))
    Message.objects.update(state=MessageState.ACCEPTED, delivery=Delivery.DELIVERED)
    Batch.objects.update(state=BatchState.FINISHED)
    sign_in(desk, "mia")
    clock = stopped_clock(desk)
    desk.go(f"/admin/messaging/batch/{batch.pk}/change/")
    clock.run_for(60_000)
    assert desk.page.evaluate("asked") == []


def test_while_nothing_changes_it_asks_ever_less_often(desk, staff):  # noqa: F811
    batch = make_batch(fiction(2))
    answers = []
    desk.page.on("response", lambda got: answers.append(got.status) if "/numbers/" in got.url else None)
    sign_in(desk, "mia")
    clock = stopped_clock(desk)
    desk.go(f"/admin/messaging/batch/{batch.pk}/change/")
    while len(asked := desk.page.evaluate("asked")) < 5:
        clock.run_for(50)
    # Whatever an answer takes comes on top of the pause before the next question.
    gaps = [later - sooner for sooner, later in pairwise(asked)]
    assert [gap >= pause for gap, pause in zip(gaps, (2000, 3000, 4500, 6750), strict=True)] == [True] * 4, gaps
    assert answers[:4] == [200, 304, 304, 304]


def test_everything_works_without_a_script(desk, staff, settings):  # noqa: F811
    settings.UNDO_SECONDS = 60
    batch = controls.submit(draft(students(2)), actor=staff)
    plain = Desk(desk.page.context.browser.new_page(java_script_enabled=False), desk.base)
    plain.page.goto(f"{plain.base}/admin/")
    plain.page.get_by_label("Username").fill("mia")
    plain.page.get_by_label("Password").fill("a long password")
    plain.page.get_by_role("button", name="Log in").click()
    plain.page.goto(f"{plain.base}/admin/messaging/batch/{batch.pk}/do/start/")
    plain.page.get_by_role("button", name="Start", exact=True).click()
    shown = plain.page.locator("[data-undo]")
    first = int(shown.inner_text())
    expect(shown).not_to_have_text(str(first), timeout=10_000)  # loaded again by itself
    plain.page.get_by_role("button", name="Undo the start").click()
    expect(plain.page.locator("#main")).to_contain_text("Nothing has left.")
    assert plain.complaints == []
