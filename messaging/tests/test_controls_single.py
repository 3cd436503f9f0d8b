"""One text to one number, a test to oneself, templates and their versions."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from messaging import controls, templating
from messaging.models import Batch, Message, Sender, Template
from messaging.tests.composed import TEXT, balanced
from smsportal import clock
from smsportal.problems import Changed, Conflict, Wrong
from smsportal.tests.world import make_account, make_contact, make_list, make_number, make_unit, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def any_hour(settings):
    settings.QUIET_HOURS = ""


def single(**more):
    usual = {"actor": None, "unit": make_unit(), "account": make_account(), "sender": "+13125550190"}
    return controls.send_single(**{**usual, "to": "(312) 555-0101", "text": "See you at three.", **more})


def test_a_single_text_is_a_running_batch_of_one():
    contact = make_contact(make_list(), "+13125550101")
    sam = make_user("sam")
    message = single(actor=sam)
    batch = message.batch
    assert (message.number.e164, message.text, message.state, message.segments) == (
        "+13125550101",
        "See you at three.",
        "ready",
        1,
    )
    assert (message.contact, message.chunk.size, message.chunk.not_before) == (contact, 1, None)
    assert (batch.single, batch.state, batch.author, batch.name) == (True, "running", sam, "Text to (312) 555-0101")
    assert batch.operator == "advising@example.edu"
    assert balanced(batch)


def test_a_single_text_is_held_in_quiet_hours(settings):
    now = clock.now()
    there = now.astimezone(ZoneInfo("America/Chicago"))  # of the number, whatever the unit's zone
    settings.QUIET_HOURS = f"{there - timedelta(hours=1):%H:%M}-{there + timedelta(hours=2):%H:%M}"
    message = single()
    assert message.chunk.zones == "America/Chicago"
    assert (message.state, message.reason) == ("held", "quiet_hours")
    assert message.chunk.not_before > now
    assert balanced(message.batch)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"to": "555-0101"}, "to"),
        ({"to": "12"}, "to"),
        ({"to": ""}, "to"),
        ({"text": " "}, "text"),
        ({"text": "x" * 1601}, "text"),
        ({"text": "Hi {{First_Name}}"}, "text"),
        ({"sender": "Registrar"}, "sender"),
    ],
)
def test_a_single_text_with_a_mistake_is_refused_by_field(given, field):
    with pytest.raises(Wrong) as refused:
        single(**given)
    assert list(refused.value.errors) == [field]
    assert not Batch.objects.exists()


def test_a_single_text_from_a_foreign_sender_is_refused():
    Sender.objects.create(account=make_account(), address="+13125550180")
    with pytest.raises(Wrong, match="There are: \\+13125550180"):
        single()


def test_nobody_who_opted_out_gets_a_single_text():
    make_number("+13125550101", opted_out=True)
    with pytest.raises(Conflict, match=r"\(312\) 555-0101 opted out"):
        single()
    assert not Message.objects.exists()


# --- templates -------------------------------------------------------------------------------------------------------
def template(**more):
    return templating.create_template(**{"actor": None, "unit": make_unit(), "name": "Moved", "text": TEXT, **more})


def test_a_new_wording_is_a_new_version():
    moved = template()
    templating.change_template(moved, actor=make_user("sam"), text="Hi {{First_Name|there}}", version=1)
    assert [(each.version, each.text) for each in moved.versions.all()] == [(2, "Hi {{First_Name|there}}"), (1, TEXT)]
    assert moved.newest().author.username == "sam"


def test_the_same_wording_is_no_new_version_and_a_name_may_change():
    moved = template()
    templating.change_template(moved, actor=None, text=TEXT, name="Class moved")
    assert (moved.newest().version, Template.objects.get().name) == (1, "Class moved")


def test_two_people_do_not_overwrite_each_other():
    moved = template()
    templating.change_template(moved, actor=None, text="First", version=1)
    with pytest.raises(Changed):
        templating.change_template(moved, actor=None, text="Second", version=1)
    assert moved.newest().text == "First"


@pytest.mark.parametrize(
    ("given", "field"),
    [({"name": ""}, "name"), ({"name": "Taken"}, "name"), ({"text": " "}, "text"), ({"text": "{{"}, "text")],
)
def test_a_template_with_a_mistake_is_refused_by_field(given, field):
    template(name="Taken")
    moved = template()
    for attempt in (
        lambda: template(**{"name": "New", **given}),
        lambda: templating.change_template(moved, actor=None, **given),
    ):
        with pytest.raises(Wrong) as refused:
            attempt()
        assert list(refused.value.errors) == [field]
    assert Template.objects.count() == 2


@pytest.mark.parametrize(
    ("text", "segments"), [("Hi", 1), ("Hi {{A}}", 1), ("{{A|" + "x" * 161 + "}}", 2), ("”" * 71, 2)]
)
def test_a_template_tells_its_least_segments(text, segments):
    assert templating.segments(text) == segments


def test_a_number_each_text_to_which_costs_extra_is_refused():
    with pytest.raises(Wrong, match="Premium-rate numbers"):
        controls.send_single(
            actor=None, unit=make_unit(), account=make_account(), sender="+13125550190", to="900-555-0100", text="Hi"
        )
    assert not Message.objects.exists()
