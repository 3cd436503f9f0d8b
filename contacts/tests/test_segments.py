"""Segments: conditions are checked with the remedy, and both databases find exactly the contacts that meet them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts import segments
from contacts.models import Contact, Segment
from contacts.segments import TESTS, contacts_of, found, in_words, refuse
from smsportal import clock
from smsportal.problems import Wrong
from smsportal.tests.world import fiction, make_contact, make_list

pytestmark = pytest.mark.django_db


def condition(field, test, value=""):
    return {"field": field, "test": test, "value": value}


@pytest.fixture
def students():
    """Four students with majors, one without any, and two nobody writes to."""
    contact_list = make_list()
    contact_list.own_fields.create(name="Major", display_name="Major")
    majors = ["Biology", "biology & ecology", "Économie (licence)", "", "Law", "Law"]
    for place, (number, major) in enumerate(zip(fiction(6, 45), majors, strict=True)):
        make_contact(
            contact_list,
            number,
            first=f"Student {place}",
            email=f"s{place}@example.edu" if place % 2 else "",
            extra={"Major": major} if major else {},
            active=place != 4,
            removed_at=clock.now() if place == 5 else None,
        )
    make_contact(make_list("Others"), "+13125550150", first="Elsewhere")
    return contact_list


def places(contact_list, *conditions, match="all"):
    rows = found(contact_list, match, refuse(contact_list, match, conditions))
    return [int(first.split()[1]) for first in rows.order_by("pk").values_list("first_name", flat=True)]


@pytest.mark.parametrize(
    ("field", "test", "value", "expected"),
    [
        ("Major", "is", "biology", [0]),
        ("Major", "is", " BIOLOGY ", [0]),
        ("Major", "is", "économie (LICENCE)", [2]),
        ("Major", "is", "Bio.*", []),
        ("Major", "is_not", "Biology", [1, 2, 3]),
        ("Major", "contains", "bio", [0, 1]),
        ("Major", "contains", "&", [1]),
        ("Major", "contains", "(l", [2]),
        ("Major", "starts_with", "éc", [2]),
        ("Major", "starts_with", "logy", []),
        ("Major", "one_of", "Biology, économie (licence), None such", [0, 2]),
        ("Major", "one_of", "Biology\nLaw", [0]),
        ("Major", "is_blank", "", [3]),
        ("Major", "is_not_blank", "ignored", [0, 1, 2]),
        ("Email_Address", "is_blank", "", [0, 2]),
        ("Email_Address", "contains", "@EXAMPLE", [1, 3]),
        ("First_Name", "one_of", "student 0,student 3", [0, 3]),
        ("Last_Name", "is", "park", [0, 1, 2, 3]),
        ("Phone_Number", "starts_with", "213", []),
        ("Phone_Number", "starts_with", "(212) 555-01", [0, 1, 2, 3]),
        ("Phone_Number", "starts_with", "+1 212", [0, 1, 2, 3]),
        ("Phone_Number", "starts_with", "+212", []),
        ("Phone_Number", "contains", "5-0146", [1]),
        ("Phone_Number", "is", "212-555-0147", [2]),
        ("Phone_Number", "is_not", "212 555 0147", [0, 1, 3]),
        ("Phone_Number", "one_of", "(212) 555-0145, +12125550148", [0, 3]),
    ],
)
def test_each_test_finds_its_contacts(students, field, test, value, expected):
    assert places(students, condition(field, test, value)) == expected


def test_all_or_any_of_the_conditions(students):
    two = condition("Major", "contains", "bio"), condition("Email_Address", "is_not_blank")
    assert places(students, *two) == [1]
    assert places(students, *two, match="any") == [0, 1, 3]


def test_a_saved_segment_is_found_anew_each_time(students):
    conditions = refuse(students, "all", [condition("Major", "is", "Biology")])
    segment = Segment.objects.create(
        unit=students.unit, contact_list=students, name="Biologists", conditions=conditions
    )
    assert contacts_of(segment).count() == 1
    make_contact(students, "+13125550199", first="New", extra={"Major": "Biology"})
    assert contacts_of(segment).count() == 2
    assert in_words(segment) == "Major is Biology"


@pytest.mark.parametrize(
    ("match", "conditions", "field", "sentence"),
    [
        ("some", [condition("First_Name", "is", "Ada")], "match", "“all” of the conditions or “any”"),
        ("all", [], "conditions", "Add at least one condition"),
        ("all", [condition("Shoe", "is", "9")], "conditions", "Condition 1: “Shoe” is not a field of “Fall freshmen”; there are: Phone_Number,"),
        ("all", [condition("Major", "is", "Law"), condition("Major", "like", "x")], "conditions", "Condition 2: “like” is not a test; there are: is,"),
        ("all", [condition("Major", "is", "  ")], "conditions", "the test “is_blank”"),
        ("all", [condition("Major", "one_of", ", ,")], "conditions", "say what Major is compared with"),
        ("all", [condition("Major", "is", "x" * 2001)], "conditions", "2,001 characters; at most 2,000"),
        ("all", [condition("Phone_Number", "is", "555-HELP")], "conditions", "may not hold letters"),
        ("all", [condition("Phone_Number", "contains", "abc")], "conditions", "no digits to look for"),
        ("all", [condition("Major", "is", "Law")] * 21, "conditions", "21 conditions; a segment has at most 20"),
        ("all", ["Major"], "conditions", "Condition 1: “” is not a field"),
    ],
)  # fmt: skip
def test_a_bad_condition_is_refused_with_the_remedy(students, match, conditions, field, sentence):
    with pytest.raises(Wrong) as refused:
        refuse(students, match, conditions)
    assert any(sentence in each for each in refused.value.errors[field])


def test_a_field_with_two_underscores_is_one_field():
    contact_list = make_list()
    contact_list.own_fields.create(name="Home__Town", display_name="Home town")
    make_contact(contact_list, extra={"Home__Town": "Springfield"})
    assert found(contact_list, "all", [condition("Home__Town", "is", "springfield")]).count() == 1


def meets(value, each):
    """One condition in plain Python: slow and obvious."""
    value, wanted = value.casefold(), each["value"].casefold()
    return {
        "is": value == wanted,
        "is_not": value != wanted,
        "contains": wanted in value,
        "starts_with": value.startswith(wanted),
        "one_of": bool(value) and value in [part.strip() for part in wanted.split(",")],
        "is_blank": not value,
        "is_not_blank": bool(value),
    }[each["test"]]


def checked_against_python(contacts_found, values, each):
    """Assert that a way of finding contacts agrees with `meets` for these values of one field."""
    contact_list = make_list("Tried")
    contact_list.own_fields.create(name="Major", display_name="Major")
    try:
        for number, value in zip(fiction(len(values)), values, strict=True):
            make_contact(contact_list, number, first=value, extra={"Major": value} if value else {})
        rows = contacts_found(contact_list, "all", [each])
        assert sorted(rows.values_list("first_name", flat=True)) == sorted(v for v in values if meets(v, each))
    finally:
        contact_list.delete()


WORDS = st.text("aAbB.*\\|(%_é", max_size=4)
SOUGHT = st.text("aAbB.*\\|(%_é", min_size=1, max_size=2)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(WORDS, min_size=1, max_size=6), st.sampled_from(["First_Name", "Major"]), st.sampled_from([*TESTS]), SOUGHT
)
def test_any_values_are_found_as_plain_python_finds_them(values, field, test, value):
    checked_against_python(found, values, condition(field, test, value))


@pytest.mark.parametrize(
    ("wrong", "each"),
    [
        (lambda *given: found(*given).exclude(extra={}), condition("Major", "is_not", "a")),  # blanks are not “not a”
        (lambda *_: Contact.objects.filter(first_name__regex="a.b"), condition("Major", "contains", "a.b")),
        (lambda *_: Contact.objects.filter(first_name="A"), condition("Major", "is", "a")),
    ],
)
def test_the_comparison_catches_planted_mistakes(wrong, each):
    with pytest.raises(AssertionError):
        checked_against_python(wrong, ["a.b", "axb", "A", "a", ""], each)


def test_every_test_has_words_and_a_pattern(students):
    assert set(TESTS) >= segments.WITHOUT_VALUE
    for test in TESTS:
        assert found(students, "all", [condition("Major", test, "x")]).count() >= 0
