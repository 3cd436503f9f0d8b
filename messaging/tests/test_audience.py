"""Who a batch is for: lists and segments once per number, corrections, and who falls at which step."""

from datetime import timedelta

import pytest

from contacts import consent
from contacts.models import Contact, PhoneNumber, Segment
from messaging import composing, controls
from messaging.composing.audience import Audience
from messaging.composing.steps import STEPS
from messaging.models import Batch, Message
from messaging.statuses import MessageState
from messaging.tests.composed import balanced, begin, compose, draft, sent, students
from smsportal import clock
from smsportal.problems import Wrong
from smsportal.providers.base import Delivery
from smsportal.tests.world import fiction, make_contact, make_list, make_number

pytestmark = pytest.mark.django_db

OTHER = "{{First_Name}}, another text. Reply STOP to opt out. Registrar"


@pytest.fixture(autouse=True)
def any_hour(settings):
    settings.QUIET_HOURS = ""


def segment(contact_list, name="Some", match="all", **conditions):
    rows = [{"field": field, "test": "is", "value": value} for field, value in conditions.items()]
    return Segment.objects.create(
        unit=contact_list.unit, contact_list=contact_list, name=name, match=match, conditions=rows
    )


def people_of(batch):
    return [person.name for page in Audience(batch).pages() for person in page.people]


# --- lists and segments ----------------------------------------------------------------------------------------------
def test_lists_and_segments_together_write_to_each_number_once():
    freshmen, seniors = students(4, "A"), students(3, "B", start=3)
    two = segment(freshmen, match="any", First_Name="Student 1")
    batch = draft(seniors)
    batch.segments.set([two, segment(seniors, "All", Last_Name="Park")])
    seen = composing.preview(batch)
    assert (seen.waterfall["audience"], seen.waterfall["duplicates"], seen.waterfall["will_send"]) == (7, 3, 4)
    assert sorted(people_of(batch)) == ["Student 1 Park", "Student 3 Park", "Student 4 Park", "Student 5 Park"]
    batch = compose(begin(batch))
    assert batch.waterfall == seen.waterfall
    assert balanced(batch)


def test_a_segment_alone_is_an_audience():
    contact_list = students(5)
    batch = draft()
    batch.segments.set([segment(contact_list, First_Name="student 2")])
    assert people_of(batch) == ["Student 2 Park"]


def test_a_segment_that_asks_for_a_field_the_list_lost_is_told():
    contact_list = students(1)
    batch = draft(contact_list)
    batch.segments.set([segment(contact_list, Dorm="North")])
    with pytest.raises(Wrong, match="“Dorm” is not a field of “Fall freshmen”"):
        composing.preview(batch)


def test_a_number_in_two_lists_takes_the_zone_of_the_contact_that_is_written_to():
    first, second = make_list("A"), make_list("B")
    for contact_list, name, zone in ((first, "", "Asia/Tokyo"), (second, "Ada", "Europe/Paris")):
        contact_list.own_fields.create(name="Time_Zone", display_name="Time zone")
        make_contact(contact_list, first=name, extra={"Time_Zone": zone})
    (page,) = Audience(draft(first, second, text="Hi {{First_Name}}")).pages()
    assert [person.zones for person in page.people] == ["Europe/Paris"]


@pytest.mark.parametrize("change", ["segments", "condition", "match", "expires_at", "corrects", "lists"])
def test_any_change_of_who_or_until_when_gives_another_snapshot(change):
    contact_list = students(3)
    batch, earlier = draft(contact_list), draft(contact_list, name="Earlier")
    chosen = segment(contact_list, Last_Name="Park")
    batch.segments.set([chosen])
    before = composing.snapshot(batch)
    if change == "segments":
        batch.segments.set([segment(contact_list, "Same people", Last_Name="Park")])
    elif change == "condition":
        Segment.objects.update(conditions=[{"field": "Last_Name", "test": "is", "value": "PARK"}])
    elif change == "match":
        Segment.objects.update(match="any")
    elif change == "expires_at":
        batch.expires_at = clock.now()
    elif change == "corrects":
        batch.corrects = earlier
    else:
        batch.lists.set([])
    assert composing.snapshot(Batch.objects.get(pk=batch.pk) if change in {"condition", "match"} else batch) != before


def test_a_template_changed_since_changes_nothing_a_batch_says():
    from messaging import templating

    contact_list = students(2)
    template = templating.create_template(actor=None, unit=contact_list.unit, name="Moved", text="One {{First_Name}}")
    batch = draft(contact_list, text="", template=template)
    templating.change_template(template, actor=None, text="Two {{First_Name}}")
    controls.edit(batch, actor=None, name="Renamed")
    assert (batch.template_version.version, batch.text) == (1, "One {{First_Name}}")
    before = composing.snapshot(batch)
    controls.edit(batch, actor=None, text="One {{First_Name}}")  # as a form sends it back
    assert (batch.template_version.version, composing.snapshot(batch)) == (1, before)
    controls.edit(batch, actor=None, text="Other words")
    assert batch.template_version is None
    controls.edit(batch, actor=None, template=template)
    assert (batch.template_version.version, batch.text) == (2, "Two {{First_Name}}")
    assert composing.snapshot(batch) != before


# --- corrections -----------------------------------------------------------------------------------------------------
def test_a_correction_goes_to_who_has_the_text_or_may_have_it():
    wrong = compose(begin(draft(students(8))))
    fates = [
        ("accepted", Delivery.DELIVERED), ("accepted", Delivery.NONE), ("accepted", Delivery.FAILED), ("unknown", 0),
        ("written_off", 0), ("rejected", 0), ("skipped", 0), ("ready", 0),
    ]  # fmt: skip
    for message, (state, delivery) in zip(wrong.messages.order_by("number__e164"), fates, strict=True):
        Message.objects.filter(pk=message.pk).update(state=state, delivery=delivery)
    Batch.objects.filter(pk=wrong.pk).update(state="cancelled", finished_at=clock.now())
    Contact.objects.filter(first_name="Student 1").update(removed_at=clock.now())
    Contact.objects.filter(first_name="Student 3").delete()
    batch = draft(text="Correction for {{First_Name|you}}: room 12. Reply STOP to opt out. Registrar")
    batch.corrects = wrong
    batch.save()
    texts = [person.text.split(":")[0] for page in Audience(batch).pages() for person in page.people]
    assert texts == [f"Correction for {name}" for name in ("Student 0", "Student 1", "you", "Student 4")]
    assert compose(begin(batch)).recipients == 4
    assert balanced(batch)


def test_the_fields_of_a_correction_are_those_of_the_first_batchs_lists():
    contact_list = students(1)
    contact_list.own_fields.create(name="Dorm", display_name="Dorm")
    Contact.objects.update(extra={"Dorm": "North"})
    wrong = compose(begin(draft(contact_list)))
    wrong.messages.update(state="accepted")
    batch = draft(text="{{Dorm}}")
    batch.corrects = wrong
    assert [person.text for page in Audience(batch).pages() for person in page.people] == ["North"]
    assert composing.preview(batch).waterfall["will_send"] == 1
    batch.text = "{{Hall}}"
    with pytest.raises(Wrong, match=r"{{Hall}} is not a field"):
        composing.preview(batch)


# --- who falls at which step -----------------------------------------------------------------------------------------
@pytest.fixture
def fallen(settings):
    """A draft at each of whose steps somebody falls: number place → step."""
    settings.MAX_TEXTS_PER_DAY = 1
    first, second = make_list("A"), make_list("B")
    for contact_list in (first, second):
        contact_list.own_fields.create(name="Note", display_name="Note")
        contact_list.own_fields.create(name="Time_Zone", display_name="Time zone")
    fine, blank, long, out, enough, held, twice, late = fiction(8)
    zoned = {"Note": "x", "Time_Zone": "Australia/Brisbane"}
    make_contact(first, enough, first="Enough", extra={"Note": "x"})
    sent(first, "Hello")
    make_contact(first, fine, first="Fine", extra={"Note": "x"})
    make_contact(first, blank, first="Blank")
    make_contact(first, long, first="Long", extra={"Note": "x" * 1700})
    make_number(out, opted_out=True)
    make_contact(first, out, first="Out", extra={"Note": "x"})
    make_contact(first, held, first="Held", extra=zoned)
    make_contact(first, twice, first="Twice", extra={"Note": "x"})
    make_contact(second, twice, first="Again", extra={"Note": "x"})
    make_contact(first, late, first="Late", extra={"Note": "x", "Time_Zone": "Asia/Tokyo"})
    there = clock.now() + timedelta(hours=9)  # in Tokyo; in Brisbane, quiet hours end an hour sooner
    settings.QUIET_HOURS = f"{there - timedelta(minutes=30):%H:%M}-{there + timedelta(minutes=90):%H:%M}"
    return draft(first, second, text="{{Note}}", expires_at=clock.now() + timedelta(hours=1))


EXPECTED = {
    "audience": ["Fine", "Blank", "Long", "Out", "Enough", "Held", "Twice", "Late", "Again"],
    "duplicates": ["Again"],
    "invalid": ["Blank", "Long"],
    "blank": ["Blank"],
    "empty": [],
    "too_long": ["Long"],
    "opted_out": ["Out"],
    "capped": ["Enough"],
    "expired": ["Late"],
    "quiet_hours": ["Held"],
    "will_send": ["Fine", "Twice"],
}


PLACES = ("Fine", "Blank", "Long", "Out", "Enough", "Held", "Twice", "Late")


@pytest.mark.parametrize("step", STEPS)
def test_each_step_of_the_waterfall_leads_to_its_people(fallen, step):
    found = composing.people(fallen, step)
    assert sorted(entry.name.split()[0] for entry in found.entries) == sorted(EXPECTED[step])
    assert found.after is None
    for entry in found.entries:
        assert entry.to
        assert entry.contact
        assert entry.contact_list == ("B" if entry.name == "Again Park" else "A")
        assert entry.reason.endswith(".")
        assert entry.remedy.endswith(".") or entry.step == "will_send"


def test_the_steps_count_what_the_waterfall_counts(fallen):
    seen = composing.preview(fallen)
    counts = {step: len(composing.people(fallen, step).entries) for step in STEPS}
    assert {step: counts[step] for step in seen.waterfall} == seen.waterfall
    assert {step: counts[step] for step in seen.invalid} == seen.invalid


@pytest.mark.parametrize("step", STEPS)
def test_a_written_batch_tells_who_fell_where_whatever_happened_since(fallen, time_machine, step):
    batch = compose(begin(fallen))
    everybody = list(PhoneNumber.objects.values_list("e164", flat=True))
    time_machine.move_to(clock.now() + timedelta(hours=12))  # no quiet hours any more
    batch.messages.filter(state__in=["ready", "held"]).update(state="accepted", reason="")
    for e164 in everybody:
        consent.opt_out(e164, source="reply")
    Contact.objects.update(first_name="Else", extra={})
    before = composing.people(fallen, "will_send").entries
    assert before == []  # the control: by the lists nobody would get it now
    found = composing.fallen(batch, step)
    if step == "duplicates":
        assert found is None
        return
    names = dict(zip(PLACES, fiction(8), strict=True))
    expected = {names[name] for name in EXPECTED[step] if name != "Again"}
    assert {each.number.e164 for each in found} == expected


def test_the_messages_of_the_steps_count_what_the_waterfall_counts(fallen):
    batch = compose(begin(fallen))
    fall = dict(batch.waterfall)
    found = {step: composing.fallen(batch, step).count() for step in fall if step != "duplicates"}
    assert found.pop("audience") + fall.pop("duplicates") == fall.pop("audience")
    assert found == fall


@pytest.mark.parametrize(
    ("step", "reason", "remedy"),
    [
        ("duplicates", "Has the same number as Twice Park of “A”", "every number gets one text"),
        ("blank", "Note is blank for this person", "as in {{Note|…}}"),
        ("too_long", "more than 1,600 characters", "Shorten the text"),
        ("opted_out", "opted out", "texting START"),
        ("capped", "Gets 1 text of other batches within a day; 1 is the most", "tomorrow"),
        ("expired", "after which nothing of the batch leaves", "Set a later time"),
        ("quiet_hours", "(Australia/Brisbane): held until", "leaves by itself"),
        ("will_send", "Gets the text, in 1 segment.", ""),
    ],
)
def test_each_step_says_why_and_what_to_do(fallen, step, reason, remedy):
    entry = composing.people(fallen, step).entries[0]
    assert reason in entry.reason
    assert remedy in entry.remedy


def test_the_same_text_is_told_as_such():
    contact_list = students(1)
    sent(contact_list, OTHER, clock.now() - timedelta(minutes=2))
    (entry,) = composing.people(draft(contact_list, text=OTHER), "capped").entries
    assert "this very text from another batch within ten minutes" in entry.reason


def test_people_come_in_pages_and_none_is_lost_or_repeated():
    batch = draft(students(17, "A"), students(9, "B", start=12))
    for step, total in (("audience", 26), ("will_send", 21), ("duplicates", 5), ("capped", 0)):
        names, after = [], 0
        while after is not None:
            page = composing.people(batch, step, after=after, limit=4)
            assert len(page.entries) <= 5
            names += [(entry.name, entry.contact_list) for entry in page.entries]
            after = page.after
        assert len(names) == len(set(names)) == total


def test_looking_at_a_step_writes_nothing_and_costs_the_same_for_many(django_assert_max_num_queries):
    batch = draft(students(300))
    with django_assert_max_num_queries(14):
        composing.people(batch, "will_send")
    assert not Message.objects.exclude(state=MessageState.READY).exists()


def test_a_step_that_does_not_exist_is_refused():
    with pytest.raises(Wrong, match="There is no step “lost”; there are: audience,"):
        composing.people(draft(students(1)), "lost")
