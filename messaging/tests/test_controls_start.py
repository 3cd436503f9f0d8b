"""What an approval is bound to, the count that is typed, the moment to take a start back, and forms that are sent twice."""

from datetime import timedelta

import pytest

from contacts.models import PhoneNumber, Segment
from messaging import composing, controls
from messaging.models import Batch, Message
from messaging.statuses import BatchState
from messaging.tests.composed import TEXT, begin, compose, draft, students
from smsportal import clock
from smsportal.problems import Changed, Conflict, Wrong
from smsportal.tests.world import fiction, make_account, make_contact, make_list, make_unit, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def any_hour(settings):
    settings.QUIET_HOURS = ""


@pytest.fixture
def sam():
    return make_user("sam")


@pytest.fixture
def alex():
    return make_user("alex")


def submitted(*lists, **more):
    return controls.submit(draft(*(lists or [students(2)]), **more), actor=None)


# --- what an approval is bound to ------------------------------------------------------------------------------------
def another_person(batch):
    make_contact(batch.lists.get(), fiction(1, 40)[0])


def another_name(batch):
    batch.lists.get().contacts.update(first_name="Someone else")


def another_text(batch):
    Batch.objects.update(text="Other words. Reply STOP to opt out. Registrar")


def another_time(batch):
    Batch.objects.update(send_at=clock.now() + timedelta(days=1))


def another_end(batch):
    Batch.objects.update(expires_at=clock.now() + timedelta(days=9))


def another_sender(batch):
    Batch.objects.update(sender="+13125550191")


def another_title(batch):
    Batch.objects.update(name="Fire drill")


CHANGES = [another_title, another_person, another_name, another_text, another_time, another_end, another_sender]


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_after_the_approval_voids_it_at_the_start(change, sam, alex, settings):
    settings.APPROVAL_ABOVE = 0
    batch = controls.approve(controls.submit(draft(students(2)), actor=sam), actor=alex)
    change(batch)
    batch.refresh_from_db()
    with pytest.raises(Conflict, match="so it is a draft again") as refused:
        controls.start(batch, actor=sam)
    assert refused.value.allowed == ["edit", "submit", "cancel"]
    batch = Batch.objects.get()
    assert (batch.state, batch.snapshot, batch.approver) == (BatchState.DRAFT, "", None)


@pytest.mark.parametrize("change", [another_title, another_person, another_name, another_text])
def test_any_change_after_the_start_voids_it_when_it_is_prepared(change):
    batch = begin(draft(students(2)))
    change(batch)
    compose(batch)
    assert batch.state == BatchState.DRAFT
    assert not Message.objects.exists()


def test_a_batch_that_grew_beyond_what_goes_without_approval_is_looked_at_again(settings):
    """The same people and words, but somebody opted in since it was submitted."""
    settings.APPROVAL_ABOVE = 2
    batch = draft(students(3))
    PhoneNumber.objects.filter(e164=fiction(1)[0]).update(opted_out=True)
    controls.start(controls.submit(batch, actor=None), actor=None)
    PhoneNumber.objects.update(opted_out=False)
    assert compose(batch).state == BatchState.DRAFT
    assert "3 people by now, so a colleague must approve it" in batch.problem
    assert not Message.objects.exists()
    assert controls.submit(batch, actor=None).state == BatchState.PENDING_APPROVAL


def test_what_did_not_change_stays_approved():
    assert controls.start(submitted(), actor=None).state == BatchState.EXPANDING  # the control of the two tests above


@pytest.mark.parametrize("change", [{"text": "Other words. Registrar"}, {"name": "Fire drill"}])
def test_nobody_approves_what_was_submitted_anew_since_they_looked(sam, alex, settings, change):
    settings.APPROVAL_ABOVE = 0
    batch = controls.submit(draft(students(2)), actor=sam)
    seen = batch.snapshot
    controls.edit(batch, actor=sam, **change)
    controls.submit(batch, actor=sam)
    with pytest.raises(Changed, match="Look at it again"):
        controls.approve(batch, actor=alex, seen=seen)
    assert Batch.objects.get().state == BatchState.PENDING_APPROVAL
    controls.approve(batch, actor=alex, seen=batch.snapshot)
    with pytest.raises(Changed, match="Look at it again"):
        controls.start(batch, actor=sam, seen=seen)
    assert controls.start(batch, actor=sam, seen=batch.snapshot).state == BatchState.EXPANDING


@pytest.mark.parametrize("change", CHANGES)
def test_nobody_approves_what_is_not_the_submitted_any_more(change, sam, alex, settings):
    settings.APPROVAL_ABOVE = 0
    batch = controls.submit(draft(students(2)), actor=sam)
    change(batch)
    batch.refresh_from_db()
    with pytest.raises(Conflict, match=r"not approved\. Look at the preview and submit it again") as refused:
        controls.approve(batch, actor=alex, seen=batch.snapshot)
    assert refused.value.allowed == ["edit", "submit", "cancel"]
    batch = Batch.objects.get()
    assert (batch.state, batch.snapshot, batch.approver, batch.problem) == (
        BatchState.DRAFT, "", None, refused.value.detail
    )  # fmt: skip
    controls.submit(batch, actor=sam)
    assert controls.approve(batch, actor=alex).state == BatchState.APPROVED


@pytest.mark.parametrize(
    "change",
    [{"text": "Other words. Registrar"}, {"lists": "Others"}, {"send_at": clock.now() + timedelta(days=1)}],
    ids=["text", "audience", "time"],
)
def test_nobody_approves_what_they_changed_whoever_edits_and_submits_it_after_them(sam, alex, settings, change):
    settings.APPROVAL_ABOVE = 0
    batch = draft(students(2))
    change = {name: [students(2, given)] if name == "lists" else given for name, given in change.items()}
    controls.edit(batch, actor=alex, **change)
    controls.submit(controls.edit(batch, actor=sam, name="Fire drill"), actor=sam)
    for verb in (controls.approve, controls.reject):
        with pytest.raises(Conflict, match=r"^You edited it, so it is yours, too\. Nobody approves") as refused:
            verb(batch, actor=alex)
        assert refused.value.allowed == ["edit", "cancel"]
    assert controls.approve(batch, actor=make_user("kim")).state == BatchState.APPROVED


def test_who_saved_it_as_it_was_may_approve(sam, alex, settings):
    settings.APPROVAL_ABOVE = 0
    batch = draft(students(2))
    controls.edit(batch, actor=alex, name=batch.name, text=batch.text)
    assert controls.approve(controls.submit(batch, actor=sam), actor=alex).approver == alex


def test_an_approval_lost_to_one_made_meanwhile_changes_nothing(sam, alex, settings):
    settings.APPROVAL_ABOVE = 0
    batch = controls.submit(draft(students(2)), actor=sam)
    late = Batch.objects.get()
    Batch.objects.update(snapshot="another")  # submitted anew, of the same revision, between reading and writing
    with pytest.raises(Changed):
        controls.approve(late, actor=alex)
    assert Batch.objects.get(pk=batch.pk).approver is None


# --- the typed count -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("typed", [0, 2, 4, 30])
def test_another_count_than_there_are_texts_starts_nothing(typed):
    batch = submitted(students(3))
    with pytest.raises(Wrong, match="There are 3 texts, not") as refused:
        controls.start(batch, actor=None, typed=typed)
    assert list(refused.value.errors) == ["typed"]
    assert Batch.objects.get().state == BatchState.APPROVED
    assert controls.start(batch, actor=None, typed=3).state == BatchState.EXPANDING


# --- undo ------------------------------------------------------------------------------------------------------------
def test_a_start_can_be_taken_back_for_a_moment(sam, time_machine):
    batch = controls.start(submitted(), actor=sam, undo_s=10)
    assert controls.possible(batch) == ["undo", "pause", "cancel"]
    assert composing.next_batch() is None
    controls.undo(batch, actor=sam)
    assert (batch.state, batch.started_at, batch.leaves_at) == (BatchState.APPROVED, None, None)
    assert controls.start(batch, actor=sam, undo_s=10).state == BatchState.EXPANDING
    time_machine.move_to(clock.now() + timedelta(seconds=11))
    with pytest.raises(Conflict, match=r"Cannot undo “Moved”: it is being prepared, changed by sam") as refused:
        controls.undo(batch, actor=sam)
    assert refused.value.allowed == controls.possible(batch) == ["pause", "cancel"]
    assert compose(batch).state == BatchState.RUNNING


def test_a_scheduled_batch_can_be_taken_back_until_its_time():
    at = clock.now() + timedelta(hours=3)
    batch = controls.start(submitted(send_at=at), actor=None, undo_s=10)
    assert batch.leaves_at == at
    assert controls.undo(batch, actor=None).state == BatchState.APPROVED


def test_what_starts_at_once_cannot_be_taken_back():
    batch = begin(draft(students(1)))
    assert batch.leaves_at is None
    with pytest.raises(Conflict):
        controls.undo(batch, actor=None)


def test_a_worker_whose_clock_runs_ahead_writes_nothing_of_what_was_taken_back():
    """It had claimed the batch; then the start was undone, another text was approved, and that was started."""
    batch = controls.start(submitted(), actor=None, undo_s=10)
    Batch.objects.update(leaves_at=clock.after(-1))
    held = composing.next_batch()
    Batch.objects.update(leaves_at=clock.after(10))
    controls.undo(batch, actor=None)
    controls.edit(batch, actor=None, text="Other words. Registrar")
    begin(batch)
    composing.expand(held)
    assert not Message.objects.exists()
    assert set(compose(batch).messages.values_list("text", flat=True)) == {"Other words. Registrar"}


# --- late ------------------------------------------------------------------------------------------------------------
def test_who_starts_or_resumes_it_after_its_time_agrees_that_it_is_late(time_machine):
    at = clock.now() + timedelta(hours=1)
    again = submitted(students(1, "Other"), send_at=at)
    batch = controls.start(submitted(send_at=at), actor=None)
    assert not batch.late_allowed
    controls.pause(batch, actor=None)
    assert not controls.resume(batch, actor=None).late_allowed
    controls.undo(batch, actor=None)
    controls.start(batch, actor=None)
    time_machine.move_to(at + timedelta(hours=5))
    controls.pause(batch, actor=None)
    assert controls.resume(batch, actor=None).late_allowed
    controls.cancel(batch, actor=None)
    with pytest.raises(Wrong, match=r"and that has passed\. Say that it is to be sent late") as refused:
        controls.start(again, actor=None)
    assert list(refused.value.errors) == ["late"]
    assert controls.start(again, actor=None, late=True).late_allowed


def test_a_moment_that_has_passed_is_refused_whoever_names_it(time_machine, settings):
    now = clock.now()
    kept = draft(students(1), send_at=now + timedelta(minutes=5), expires_at=now + timedelta(days=1))
    for name in ("send_at", "expires_at"):
        for at in (now, now - timedelta(days=2000)):
            with pytest.raises(Wrong, match=r"This moment has passed\. Choose a later one") as refused:
                controls.edit(kept, actor=None, **{name: at})
            assert list(refused.value.errors) == [name]
            with pytest.raises(Wrong, match="This moment has passed"):
                draft(students(1, f"{name} {at}"), **{name: at})
    time_machine.move_to(kept.send_at + timedelta(minutes=settings.OVERDUE_MINUTES + 1))
    with pytest.raises(Wrong, match=r"It was to be sent on .* This moment has passed") as refused:
        controls.submit(kept, actor=None)
    assert list(refused.value.errors) == ["send_at"]
    settings.OVERDUE_MINUTES += 2
    assert begin(kept).late_allowed


def test_what_would_leave_after_its_end_is_not_submitted_nor_started(time_machine):
    at = clock.now() + timedelta(hours=1)
    with pytest.raises(Wrong, match="ends before it begins"):
        draft(students(1), send_at=at, expires_at=at)
    batch = submitted(students(1, "Other"), expires_at=at)
    time_machine.move_to(at)
    with pytest.raises(Wrong, match="nobody would get it") as refused:
        controls.start(batch, actor=None)
    assert list(refused.value.errors) == ["expires_at"]
    batch.state = BatchState.DRAFT
    batch.save()
    with pytest.raises(Wrong, match="nobody would get it"):
        controls.submit(batch, actor=None)


def test_a_time_further_ahead_than_a_year_is_refused_whoever_asks():
    now = clock.now()
    kept = draft(students(1), send_at=now + timedelta(days=365), expires_at=now + timedelta(days=366))
    for name in ("send_at", "expires_at"):
        with pytest.raises(Wrong, match="more than a year ahead; check the year") as refused:
            controls.edit(kept, actor=None, **{name: now + timedelta(days=400)})
        assert list(refused.value.errors) == [name]


# --- segments and forms ----------------------------------------------------------------------------------------------
def segment(contact_list, name="Ada"):
    asked = [{"field": "First_Name", "test": "is", "value": name}]
    return Segment.objects.create(unit=make_unit(), contact_list=contact_list, name=name, conditions=asked)


def test_segments_are_kept_edited_and_their_fields_known():
    first, second = segment(make_list()), segment(make_list("Other"), "Kim")
    batch = draft(segments=[first])
    assert list(batch.segments.all()) == [first]
    controls.edit(batch, actor=None, segments=[second], expires_at=clock.now() + timedelta(days=1))
    assert list(batch.segments.all()) == [second]
    with pytest.raises(Wrong, match=r"\{\{Shoe\}\} is not a field of “Other”"):
        controls.edit(batch, actor=None, text="Hi {{Shoe}}")


def form(contact_list, **more):
    usual = {"actor": None, "unit": make_unit(), "account": make_account(), "sender": "+13125550190"}
    return controls.create(**{**usual, "name": "Moved", "lists": [contact_list], "text": TEXT, "token": "t-1", **more})


def test_a_form_sent_twice_makes_one_batch():
    contact_list = students(2)
    batch = form(contact_list)
    assert form(contact_list) == batch
    assert Batch.objects.get().revision == 1
    begin(batch)
    assert form(contact_list).state == BatchState.EXPANDING  # the back button, and nothing changed


def test_a_form_sent_again_with_other_words_edits_its_batch_as_long_as_it_has_not_begun():
    contact_list = students(2)
    batch = controls.submit(form(contact_list), actor=None)
    assert form(contact_list, name="Really moved") == batch
    batch.refresh_from_db()
    assert (batch.name, batch.revision, batch.state) == ("Really moved", 2, BatchState.DRAFT)
    begin(batch)
    with pytest.raises(Conflict, match="it is being prepared"):
        form(contact_list, text="Other words. Registrar")
    assert Batch.objects.count() == 1


def test_forms_of_two_units_and_drafts_without_a_form_are_kept_apart():
    contact_list = students(1)
    housing = make_unit("Housing")
    assert form(contact_list) != form(make_list("Residents", unit=housing), unit=housing)
    assert form(contact_list, token="") != form(contact_list, token="")
