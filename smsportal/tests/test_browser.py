"""The staff's whole way in a real Chromium, at a desk and on a phone, in light and in dark, by keyboard where it can be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections
from playwright.sync_api import Page, expect, sync_playwright

from messaging.models import Batch, Sender
from messaging.tasks import drain_all
from smsportal.tests.world import make_account, make_unit, make_user

CHROMIUM = os.environ.get("TEST_CHROMIUM", "/usr/bin/chromium")
DESK, PHONE = (1280, 900), (390, 844)
CSV = """\
Phone Number,First Name,Last Name,Home Town
(312) 555-0101,Bo,Lee,Erie
(312) 555-0102,Ana,Ruiz,
(312) 555-0151,Max,Hall,Troy
312-555-HELP,Zoë,Diaz,Salem
"""
# What a page's own parts lack to be understood without seeing them.
UNNAMED = """() => [...document.querySelectorAll(
    "#main .portal :is(a, button, select, textarea, input:not([type=hidden]), summary)")]
  .filter((each) => each.checkVisibility() && !(each.innerText || "").trim() && !each.labels?.length
    && !each.getAttribute("aria-label") && !each.getAttribute("aria-labelledby"))
  .map((each) => each.outerHTML)"""

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class Desk:
    """One page in the browser, looked over at every step."""

    def __init__(self, page: Page, base: str) -> None:
        self.page, self.base = page, base
        self.complaints: list[str] = []
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", self._failed)

    def _failed(self, request) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):  # a page that is left stops its requests
            self.complaints.append(f"{request.url}: {request.failure}")

    def go(self, path: str) -> None:
        self.page.goto(f"{self.base}{path}")
        self.look()

    def press(self, role: str, name: str) -> None:
        """Press a link or a button with the keyboard, and wait for the page it leads to."""
        element = self.page.locator("#main").get_by_role(role, name=name).first
        element.focus()
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")
        self.look()

    def sees(self, text: str) -> None:
        expect(self.page.locator("#main")).to_contain_text(text, timeout=15_000)
        self.look()

    def look(self) -> None:
        """Every page: no sideways scrolling, the banner, names for everything, no complaint of the browser."""
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(wider) <= 0, f"{self.page.url} is wider than the window"
        expect(self.page.get_by_role("status").filter(has_text="Sandbox: no real text is sent")).to_be_visible()
        assert self.page.evaluate(UNNAMED) == [], self.page.url
        assert self.complaints == [], self.page.url


@pytest.fixture(params=[(*DESK, "light"), (*PHONE, "dark")], ids=["desk", "phone"])
def desk(request, live_server, monkeypatch, settings) -> Iterator[Desk]:
    if not Path(CHROMIUM).exists():
        sentence = f"There is no Chromium at {CHROMIUM}; install it, or name it in TEST_CHROMIUM."
        (pytest.fail if os.environ.get("SMSPORTAL_REQUIRE_SERVICES") == "1" else pytest.skip)(sentence)
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright's loop runs in this thread
    settings.QUIET_HOURS = ""
    settings.UNDO_SECONDS = 0
    width, height, scheme = request.param
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.set_default_timeout(15_000)
        yield Desk(page, live_server.url)
        browser.close()
        connections.close_all()  # those of Playwright's loop: outside it, nobody could close them any more


def sign_in(desk: Desk, username: str) -> None:
    desk.go("/admin/")
    desk.page.get_by_label("Username").fill(username)
    desk.page.get_by_label("Password").fill("a long password")
    with desk.page.expect_navigation():
        desk.page.keyboard.press("Enter")
    desk.look()


@pytest.fixture
def staff():
    Sender.objects.create(account=make_account(), address="+13125550190", label="Advising")
    return make_user("mia", units=[make_unit()], groups=("List manager", "Sender"))


def make_the_list(desk: Desk) -> None:
    desk.go("/admin/contacts/contactlist/")
    desk.press("link", "Add contact list")
    desk.page.fill("#id_name", "Fall freshmen")
    desk.page.get_by_role("link", name="Add another Field of this list").click()
    desk.page.fill("#id_own_fields-0-display_name", "Home Town")
    desk.press("button", "Save and continue editing")


def import_the_file(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "students.csv"
    file.write_text(CSV, encoding="utf-8")
    desk.press("link", "Import a file")
    desk.page.locator("#id_file").set_input_files(file)
    desk.press("button", "Upload and check")
    desk.sees("The file is being checked")
    drain_all()
    desk.sees("1 refused row")
    desk.page.get_by_label("Phone Number of row 5").fill("312-555-0104")
    desk.press("button", "Save row 5")
    desk.sees("Row 5 is good now")
    desk.press("link", "Apply the good rows")
    desk.sees("4 contacts are added to Fall freshmen")
    desk.press("button", "Apply the good rows")
    drain_all()
    desk.sees("The import is applied")


def sync_the_list(desk: Desk) -> None:
    desk.press("link", "The list")
    desk.press("button", "Plan a sync")
    desk.sees("it is made there first")
    desk.press("button", "Sync now")
    drain_all()
    desk.sees("The list and the provider are in step")


def send_the_batch(desk: Desk, twin) -> None:
    desk.press("link", "The list")
    desk.press("link", "Write to this list")
    page = desk.page
    page.locator("#id_name").fill("Welcome")
    page.locator("#id_text").fill("Hello {{First_Name|there}}, the Registrar here. Reply STOP to opt out. ")
    page.get_by_role("button", name="Home Town").click()
    desk.sees("segment")
    page.locator("#id_sender").select_option(index=1)
    desk.press("button", "Save and preview")
    desk.sees("1 person has no Home_Town")
    desk.sees("Hello Bo, the Registrar here. Reply STOP to opt out. Erie")
    desk.press("button", "Submit")
    desk.press("link", "Start")
    desk.sees("3 texts leave at once")
    desk.press("button", "Start")
    desk.sees("Being prepared")
    drain_all()
    twin.settle()
    drain_all()
    desk.sees("The number is a landline")  # the page found out by itself
    assert Batch.objects.get().state == "finished"


def test_staff_import_sync_send_and_watch(desk, staff, twin, tmp_path):
    sign_in(desk, "mia")
    desk.sees("First steps")
    make_the_list(desk)
    import_the_file(desk, tmp_path)
    sync_the_list(desk)
    send_the_batch(desk, twin)


def test_every_list_fits_the_window(desk, staff):
    sign_in(desk, "mia")
    for path in ("contacts/contactlist", "contacts/contact", "contacts/import", "contacts/syncrun", "messaging/batch",
                 "messaging/message", "messaging/template", "messaging/conversation", "contacts/phonenumber",
                 "contacts/consentevent", "messaging/sender"):  # fmt: skip
        desk.go(f"/admin/{path}/")


def test_menu_filters_and_sign_out_work_by_keyboard(desk, staff):
    sign_in(desk, "mia")
    desk.go("/admin/messaging/message/")
    page = desk.page
    page.locator("#changelist").get_by_role("button", name="Filters").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#changelist-filter")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#changelist-filter")).to_be_hidden()
    if page.viewport_size["width"] < 1280:
        page.locator("#header-inner").get_by_role("button", name="Show or hide the menu").focus()
        page.keyboard.press("Space")
    page.get_by_role("button", name="Your account").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Log out").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert desk.complaints == []
