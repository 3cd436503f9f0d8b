"""What takes a second person, in a real Chromium by the Tab key alone and without a script: approving, sending again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from messaging import controls
from messaging.models import Attempt, Batch, Message
from messaging.statuses import BatchState, ChunkState, MessageState
from messaging.tasks import drain_all
from messaging.tests.composed import begin, compose, draft, students
from smsportal import clock
from smsportal.tests.test_browser import Desk, desk, staff  # noqa: F401 — fixtures
from smsportal.tests.world import make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FOCUSED = "(document.activeElement.innerText || document.activeElement.labels?.[0]?.innerText || '').trim()"

RINGED = (
    "each => [getComputedStyle(each).outlineStyle, getComputedStyle(each).boxShadow].some((ring) => ring !== 'none')"
)


@pytest.fixture
def bare(desk) -> Iterator[Desk]:  # noqa: F811
    """The same page, without a script."""
    page = desk.page
    look = page.context.browser.new_context(
        viewport=page.viewport_size, java_script_enabled=False, color_scheme="light"
    )
    made = Desk(look.new_page(), desk.base)
    made.page.set_default_timeout(15_000)
    yield made
    look.close()


@pytest.fixture
def alex(staff):  # noqa: F811
    return make_user("alex", units=[staff.home()], groups=("Approver",))


def tab_to(desk: Desk, name: str, most: int = 60) -> None:  # noqa: F811
    """Press Tab until what is called `name` has the focus, which must be seen."""
    met = []
    for _ in range(most):
        desk.page.keyboard.press("Tab")
        met.append(desk.page.evaluate(FOCUSED))
        if re.fullmatch(rf"(\w+\n)?{re.escape(name)}.*(\n\w+)?", met[-1]):  # beside the name of an icon
            here = desk.page.locator(":focus")
            expect(here).to_be_in_viewport()
            assert here.evaluate(RINGED), name
            return
    pytest.fail(f"Tab never came to “{name}”, but to {met}")


def enter(desk: Desk) -> None:  # noqa: F811
    with desk.page.expect_navigation():
        desk.page.keyboard.press("Enter")
    desk.look()


def follow(desk: Desk, *names: str) -> None:  # noqa: F811
    for name in names:
        tab_to(desk, name)
        enter(desk)


def sign_in(desk: Desk, username: str) -> None:  # noqa: F811
    desk.page.context.clear_cookies()
    desk.page.goto(f"{desk.base}/admin/")
    if desk.page.evaluate("document.activeElement.name") != "username":
        tab_to(desk, "Username")
    desk.page.keyboard.type(username)
    tab_to(desk, "Password")
    desk.page.keyboard.type("a long password")
    enter(desk)


def test_a_colleague_approves_what_another_submitted(bare, alex, staff, settings):  # noqa: F811
    settings.APPROVAL_ABOVE = 1
    controls.submit(draft(students(3)), actor=staff)
    sign_in(bare, "mia")
    tab_to(bare, "Log out")  # on a phone, too, where the menu opens by a script
    sign_in(bare, "mia")
    follow(bare, "Moved")
    bare.sees("Nobody approves their own")
    assert bare.page.get_by_role("button", name="Approve").count() == 0
    sign_in(bare, "alex")
    follow(bare, "Batches", "Moved", "Approve")
    bare.sees("Approved, exactly as shown here")
    assert Batch.objects.get().approver == alex


def test_a_text_of_unknown_fate_is_sent_again_after_a_quarter_of_an_hour(bare, alex, staff, twin):  # noqa: F811
    batch = compose(begin(draft(students(3))))
    Attempt.objects.create(chunk=batch.chunks.get(), fence=1, texts=3, outcome="unknown")
    batch.messages.update(state=MessageState.UNKNOWN, attempt=1)
    batch.chunks.update(state=ChunkState.UNKNOWN)
    Batch.objects.update(state=BatchState.FINISHED, finished_at=clock.now(), author=staff)
    sign_in(bare, "alex")
    follow(bare, "Moved", "Send all of them again")
    bare.sees("can be sent again only after")
    follow(bare, "Send all of them again")
    bare.sees("wait until")
    follow(bare, "Show the unknown texts", "(212) 555-0100", "Send it again")
    bare.sees("so it can be sent again only after")
    follow(bare, "Send it again")
    bare.sees("wait until")
    Attempt.objects.update(created_at=clock.now() - timedelta(minutes=16))
    follow(bare, "Send it again", "Send it again")
    bare.sees("It is being sent again")
    follow(bare, "The batch", "Send all of them again", "Send all of them again")
    bare.sees("2 texts are being sent again")
    drain_all()
    assert set(Message.objects.values_list("state", "attempt")) == {(MessageState.ACCEPTED, 2)}
