"""One text to one number, templates and their versions, and the command that sends from a terminal."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from messaging import controls, templating
from messaging.models import Batch, Message, Sender, Template
from messaging.statuses import BatchState
from messaging.tests.composed import TEXT, balanced, students
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
    now, unit = clock.now(), make_unit()
    unit.time_zone = "UTC"
    settings.QUIET_HOURS = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=2):%H:%M}"
    message = single(unit=unit)
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


# --- the command -----------------------------------------------------------------------------------------------------
def run(capsys, *more, name="Fall freshmen"):
    call_command("send_batch", name, "--text", TEXT, "--sender", "+13125550190", *more)
    shown, _, line = capsys.readouterr().out.rstrip().rpartition("\n")
    return json.loads(shown), line


def test_the_command_previews_and_writes_a_draft(capsys):
    students(3)
    shown, line = run(capsys)
    assert shown["waterfall"]["will_send"] == 3
    assert shown["samples"][0]["text"].startswith("Dear Student 0")
    assert line == f"{Batch.objects.get().uuid} Fall freshmen: Draft"


def test_the_command_sends_when_told_to(capsys):
    contact_list = students(3)
    make_user("sam")
    _, line = run(capsys, "--yes", "--user", "sam", "--name", "Now", "--account", "ocelot", name=str(contact_list.uuid))
    batch = Batch.objects.get()
    assert line == f"{batch.uuid} Now: Being prepared"
    assert (batch.state, batch.author.username) == (BatchState.EXPANDING, "sam")


def test_the_command_leaves_a_large_batch_to_be_approved(capsys, settings):
    settings.APPROVAL_ABOVE = 2
    students(3)
    assert run(capsys, "--yes")[1].endswith("Waiting for approval")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--account", "none"), "no account “none”"),
        (("--user", "none"), "no user “none”"),
        (("--send-at", "soon"), "not a time"),
        (("--operator", "nobody"), "e-mail address"),
    ],
)
def test_the_command_says_what_is_wrong(capsys, more, why):
    students(1)
    with pytest.raises(CommandError, match=why):
        run(capsys, *more)
    assert not Batch.objects.exists()


def test_the_command_does_not_guess_which_list_is_meant(capsys):
    with pytest.raises(CommandError, match="No list is called “Fall freshmen”"):
        run(capsys)
    students(1)
    make_list(account=make_account("other"))
    with pytest.raises(CommandError, match="give the id"):
        run(capsys)
