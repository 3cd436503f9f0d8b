"""The preview: what a batch would do, sample texts, segments and the warnings staff see before they submit."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from contacts import consent
from contacts.models import ConsentSource, SchemaField
from messaging import composing, controls
from messaging.models import Batch, Message
from messaging.tests.composed import begin, compose, draft, students
from smsportal import clock
from smsportal.problems import Wrong
from smsportal.tests.world import fiction, make_contact, make_list, make_number

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def any_hour(settings):
    settings.QUIET_HOURS = ""


def previewed(text, *firsts):
    contact_list = make_list()
    for number, first in zip(fiction(len(firsts)), firsts, strict=True):
        make_contact(contact_list, number, first=first)
    return composing.preview(draft(contact_list, text=text))


GOOD = "{{First_Name}}, class is moved. Reply STOP to opt out. Registrar"


def test_a_good_text_has_no_warnings_and_nothing_is_written():
    found = previewed(GOOD, "Ada", "Bartholomew")
    assert found.warnings == []
    assert found.segments == {"min": 1, "max": 1, "total": 2}
    assert found.recipients == 2
    assert not Message.objects.exists()
    assert Batch.objects.get().recipients == 0


def test_samples_show_the_first_the_longest_the_shortest_and_those_left_out():
    found = previewed(GOOD, "Ada", "Bartholomew", "", "Cy")
    assert [(sample.note, sample.to, sample.name) for sample in found.samples] == [
        ("First", fiction(4)[0], "Ada Park"),
        ("Longest", fiction(4)[1], "Bartholomew Park"),
        ("Shortest", fiction(4)[3], "Cy Park"),
        ("Left out: First_Name is blank", fiction(4)[2], "Park"),
    ]
    assert found.samples[0].text.startswith("Ada, class")
    assert found.samples[3].text.startswith(", class")


def test_one_person_is_one_sample():
    (sample,) = previewed(GOOD, "Ada").samples
    assert sample.note == "First, Longest, Shortest"


def test_someone_who_opted_out_is_counted_but_not_shown():
    make_number(fiction(2)[1], opted_out=True)
    found = previewed(GOOD, "Ada", "Bea")
    assert found.waterfall["opted_out"] == 1
    assert {sample.name for sample in found.samples} == {"Ada Park"}


@pytest.mark.parametrize(
    ("text", "firsts", "warning"),
    [
        ("“{{First_Name}}” STOP Registrar", ["Ada"], "1 text is sent as Unicode, 70 characters to a segment instead of 160, because of: “ ”"),
        ("{{First_Name}} STOP Registrar", ["Ada", "Zoë", "李"], "2 texts are sent as Unicode, 70 characters to a segment instead of 160, because of: ë 李"),
        ("{{First_Name}}`\u200d STOP Registrar", ["Ada"], "because of: ` zero width joiner"),
        ("a" * 480 + "{{First_Name}} STOP Registrar", ["Ada"], "1 text is longer than 3 segments, up to 4"),
        (GOOD, ["Ada", ""], "1 person has no First_Name and gets no text. A fallback would include the person: {{First_Name|there}}."),
        (GOOD, ["Ada", "", " "], "2 people have no First_Name and get no text."),
        (GOOD, ["www.example.com"], "1 text is given a web address by a field of the list."),
        ("{{First_Name}} " + "x" * 1550 + " STOP Registrar", ["A" * 80, "B"], "1 text is too long to be sent"),
        ("Hi {{First_Name}} STOP", ["Ada"], "Name your office, such as “Registrar”"),
        ("Hi {{First_Name}} Registrar", ["Ada"], "does not say how to opt out"),
        ("{{First_Name}}: https://bit.ly/x STOP Registrar", ["Ada"], "shortened links (bit.ly)"),
        ("{{First_Name}} COME TO THE OFFICE NOW, STOP, REGISTRAR", ["Ada"], "capital letters"),
    ],
)  # fmt: skip
def test_what_carriers_and_people_stumble_over_is_said(text, firsts, warning):
    assert any(warning in each for each in previewed(text, *firsts).warnings)


def quiet_in(zone, begins, ends):
    """Quiet hours that began and end so many hours from now on the wall clock of `zone`."""
    there = clock.now().astimezone(ZoneInfo(zone))
    return f"{there - timedelta(hours=begins):%H:%M}-{there + timedelta(hours=ends):%H:%M}"


def test_quiet_hours_are_those_of_each_person_and_the_moments_they_end_are_told(settings):
    contact_list = make_list()
    contact_list.own_fields.create(name="Time_Zone", display_name="Time zone")
    zones = ["America/New_York", "America/New_York", "America/Chicago", "Asia/Tokyo"]
    for number, zone in zip(fiction(4), zones, strict=True):
        make_contact(contact_list, number, extra={"Time_Zone": zone})
    batch = draft(contact_list, text=GOOD)
    settings.QUIET_HOURS = quiet_in("America/New_York", 2, 2)
    found = composing.preview(batch)
    assert (found.waterfall["quiet_hours"], found.waterfall["will_send"], found.recipients) == (3, 1, 4)
    (told,) = [each for each in found.findings if each.code == "quiet_hours"]
    ends = clock.now().astimezone(ZoneInfo("America/New_York")) + timedelta(hours=2)
    assert (
        f"3 texts are held back until quiet hours or holidays end: the first {ends:%d %B, %H:%M %Z}, the last"
        in str(told)
    )
    settings.QUIET_HOURS = quiet_in("Asia/Tokyo", 1, 1)
    assert composing.preview(batch).waterfall["quiet_hours"] == 1


def test_a_time_zone_nobody_can_read_holds_the_text_as_if_nothing_were_known_and_is_told(settings):
    contact_list = make_list()
    contact_list.own_fields.create(name="Time_Zone", display_name="Time zone")
    for place, (number, zone) in enumerate(zip(fiction(5), ["", "Pacific", "garbage", "-5", "x"], strict=True)):
        opted_out = place == 4
        make_contact(contact_list, number, first=f"Ada {place}", extra={"Time_Zone": zone})
        if opted_out:
            consent.opt_out(number, source=ConsentSource.STAFF)
    batch = draft(contact_list, text=GOOD)
    settings.QUIET_HOURS = quiet_in("America/Los_Angeles", 1, 1)  # all the numbers are of New York
    found = composing.preview(batch)
    assert (found.waterfall["quiet_hours"], found.waterfall["will_send"]) == (3, 1)
    (told,) = [each for each in found.findings if each.code == "time_zone"]
    assert str(told) == (
        "Time_Zone of 2 people is no time zone (“garbage” for Ada 2 Park): quiet hours anywhere in the country hold the "
        "text. In the list, write one like America/New_York or Eastern, or nothing: then the number decides."
    )
    contact_list.contacts.exclude(first_name="Ada 1").delete()
    assert not [each for each in composing.preview(batch).findings if each.code == "time_zone"]


def test_texts_that_could_only_leave_too_late_are_told(settings):
    batch = draft(students(2))
    batch.expires_at = clock.now() + timedelta(hours=1)
    settings.QUIET_HOURS = quiet_in("America/New_York", 1, 2)
    seen = composing.preview(batch)
    assert (seen.waterfall["expired"], seen.waterfall["quiet_hours"], seen.recipients) == (2, 0, 0)
    assert [str(each) for each in seen.findings if each.code in {"expires", "quiet_hours"}] == [
        "2 texts are not sent at all: their quiet hours end after the time you set as the latest. "
        "Set a later one, or send the batch earlier."
    ]
    assert seen.samples[0].reason == "expired"
    batch.save()
    with pytest.raises(Wrong, match=r"Nobody would get this text \(2 audience, 2 expired\)") as refused:
        controls.submit(batch, actor=None)
    assert list(refused.value.errors) == ["expires_at"]
    batch.expires_at = clock.now() - timedelta(minutes=1)
    settings.QUIET_HOURS = ""
    seen = composing.preview(batch)
    assert seen.waterfall["expired"] == 2
    assert any("the time you set as the latest is over. Set a later one." in each for each in seen.warnings)
    settings.QUIET_HOURS = quiet_in("America/New_York", 1, 2)
    batch.expires_at = clock.now() + timedelta(hours=3)
    assert not any(each.code == "expires" for each in composing.preview(batch).findings)


def test_a_field_that_left_the_list_since_is_named():
    contact_list = students(1)
    field = SchemaField.objects.create(contact_list=contact_list, name="Dorm", display_name="Dorm")
    batch = draft(contact_list, text="Your hall: {{Dorm}}")
    field.delete()
    with pytest.raises(Wrong, match=r"{{Dorm}} is not a field of “Fall freshmen”"):
        composing.preview(batch)


def test_the_preview_says_what_composing_then_does():
    make_number(fiction(9)[4], opted_out=True)
    first, second = students(6, "A"), students(5, "B", start=4)
    make_contact(second, "+14155550199", first="")
    batch = draft(first, second)
    seen = composing.preview(batch)
    assert compose(begin(batch)).waterfall == seen.waterfall
    assert seen.waterfall == {
        "audience": 12, "duplicates": 2, "invalid": 1, "opted_out": 1, "capped": 0, "expired": 0, "quiet_hours": 0, "will_send": 8,
    }  # fmt: skip


def test_lists_without_contacts_preview_as_nobody():
    found = composing.preview(draft(make_list()))
    assert found.samples == []
    assert found.recipients == 0
    assert found.segments == {"min": 0, "max": 0, "total": 0}


@pytest.mark.parametrize(
    ("text", "firsts", "invalid"),
    [
        (
            "{{First_Name}} " + "x" * 1550 + " STOP Registrar",
            ["Ada", "B" * 90, ""],
            {"blank": 1, "empty": 0, "too_long": 1},
        ),
        ("{{Email_Address}}", ["Ada", "Bea"], {"blank": 2, "empty": 0, "too_long": 0}),
        ("{{Email_Address|}}", ["Ada"], {"blank": 0, "empty": 1, "too_long": 0}),
    ],
)
def test_what_is_invalid_is_told_reason_by_reason_and_sums_up(text, firsts, invalid):
    found = previewed(text, *firsts)
    assert found.invalid == invalid
    assert sum(found.invalid.values()) == found.waterfall["invalid"]


def test_at_most_five_people_with_a_blank_are_named():
    found = previewed(GOOD, "Ada", *[""] * 7)
    blank = [sample for sample in found.samples if sample.reason == "blank"]
    assert len(blank) == 5
    assert {sample.note for sample in blank} == {"Left out: First_Name is blank"}


def test_the_dearest_text_is_shown_with_what_makes_it_dear():
    found = previewed("{{First_Name}} " + "x" * 80 + " STOP Registrar", "Ada", "李", "Bartholomew")
    dearest = next(sample for sample in found.samples if "Dearest" in sample.note)
    assert (dearest.name, dearest.segments, dearest.encoding, dearest.culprits) == ("李 Park", 2, "UCS-2", ("李",))
    assert dearest.contact is not None
    assert next(sample for sample in found.samples if "Longest" in sample.note).name == "Bartholomew Park"


def test_what_forces_unicode_is_named_with_what_to_write_instead():
    found = previewed("{{First_Name}}\u00a0– “class” is moved… 🎉 STOP Registrar", "Zoë")
    (told,) = [each for each in found.findings if each.code == "unicode"]
    assert 'a space for no-break space, - for –, " for “, " for ”, ... for …' in told.remedy
    assert "Nothing plain says the same as 🎉" in told.remedy
    assert "ë in people's fields" in told.remedy


@pytest.mark.parametrize(
    ("text", "first", "remedy"),
    [
        ("{{First_Name}} 🎉 STOP Registrar", "Ada", "Nothing plain says the same; leave out what is not needed."),
        ("{{First_Name}} STOP Registrar", "李", "They stand in people's fields: names are best left as they are."),
        ("{{First_Name}} 🎉 STOP Registrar", "李", "Nothing plain says the same as 🎉; leave out what is not needed. 李 in people's fields: names are best left as they are."),
    ],
)  # fmt: skip
def test_what_forces_unicode_is_named_once_where_there_is_nothing_to_tell_apart(text, first, remedy):
    (told,) = [each for each in previewed(text, first).findings if each.code == "unicode"]
    assert told.remedy == remedy


def test_a_risky_value_of_a_field_is_found_in_the_texts_and_whose_it_is():
    contact_list = make_list()
    SchemaField.objects.create(contact_list=contact_list, name="Note", display_name="Note")
    for place, number in enumerate(fiction(40)):
        note = "SSN 123-45-6789" if place in (31, 37) else "all is well"
        make_contact(contact_list, number, first=f"Student {place}", extra={"Note": note})
    found = composing.preview(draft(contact_list, text="Registrar: {{Note}}. Reply STOP to opt out"))
    (told,) = found.findings
    assert told.code == "ssn"
    assert told.sentence.startswith("For Student 31 Park and 1 more: The text seems to hold a social security number")


@pytest.mark.parametrize("spelled", ["(212) 555-0101", "+12125550101", "212.555.0101"])
def test_anybody_in_the_audience_can_be_previewed(spelled):
    contact_list = students(3)
    batch = draft(contact_list)
    contact = contact_list.contacts.get(number__e164=fiction(2)[1])
    by_number, by_contact = composing.preview_for(batch, spelled), composing.preview_for(batch, contact)
    assert by_number == by_contact == composing.preview_for(batch, contact.number)
    assert (by_number.text, by_number.reason) == (
        "Dear Student 1, class is moved. Reply STOP to opt out. Registrar",
        "",
    )


def test_somebody_who_gets_nothing_can_be_previewed_with_the_reason():
    make_number(fiction(1)[0], opted_out=True)
    sample = composing.preview_for(draft(students(1)), fiction(1)[0])
    assert (sample.reason, sample.note) == ("opted_out", "The person opted out")


@pytest.mark.parametrize(
    ("whom", "sentence"),
    [
        ("212-555-0199", "is not among the people"),
        ("no number", "may not hold letters"),
        ("+12125550102", "is not among"),
    ],
)
def test_somebody_else_is_refused_by_name(whom, sentence):
    make_number("+12125550102")
    with pytest.raises(Wrong, match=sentence):
        composing.preview_for(draft(students(2)), whom)
