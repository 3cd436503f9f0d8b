"""Who got a text and who did not, why texts failed, corrections to those who got it, and tests to oneself."""

import pytest

from contacts.models import PhoneNumber
from messaging import controls
from messaging.composing.previewing import preview
from messaging.composing.sources import to_correct
from messaging.controls import recipients
from messaging.models import Batch, Message
from messaging.statuses import BatchState, Got, MessageState
from messaging.tests.composed import begin, compose, draft, students
from messaging.tests.test_controls_again import finished
from smsportal.problems import Conflict, Wrong
from smsportal.providers.base import Delivery
from smsportal.tests.world import fiction, make_number, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def any_hour(settings):
    settings.QUIET_HOURS = ""


# --- who got it ------------------------------------------------------------------------------------------------------
GROUPS = [
    ({}, "got"),
    ({"delivery": Delivery.SENT}, "got"),
    ({"delivery": Delivery.DELIVERED, "reported_failed": True}, "got"),
    ({"delivery": Delivery.TEMPORARY_FAILURE}, "may_have"),
    ({"delivery": Delivery.UNCONFIRMED}, "may_have"),
    ({"delivery": Delivery.FAILED}, "did_not"),
    ({"state": "submitting"}, "may_have"),
    ({"state": "unknown"}, "may_have"),
    ({"state": "written_off", "evidence": "staff"}, "may_have"),
    ({"state": "rejected"}, "did_not"),
    ({"state": "rejected", "delivery": Delivery.DELIVERED}, "got"),  # of the attempt before
    ({"state": "rejected", "double_send": True}, "got"),
    ({"state": "rejected", "evidence": "staff"}, "may_have"),  # unknown, sent again by a person, then refused
    ({"state": "ready", "evidence": "staff"}, "may_have"),
    ({"state": "ready"}, "did_not"),
    ({"state": "held"}, "did_not"),
    ({"state": "skipped"}, "did_not"),
]


def test_everybody_is_in_the_group_their_message_tells():
    batch = finished(*[columns for columns, _ in GROUPS])
    found = {row.to: group for group in Got.values for row in controls.outcome_rows(batch, group)}
    expected = {number: group for number, (_, group) in zip(fiction(len(GROUPS)), GROUPS, strict=True)}
    assert found == expected
    assert controls.outcome_counts(batch) == {
        group: sum(told == group for _, told in GROUPS) for group in ("got", "may_have", "did_not")
    }


def test_the_groups_sum_up_whatever_the_state_and_the_delivery():
    every = [{"state": state, "delivery": rank} for state in MessageState.values for rank in Delivery]
    every += [{**each, **more} for each in every for more in ({"evidence": "staff"}, {"double_send": True})]
    batch = finished(*every)
    rows = [row.id for group in Got.values for row in controls.outcome_rows(batch, group)]
    assert len(rows) == len(set(rows)) == len(every) == sum(controls.outcome_counts(batch).values())


def test_rows_are_read_in_pages(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(recipients, "PAGE", 10)
    batch = finished(*[{"text": "Hi"}] * 25)
    with django_assert_num_queries(4):
        rows = list(controls.outcome_rows(batch, "got"))
    assert [row.to for row in rows] == fiction(25)
    assert rows[0][:4] == (fiction(1)[0], "Student 0", "Park", "Hi")
    with django_assert_num_queries(1):
        controls.outcome_counts(batch)


def test_there_are_no_other_groups():
    with pytest.raises(Wrong, match="there are got, may_have, did_not"):
        next(controls.outcome_rows(draft(), "lost"))


# --- why texts failed ------------------------------------------------------------------------------------------------
def test_failures_are_told_by_their_class_with_what_to_do(django_assert_num_queries):
    unreachable = {"delivery": Delivery.FAILED, "error_code": "CarrierTimeout"}
    blocked = {"delivery": Delivery.FAILED, "error_code": "BlockedByCarrierUser"}
    refused = {"state": "rejected", "error_code": "400", "error_text": "Ocelot refused it (HTTP 400: Too many commas)."}
    batch = finished(unreachable, unreachable, unreachable, blocked, refused, {"delivery": Delivery.FAILED}, {})
    PhoneNumber.objects.filter(e164__in=fiction(4)[2:]).update(opted_out=True)
    with django_assert_num_queries(2):  # one for the account
        found = controls.failure_classes(batch)
    assert [(each.code, each.title, each.number, each.again, each.opted_out) for each in found] == [
        ("CarrierTimeout", "Phone not reached", 2, True, 1),
        ("", "No reason given", 1, True, 0),
        ("400", "Refused by the provider", 1, False, 0),
        ("BlockedByCarrierUser", "Blocked by the person", 0, False, 1),
    ]
    assert "Too many commas" in found[2].advice
    there = "“CarrierTimeout”, “”, “400”, “BlockedByCarrierUser”"
    with pytest.raises(Wrong, match=f"No text of this batch failed with “foo”. There are: {there}") as refused:
        controls.retry_failed(batch, actor=None, classes=["400", "foo"])
    assert list(refused.value.errors) == ["classes"]
    controls.retry_failed(batch, actor=None, classes=["", "CarrierTimeout"])
    assert batch.counts()["ready"] == 3


# --- corrections -----------------------------------------------------------------------------------------------------
def test_a_correction_goes_to_those_who_got_it_or_may_have_and_to_nobody_else():
    batch = finished({}, {"state": "unknown"}, {"state": "rejected"}, {"state": "skipped"})
    kim = make_user("kim")
    fix = controls.correct(
        batch, actor=kim, text="Dear {{First_Name}}, it is on Tuesday. Reply STOP to opt out. Registrar"
    )
    assert (fix.state, fix.corrects, fix.author, fix.name) == (BatchState.DRAFT, batch, kim, "Correction: Moved")
    assert (fix.sender, fix.operator, fix.unit, fix.account) == (
        batch.sender,
        batch.operator,
        batch.unit,
        batch.account,
    )
    compose(begin(fix))
    assert list(fix.messages.order_by("number__e164").values_list("number__e164", "text")) == [
        (number, f"Dear Student {place}, it is on Tuesday. Reply STOP to opt out. Registrar")
        for place, number in enumerate(fiction(2))
    ]


def test_a_correction_changes_with_those_who_got_the_first_text():
    batch = finished({}, {"state": "ready"})
    fix = controls.submit(controls.correct(batch, actor=None, text="It is on Tuesday. Registrar"), actor=None)
    Message.objects.filter(state="ready").update(state="accepted")
    with pytest.raises(Conflict, match="draft again"):
        controls.start(fix, actor=None)


@pytest.mark.parametrize(
    ("state", "fate", "why"),
    [
        ("running", {}, "Pause or cancel it"),
        ("expanding", {}, "Pause or cancel it"),
        ("cancelled", {"state": "skipped"}, "Nobody got"),
        ("finished", {"state": "rejected"}, "Nobody got"),
        ("draft", {}, "Nobody got"),
    ],
)
def test_there_is_nothing_to_correct_yet_or_at_all(state, fate, why):
    batch = finished(fate)
    Batch.objects.update(state=state)
    batch.refresh_from_db()
    with pytest.raises(Conflict, match=why) as refused:
        controls.correct(batch, actor=None, text="It is on Tuesday. Registrar")
    assert refused.value.allowed == controls.possible(batch)


def test_a_correction_takes_no_lists_and_knows_the_fields_of_the_first_batch():
    batch = finished({})
    for mistake, field in (({"text": "Hi {{Shoe}}"}, "text"), ({"text": " "}, "text")):
        with pytest.raises(Wrong) as refused:
            controls.correct(batch, actor=None, **mistake)
        assert list(refused.value.errors) == [field]
    fix = controls.correct(batch, actor=None, text="It is on Tuesday. Registrar", name="Sorry", token="once")
    assert controls.correct(batch, actor=None, text="It is on Tuesday. Registrar", name="Sorry", token="once") == fix
    with pytest.raises(Wrong) as refused:
        controls.edit(fix, actor=None, lists=[students(1, "Other")])
    assert list(refused.value.errors) == ["lists"]
    assert controls.edit(fix, actor=None, name="So sorry").corrects == batch


def test_while_a_correction_waits_there_is_no_second_but_its_own_form_may_say_it_otherwise():
    batch, kim = finished({}), make_user("kim")
    fix = controls.correct(batch, actor=kim, text="It is on Tuesday. Registrar", token="once")
    again = controls.correct(
        batch, actor=kim, text="It is on Friday. Registrar", token="once"
    )  # went back, and sent it
    assert (again, again.text) == (fix, "It is on Friday. Registrar")
    for token in ("", "another form"):
        with pytest.raises(Conflict, match="“Correction: Moved” corrects this batch already") as refused:
            controls.correct(batch, actor=make_user(f"sam{token}"), text="It is on Friday. Registrar", token=token)
        assert refused.value.allowed == controls.possible(batch)
    assert batch.corrections.count() == 1
    controls.cancel(again, actor=kim)
    second = controls.correct(batch, actor=None, text="It is on Friday. Registrar")
    compose(begin(second))
    assert controls.correct(batch, actor=None, text="It was on Friday. Registrar") != second


def test_a_further_correction_leaves_out_who_is_in_an_earlier_one_as_long_as_somebody_is_left():
    one, two, three, four = fiction(4)
    batch = finished({}, {}, {"state": "ready"}, {"state": "ready"})

    def corrected(*, cancelled=False):
        fix = controls.correct(batch, actor=None, text="It is on Friday. Registrar")
        to = list(compose(begin(fix)).messages.order_by("number__e164").values_list("number__e164", flat=True))
        fix.messages.filter(number__e164=two).update(state="rejected")  # may be sent again, so it counts
        fix.messages.exclude(number__e164=two).update(state="skipped" if cancelled else "accepted")
        Batch.objects.filter(pk=fix.pk).update(state="cancelled" if cancelled else "finished")
        return to

    assert corrected(cancelled=True) == [one, two]
    assert corrected() == [one, two]
    assert corrected() == [one, two]  # all have one, so it goes to all of them again
    batch.messages.filter(number__e164=three).update(state="accepted")
    assert corrected() == [three]
    batch.messages.filter(number__e164=four).update(state="unknown")
    assert corrected() == [four]


def test_while_a_correction_is_prepared_a_further_one_is_for_all_who_got_the_text():
    batch = finished({}, {})
    begin(controls.correct(batch, actor=None, text="It is on Friday. Registrar"))
    further = controls.correct(batch, actor=None, text="It is on Monday. Registrar")
    assert preview(further).recipients == 2
    assert to_correct(batch).again
    compose(Batch.objects.get(state="expanding"))
    assert (to_correct(batch, further).again, preview(further).recipients) == (True, 2)


# --- tests to oneself ------------------------------------------------------------------------------------------------
def test_a_test_goes_to_oneself_as_a_real_recipient_would_get_it():
    batch = draft(students(3))
    sam = make_user("sam", phone="+13125550155")
    message = controls.test_send(batch, actor=sam)
    assert message.number.e164 == "+13125550155"
    assert message.text == "[Test] Dear Student 0, class is moved. Reply STOP to opt out. Registrar"
    third = make_number(fiction(3)[2])
    other = controls.test_send(batch, actor=sam, to="(312) 555-0156", sample=third.pk)
    assert (other.number.e164, other.text[:22]) == ("+13125550156", "[Test] Dear Student 2,")
    batch.refresh_from_db()
    assert (batch.state, batch.recipients, batch.messages.count()) == (BatchState.DRAFT, 0, 0)
    assert {message.batch.single, other.batch.single} == {True}


def test_a_test_is_refused_without_a_number_a_recipient_or_consent():
    sam, kim = make_user("sam"), make_user("kim", phone="+13125550155")
    batch = draft(students(1))
    with pytest.raises(Wrong, match="own phone number is not known") as refused:
        controls.test_send(batch, actor=sam)
    assert list(refused.value.errors) == ["to"]
    with pytest.raises(Wrong, match="is not in its audience"):
        controls.test_send(batch, actor=kim, sample=make_number("+13125550155").pk)
    with pytest.raises(Wrong, match="Nobody would get this text"):
        controls.test_send(draft(), actor=kim)
    PhoneNumber.objects.filter(e164="+13125550155").update(opted_out=True)
    with pytest.raises(Conflict, match="opted out"):
        controls.test_send(batch, actor=kim)
    assert not Message.objects.exists()
