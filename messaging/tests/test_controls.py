"""The verbs on a batch: which moves are legal, what each writes, and who may not."""

from datetime import timedelta

import pytest

from messaging import composing, controls
from messaging.controls import moves
from messaging.models import Batch, Message, Sender, Template, TemplateVersion
from messaging.statuses import MOVES, BatchState
from messaging.tests.composed import TEXT, begin, draft, states, students
from smsportal import clock
from smsportal.problems import Changed, Conflict, Wrong
from smsportal.tests.world import fiction, make_account, make_contact, make_list, make_number, make_unit, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def any_hour(settings):
    settings.QUIET_HOURS = ""


@pytest.fixture
def author():
    return make_user("sam")


@pytest.fixture
def approver():
    return make_user("alex")


VERBS = {
    "edit": lambda batch, actor: controls.edit(batch, actor=actor, name="Other"),
    "submit": lambda batch, actor: controls.submit(batch, actor=actor),
    "approve": lambda batch, actor: controls.approve(batch, actor=actor),
    "reject": lambda batch, actor: controls.reject(batch, actor=actor),
    "start": lambda batch, actor: controls.start(batch, actor=actor),
    "undo": lambda batch, actor: controls.undo(batch, actor=actor),
    "pause": lambda batch, actor: controls.pause(batch, actor=actor),
    "resume": lambda batch, actor: controls.resume(batch, actor=actor),
    "cancel": lambda batch, actor: controls.cancel(batch, actor=actor),
    "retry-failed": lambda batch, actor: controls.retry_failed(batch, actor=actor),
}


def test_every_move_has_a_verb():
    assert set(VERBS) == set(MOVES)


@pytest.mark.parametrize(("action", "state"), [(a, s) for a in MOVES for s in BatchState if s not in MOVES[a]])
def test_a_move_the_table_forbids_is_refused_with_those_it_allows(action, state, approver):
    batch = draft(students(1))
    Batch.objects.update(state=state, moved_by=approver, moved_at=clock.now())
    batch.refresh_from_db()
    with pytest.raises(Conflict) as refused:
        VERBS[action](batch, make_user("kim"))
    assert refused.value.allowed == [move for move, states in MOVES.items() if state in states and move != "undo"]
    assert "by alex on" in refused.value.detail
    assert Batch.objects.get().state == state


@pytest.mark.parametrize(("action", "state"), [(a, s) for a in MOVES for s in MOVES[a]])
def test_a_move_the_table_allows_is_made(action, state, author, approver):
    batch = controls.submit(draft(students(1)), actor=author)
    if action == "retry-failed":
        Message.objects.create(batch=batch, number=make_number(fiction(1)[0]), text="Hi", state="rejected")
    Batch.objects.update(state=state, resume_to="running", leaves_at=clock.after(60))
    batch.refresh_from_db()
    VERBS[action](batch, approver)
    assert batch.state != state or (action, state) == ("edit", "draft")
    assert (batch.moved_by, batch.moved_at is not None) == (approver, True)


# --- drafts ----------------------------------------------------------------------------------------------------------
def test_a_draft_keeps_what_was_decided(author):
    at = clock.now() + timedelta(hours=3)
    lists = students(1, "A"), students(1, "B", start=1)
    batch = draft(*lists, send_at=at, provider_options={"campaign": "fall"}, operator="")
    assert (batch.state, batch.revision, batch.text, batch.send_at) == (BatchState.DRAFT, 1, TEXT, at)
    assert set(batch.lists.all()) == set(lists)
    assert batch.operator == "advising@example.edu"  # the account's
    assert batch.provider_options == {"campaign": "fall"}


@pytest.mark.parametrize(("given", "stored"), [("(312) 555-0190", "+13125550190"), ("Registrar", "Registrar")])
def test_a_sender_is_stored_in_one_spelling(given, stored):
    assert draft(sender=given).sender == stored


@pytest.mark.parametrize(
    ("given", "field", "sentence"),
    [
        ({"name": " "}, "name", "name of at most 200"),
        ({"text": " "}, "text", "Write a text"),
        ({"text": "Hi {{First_Name"}, "text", "not closed"),
        ({"text": "Hi {{Shoe}}"}, "text", "{{Shoe}} is not a field of “Fall freshmen”"),
        ({"text": "x" * 2001}, "text", "at most 1,600"),
        ({"sender": ""}, "sender", "Name the number"),
        ({"operator": "nobody"}, "operator", "e-mail address"),
        ({"channel": "pigeon"}, "channel", "does not carry “pigeon”"),
        ({"provider_options": {"a": 1}}, "provider_options", "texts by name"),
        ({"send_at": clock.now().replace(tzinfo=None)}, "send_at", "with its offset"),
        ({"expires_at": clock.now().replace(tzinfo=None)}, "expires_at", "with its offset"),
    ],
)
def test_a_draft_with_a_mistake_is_refused_by_field(given, field, sentence):
    contact_list = students(1)
    with pytest.raises(Wrong) as refused:
        draft(contact_list, **given)
    assert sentence in refused.value.errors[field][0]
    batch = draft(contact_list)
    with pytest.raises(Wrong) as refused:
        controls.edit(batch, actor=None, **given)
    assert list(refused.value.errors) == [field]
    assert Batch.objects.get().revision == 1


def test_all_mistakes_are_told_at_once():
    with pytest.raises(Wrong) as refused:
        draft(students(1), name="", text="{{", sender="")
    assert set(refused.value.errors) == {"name", "text", "sender"}


def test_a_template_gives_its_newest_wording_and_is_pinned():
    template = Template.objects.create(unit=make_unit(), name="Moved")
    with pytest.raises(Wrong, match="no text yet"):
        draft(text="", template=template)
    TemplateVersion.objects.create(template=template, version=1, text="Old")
    second = TemplateVersion.objects.create(template=template, version=2, text="New")
    batch = draft(text="", template=template)
    TemplateVersion.objects.create(template=template, version=3, text="Newest")
    assert (batch.text, batch.template_version) == ("New", second)
    with pytest.raises(Wrong, match="not both"):
        draft(text="Hi", template=template)
    controls.edit(batch, actor=None, text="Own words")
    assert (batch.text, batch.template_version) == ("Own words", None)


def test_an_edit_makes_a_new_revision_and_voids_the_approval(author, approver):
    batch = controls.submit(draft(students(1)), actor=author)
    other = students(1, "Other", start=5)
    controls.edit(batch, actor=approver, lists=[other], sender="+13125550191", send_at=None)
    assert (batch.state, batch.revision, batch.snapshot, batch.waterfall) == (BatchState.DRAFT, 2, "", None)
    assert (batch.submitter, batch.approver, list(batch.lists.all())) == (None, None, [other])
    assert batch.text == TEXT


def test_an_edit_of_an_old_revision_is_refused(author):
    batch, stale = (draft(students(1)), Batch.objects.get())
    controls.edit(batch, actor=author, name="First")
    for attempt in (
        lambda: controls.edit(stale, actor=author, name="Second"),
        lambda: controls.edit(batch, actor=author, name="Second", revision=1),
        lambda: controls.submit(stale, actor=author),
    ):
        with pytest.raises(Changed, match="edited meanwhile"):
            attempt()
    assert Batch.objects.get().name == "First"


def test_a_batch_has_no_other_fields_to_edit():
    with pytest.raises(TypeError, match="state"):
        controls.edit(draft(students(1)), actor=None, state="running")


# --- submit, approve, start ------------------------------------------------------------------------------------------
def test_a_small_batch_is_approved_by_submitting_it(author, settings):
    settings.APPROVAL_ABOVE = 3
    batch = controls.submit(draft(students(3)), actor=author)
    assert (batch.state, batch.submitter, batch.approver) == (BatchState.APPROVED, author, None)
    assert batch.snapshot == composing.snapshot(batch)
    assert batch.waterfall["will_send"] == 3


def test_a_large_batch_needs_somebody_else(author, approver, settings):
    settings.APPROVAL_ABOVE = 2
    batch = controls.submit(draft(students(3)), actor=author)
    assert batch.state == BatchState.PENDING_APPROVAL
    for verb in (controls.approve, controls.reject):
        with pytest.raises(Conflict, match="their own"):
            verb(batch, actor=author)
    assert controls.approve(batch, actor=approver).approver == approver
    assert controls.start(batch, actor=author).state == BatchState.EXPANDING


def test_neither_who_wrote_nor_who_submitted_approves(author, approver, settings):
    settings.APPROVAL_ABOVE = 0
    batch = draft(students(1))
    Batch.objects.update(author=author)
    batch.refresh_from_db()
    controls.submit(batch, actor=approver)
    for own in (author, approver):
        with pytest.raises(Conflict, match="their own"):
            controls.approve(batch, actor=own)
    assert controls.approve(batch, actor=make_user("kim")).state == BatchState.APPROVED


def test_a_rejected_batch_is_submitted_again(author, approver, settings):
    settings.APPROVAL_ABOVE = 0
    batch = controls.reject(controls.submit(draft(students(1)), actor=author), actor=approver)
    assert (batch.state, batch.snapshot) == (BatchState.REJECTED, "")
    assert controls.submit(batch, actor=author).state == BatchState.PENDING_APPROVAL


def test_a_batch_for_nobody_is_not_submitted():
    with pytest.raises(Wrong, match="have no contacts"):
        controls.submit(draft(make_list()), actor=None)
    contact_list = make_list("Out")
    make_contact(contact_list, make_number(fiction(1)[0], opted_out=True).e164)
    with pytest.raises(Wrong, match=r"Nobody would get this text \(1 audience, 1 opted out\)"):
        controls.submit(draft(contact_list), actor=None)


@pytest.mark.parametrize(
    ("sender", "senders", "fine"),
    [
        ("+13125550190", [], True),
        ("Registrar", [], False),
        ("+13125550190", ["+13125550190"], True),
        ("(312) 555-0190", ["312-555-0190"], True),
        ("+13125550191", ["+13125550190"], False),
        ("Registrar", ["Registrar"], True),
    ],
)
def test_a_sender_must_be_one_of_the_account_when_it_has_any(sender, senders, fine):
    batch = draft(students(1), sender=sender)
    Sender.objects.bulk_create(Sender(account=batch.account, address=address) for address in senders)
    if fine:
        assert controls.submit(batch, actor=None).state == BatchState.APPROVED
    else:
        with pytest.raises(Wrong) as refused:
            controls.submit(batch, actor=None)
        assert list(refused.value.errors) == ["sender"]


def test_an_account_that_is_off_or_lacks_an_operator_sends_nothing():
    batch = draft(students(1), account=make_account("closed", is_active=False, operator=""))
    with pytest.raises(Wrong) as refused:
        controls.submit(batch, actor=None)
    assert set(refused.value.errors) == {"account", "operator"}


def test_a_list_that_changed_voids_the_approval_at_the_start():
    contact_list = students(2)
    batch = controls.submit(draft(contact_list), actor=None)
    contact_list.contacts.first().delete()
    with pytest.raises(Conflict, match="lists changed") as refused:
        controls.start(batch, actor=None)
    assert refused.value.allowed == ["edit", "submit", "cancel"]
    assert Batch.objects.get().state == BatchState.DRAFT
    assert begin(batch).state == BatchState.EXPANDING


def test_the_second_to_start_is_told_who_was_first(author):
    batch = controls.submit(draft(students(1)), actor=None)
    late = Batch.objects.get()
    controls.start(batch, actor=author)
    with pytest.raises(Conflict, match=r"it is being prepared, changed by sam on .* Possible now: pause, cancel"):
        controls.start(late, actor=None)


def test_a_refusal_names_nobody_when_nobody_is_known():
    batch = draft()
    assert (
        moves.refusal(batch, "start").detail
        == "Cannot start “Moved”: it is a draft. Possible now: edit, submit, cancel."
    )
    assert states(batch) == {}
