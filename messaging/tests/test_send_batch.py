"""`manage.py send_batch`: previews, drafts, tests, sends and waits; refuses in sentences."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from contacts.models import Segment
from messaging import sending, templating
from messaging.management import following
from messaging.models import Batch, Heartbeat
from messaging.serializers.previews import PreviewSerializer, SampleSerializer
from messaging.statuses import BatchState
from messaging.tasks import drain_all
from messaging.tests.composed import TEXT, students
from smsportal import clock
from smsportal.tests.world import fiction, make_account, make_batch, make_list, make_unit, make_user

pytestmark = pytest.mark.django_db
FROM = "+13125550190"
ANYBODY = [{"field": "Phone_Number", "test": "is_not_blank", "value": ""}]


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""


def run(capsys, *more, lists=("Fall freshmen",), text=TEXT, **options):
    words = () if text is None else ("--text", text)
    call_command("send_batch", *lists, *words, "--sender", FROM, *more, **options)
    return capsys.readouterr().out.rstrip()


def test_it_previews_and_writes_a_draft(capsys):
    students(3)
    said = run(capsys)
    assert "Dear Student 0, class is moved." in said
    assert "Look at this:" not in said
    assert said.splitlines()[0].split() == ["Contacts", "in", "the", "lists", "and", "segments", "3"]
    assert said.endswith(f"{Batch.objects.get().uuid} Fall freshmen: Draft")


def test_the_preview_comes_as_json_when_asked(capsys):
    students(3)
    seen = json.loads(run(capsys, "--json", text="Dear {{First_Name}}"))
    assert (seen["waterfall"]["will_send"], seen["samples"][0]["text"]) == (3, "Dear Student 0")
    assert set(seen["samples"][0]) == set(SampleSerializer().fields)  # no key of our own tables
    assert set(seen) == set(PreviewSerializer().fields)
    assert any("STOP" in warning for warning in seen["warnings"])


@pytest.mark.parametrize("named", ["Advising", "advising ", "Advising (+13125550180)", "(312) 555-0180"])
def test_a_sender_is_named_as_staff_see_it(capsys, named):
    account = students(1).account
    account.senders.create(address="+13125550180", label="Advising")
    run(capsys, "--sender", named)
    assert Batch.objects.get().sender == "+13125550180"


def test_a_sender_that_is_none_makes_no_draft_and_the_others_are_told_with_their_labels(capsys):
    account = students(1).account
    for number, label in (("+13125550180", "Advising"), ("+13125550181", "Advising"), ("+13125550182", "")):
        account.senders.create(address=number, label=label)
    there = r"Advising \(\+13125550180\), Advising \(\+13125550181\)"
    with pytest.raises(CommandError, match=rf"“Nobody” is not a sender of .*\. There are: {there}, \+13125550182\."):
        run(capsys, "--sender", "Nobody")
    with pytest.raises(CommandError, match=f"Several senders .* give the number of one of these: {there}"):
        run(capsys, "--sender", "Advising")
    assert not Batch.objects.exists()


def test_it_starts_when_told_to(capsys):
    contact_list = students(3)
    make_user("sam", groups=("Sender",))
    more = ("--yes", "--user", "sam", "--name", "Now", "--account", "ocelot")
    said = run(capsys, *more, lists=(str(contact_list.uuid),))
    batch = Batch.objects.get()
    assert said.endswith(f"{batch.uuid} Now: Being prepared")
    assert (batch.state, batch.author.username) == (BatchState.EXPANDING, "sam")


def test_a_large_batch_is_left_to_be_approved(capsys, settings):
    settings.APPROVAL_ABOVE = 2
    students(3)
    assert run(capsys, "--yes").endswith("Waiting for approval")
    with pytest.raises(CommandError, match="a colleague must approve it"):
        run(capsys, "--yes", "--wait")


def test_several_lists_and_segments_are_one_audience(capsys):
    freshmen, seniors = students(3), students(2, "Seniors", start=3)
    Segment.objects.create(
        unit=freshmen.unit, contact_list=freshmen, name="Two",
        conditions=[{"field": "First_Name", "test": "is", "value": "Student 2"}],
    )  # fmt: skip
    run(capsys, "--segment", "Fall freshmen: Two", lists=("Seniors",))
    batch = Batch.objects.get()
    assert (list(batch.lists.all()), [str(each) for each in batch.segments.all()]) == (
        [seniors],
        ["Fall freshmen: Two"],
    )
    assert batch.name == "Seniors, Fall freshmen: Two"
    assert "Will be sent                                                             1" in run(
        capsys, "--segment", "Two", lists=()
    )


def test_a_template_is_pinned_and_a_text_may_come_from_stdin(capsys):
    contact_list = students(1)
    templating.create_template(actor=None, unit=contact_list.unit, name="Hello", text="Registrar says hello. STOP")
    run(capsys, "--template", "Hello", text=None)
    run(capsys, text="-", stdin=io.StringIO("Line one\nLine two – Registrar\n"))
    first, second = Batch.objects.order_by("pk")
    assert (first.text, first.template_version.version) == ("Registrar says hello. STOP", 1)
    assert second.text == "Line one\nLine two – Registrar"


def test_times_without_an_offset_are_the_units(capsys, time_machine):
    contact_list = students(1)
    contact_list.unit.time_zone = "America/Chicago"
    contact_list.unit.save()
    time_machine.move_to("2029-12-24T12:00Z")
    run(capsys, "--send-at", "2030-07-01T09:07", "--not-after", "2030-07-01T20:00:00+00:00")
    batch = Batch.objects.get()
    assert batch.send_at == datetime(2030, 7, 1, 14, 7, tzinfo=UTC)
    assert batch.expires_at == datetime(2030, 7, 1, 20, 0, tzinfo=UTC)


def test_a_test_goes_out_of_a_draft_that_stays_one(capsys, twin):
    students(2)
    assert "A test is on its way to (312) 555-0188." in run(capsys, "--test-to", "312-555-0188")
    drain_all()
    [sent] = twin.ocelot.sent
    assert (sent["e164"], sent["text"][:21]) == ("+13125550188", "[Test] Dear Student 0")
    assert Batch.objects.get(single=False).state == BatchState.DRAFT


# --- waiting ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def _at_work(monkeypatch, twin):
    """Somebody does the work whenever the command looks away."""
    monkeypatch.setattr(following.time, "sleep", lambda _: (drain_all(), twin.settle()))


@pytest.mark.usefixtures("_at_work")
def test_waiting_tells_how_far_it_is_and_ends_with_a_table(capsys):
    students(3)
    said = run(capsys, "--yes", "--wait")
    assert "Being prepared" in said
    assert "Finished: 3 of 3 done: 3 handed over" in said
    assert said.splitlines()[-3].split() == ["Accepted", "by", "the", "provider", "3"]


@pytest.mark.parametrize(
    ("batch_state", "state", "well"),
    [
        ("finished", "accepted", True),
        ("finished", "skipped", True),
        ("finished", "rejected", False),
        ("finished", "unknown", False),
        ("cancelled", "accepted", False),
    ],
)
def test_only_a_batch_that_was_handed_over_ended_well(batch_state, state, well):
    batch = make_batch(fiction(2))
    batch.messages.update(state=state)
    Batch.objects.update(state=batch_state)
    assert following.follow(batch, lambda _: None) is well


@pytest.mark.usefixtures("_at_work")
def test_with_json_everything_else_is_told_beside_it(capsys):
    students(3)
    call_command("send_batch", "Fall freshmen", "--text", TEXT, "--sender", FROM,
                 "--json", "--yes", "--wait", "--test-to", "312-555-0188")  # fmt: skip
    said = capsys.readouterr()
    assert json.loads(said.out)["waterfall"]["will_send"] == 3
    assert str(Batch.objects.get(single=False).uuid) in said.err
    assert "A test is on its way" in said.err
    assert "Finished: 3 of 3 done: 3 handed over" in said.err


@pytest.mark.usefixtures("_at_work")
def test_what_did_not_end_well_is_an_error_of_the_command(capsys, twin):
    students(2)
    twin.faults.add("reset_after", on="send")
    with pytest.raises(CommandError, match="the table says what did not"):
        run(capsys, "--yes", "--wait")


def test_waiting_for_a_paused_batch_says_why(capsys):
    students(2)
    run(capsys, "--yes")
    Batch.objects.update(state=BatchState.PAUSED, problem="Many texts fail.")
    with pytest.raises(CommandError, match=r"is paused: Many texts fail\. It is not waited for"):
        following.follow(Batch.objects.get(), lambda _: None)


@pytest.mark.parametrize(("ahead", "told"), [(("--send-at", "2026-12-01T09:00"), True), ((), False)])
def test_waiting_for_what_leaves_much_later_says_how_to_end_it(capsys, monkeypatch, time_machine, ahead, told):
    time_machine.move_to(datetime(2026, 11, 1, 15, tzinfo=UTC))
    students(1)

    def sleep(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(following.time, "sleep", sleep)
    with pytest.raises(CommandError, match="goes on by itself"):
        run(capsys, "--yes", "--wait", *ahead)
    said = capsys.readouterr().out
    assert ("Ctrl-C ends the waiting; the batch stays scheduled" in said) is told
    assert Batch.objects.get().state == BatchState.EXPANDING


def test_nobody_at_work_is_told_once(capsys, monkeypatch):
    students(1)
    run(capsys, "--yes")
    batch, said = Batch.objects.get(), []

    def sleep(_):
        if len(said) > 2:
            raise KeyboardInterrupt
        said.append("-")

    monkeypatch.setattr(following.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        following.follow(batch, said.append)
    assert [line for line in said if "start a worker" in line] == [
        "Nobody looks after composing and sending; start a worker: manage.py runworker"
    ]
    for lane in ("composing", "sending"):
        Heartbeat.objects.update_or_create(lane=lane, defaults={"at": clock.now()})
    assert following.unattended() == []


# --- what is wrong ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--account", "none"), "no account “none”"),
        (("--user", "none"), "no user “none”"),
        (("--send-at", "soon"), "--send-at is not a time; write it like 2026"),
        (("--send-at", "2030-02-30T09:00"), "--send-at is not a time"),
        (("--send-at", "2030-03-10T02:30"), "--send-at: There is no 02:30 on that day"),
        (("--send-at", "9999-12-31T23:59"), "--send-at: There is no year 9999"),
        (("--send-at", "9999-12-31T23:59-12:00"), "more than a year ahead"),
        (("--send-at", "0001-01-01T00:00+12:00"), "This moment has passed"),
        (("--not-after", "late"), "--not-after is not a time"),
        (("--not-after", "9999-12-31T23:59-12:00"), "more than a year ahead"),
        (("--operator", "nobody"), "e-mail address"),
        (("--segment", "none"), "No segment is called “none”"),
        (("--wait",), "add --yes"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(capsys, more, why):
    students(1)
    with pytest.raises(CommandError, match=why):
        run(capsys, *more)
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("groups", "more", "lacks"),
    [
        (("List manager",), (), "messaging.add_batch"),
        (("Approver",), ("--yes",), "messaging.add_batch and messaging.send_batch"),
        (("Administrator",), ("--test-to", "+13125550100"), "messaging.send_batch"),
    ],
)
def test_nobody_does_here_what_they_may_not_do_in_the_browser(capsys, groups, more, lacks):
    students(2)
    make_user("sam", groups=groups)
    with pytest.raises(CommandError, match=f"“sam” may not do this: .*{lacks}"):
        run(capsys, "--user", "sam", *more)
    assert not Batch.objects.exists()


def test_who_left_sends_nothing(capsys):
    students(2)
    make_user("sam", groups=("Sender",), is_active=False)
    with pytest.raises(CommandError, match="“sam” may not do this"):
        run(capsys, "--user", "sam", "--yes")


def test_lists_and_segments_of_other_units_are_not_there_for_a_person(capsys):
    theirs = students(2)
    Segment.objects.create(unit=theirs.unit, contact_list=theirs, name="All", conditions=ANYBODY)
    make_user("sam", units=[make_unit("Housing")], groups=("Sender",))
    for named in ("Fall freshmen", str(theirs.uuid)):
        with pytest.raises(CommandError, match=r"No list is called .* these names: none yet"):
            run(capsys, "--user", "sam", lists=(named,))
    with pytest.raises(CommandError, match=r"No segment is called “All”; .*: none yet"):
        run(capsys, "--user", "sam", "--segment", "All", lists=())
    assert not Batch.objects.exists()
    run(capsys, "--segment", "All")  # whoever has the console may do all


def test_a_template_of_another_unit_is_not_found(capsys):
    students(1)
    templating.create_template(actor=None, unit=make_unit("Housing"), name="Theirs", text="Hi")
    with pytest.raises(CommandError, match="has no template “Theirs”"):
        run(capsys, "--template", "Theirs", text=None)


def test_nobody_to_write_to_is_said(capsys):
    with pytest.raises(CommandError, match="at least one list or --segment"):
        run(capsys, lists=())


def test_it_does_not_guess_which_list_or_segment_is_meant(capsys):
    with pytest.raises(CommandError, match="No list is called “Fall freshmen”"):
        run(capsys)
    first = students(1)
    second = make_list("Seniors")
    for each in (first, second):
        Segment.objects.create(unit=each.unit, contact_list=each, name="All", conditions=ANYBODY)
    with pytest.raises(CommandError, match="Several segments are called “All”"):
        run(capsys, "--segment", "All", lists=())
    run(capsys, "--segment", "All", lists=("Fall freshmen",))
    make_list(account=make_account("other"))
    with pytest.raises(CommandError, match="give the id"):
        run(capsys)
    assert sending.send_next() is False
