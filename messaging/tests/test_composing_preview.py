"""The preview: what a batch would do, sample texts, segments and the warnings staff see before they submit."""

from datetime import timedelta

import pytest

from contacts.models import SchemaField
from messaging import composing
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
        ("Left out: a placeholder has no value", fiction(4)[2], "Park"),
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
        ("“{{First_Name}}” STOP Registrar", ["Ada"], "1 text is sent as Unicode, 67 characters to a segment instead of 153, because of: “ ”"),
        ("{{First_Name}} STOP Registrar", ["Ada", "Zoë", "李"], "2 texts are sent as Unicode, 67 characters to a segment instead of 153, because of: ë 李"),
        ("{{First_Name}}`\u200d STOP Registrar", ["Ada"], "because of: ` zero width joiner"),
        ("a" * 480 + "{{First_Name}} STOP Registrar", ["Ada"], "1 text is longer than 3 segments, up to 4"),
        (GOOD, ["Ada", ""], "1 person has no First_Name and get no text. A fallback would include them: {{First_Name|there}}."),
        (GOOD, ["Ada", "", " "], "2 people have no First_Name and get no text."),
        (GOOD, ["www.example.com"], "1 text is given a web address by a field of the list."),
        ("{{First_Name}} " + "x" * 1550 + " STOP Registrar", ["A" * 80, "B"], "1 text is too long to be sent"),
        ("Hi {{First_Name}} STOP", ["Ada"], "name your office, such as “Registrar”"),
        ("Hi {{First_Name}} Registrar", ["Ada"], "does not say how to opt out"),
        ("{{First_Name}}: https://bit.ly/x STOP Registrar", ["Ada"], "shortened links (bit.ly)"),
        ("{{First_Name}} COME TO THE OFFICE NOW, STOP, REGISTRAR", ["Ada"], "capital letters"),
    ],
)  # fmt: skip
def test_what_carriers_and_people_stumble_over_is_said(text, firsts, warning):
    assert any(warning in each for each in previewed(text, *firsts).warnings)


def test_quiet_hours_are_announced_with_the_moment_they_end(settings):
    batch = draft(students(2))
    now = clock.now()
    batch.unit.time_zone = "UTC"
    settings.QUIET_HOURS = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=2):%H:%M}"
    found = composing.preview(batch)
    assert (found.waterfall["quiet_hours"], found.waterfall["will_send"], found.recipients) == (2, 0, 2)
    assert any(f"{now + timedelta(hours=2):%H:%M} UTC" in each for each in found.warnings)


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
        "audience": 12, "duplicates": 2, "invalid": 1, "opted_out": 1, "capped": 0, "quiet_hours": 0, "will_send": 8,
    }  # fmt: skip


def test_lists_without_contacts_preview_as_nobody():
    found = composing.preview(draft(make_list()))
    assert found.samples == []
    assert found.recipients == 0
    assert found.segments == {"min": 0, "max": 0, "total": 0}
