"""Segments in the admin: conditions in rows, counted before they are kept, changed and removed."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from contacts.models import Segment
from smsportal.tests.world import fiction, make_contact, make_list, make_number, make_unit, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def contact_list():
    made = make_list()
    made.own_fields.create(name="Major", display_name="Major")
    make_number(fiction(2)[1], opted_out=True)
    for place, (number, major) in enumerate(zip(fiction(8), ["Law"] * 7 + ["Art"], strict=True)):
        make_contact(made, number, first=f"Student {place}", extra={"Major": major})
    return made


def signed_in(*groups, username="sue", **more):
    client = Client()
    client.force_login(make_user(username, groups=groups, **more))
    return client


@pytest.fixture
def client(contact_list):
    return signed_in("Sender")


def url(page, *args):
    return reverse(f"admin:contacts_segment_{page}", args=args)


def form(*conditions, **more):
    given = {"name": "Lawyers", "match": "all", **more}
    for part, place in (("field", 0), ("test", 1), ("value", 2)):
        given[part] = [condition[place] for condition in conditions]
    return given


LAW, BLANK = ("Major", "is", "law"), ("", "is", "")


def test_the_list_is_asked_for_first_and_then_its_conditions(client, contact_list):
    assert "Of which list?" in client.get(url("add")).text
    page = client.get(url("add"), {"list": contact_list.pk}).text
    assert 'aria-label="Condition 1"' in page
    assert '<option value="Major">Major</option>' in page


def test_conditions_are_counted_without_keeping_anything(client, contact_list):
    where = f"{url('write')}?list={contact_list.pk}"
    page = client.post(where, form(LAW, BLANK, name="", count="1")).text
    assert "7 contacts now" in page
    assert "1 of them opted out" in page
    assert "The first 5:" in page
    assert "Student 0 Park" in page
    assert 'value="law"' in page
    assert not Segment.objects.exists()
    assert "Nobody meets these conditions" in client.post(where, form(("Major", "is", "x"), count="1")).text
    assert "Add at least one condition" in client.post(where, form(BLANK, count="1")).text


def test_a_segment_is_kept_changed_and_removed(client, contact_list):
    client.post(f"{url('write')}?list={contact_list.pk}", form(LAW, BLANK))
    made = Segment.objects.get()
    assert (made.name, made.conditions) == ("Lawyers", [{"field": "Major", "test": "is", "value": "law"}])
    page = client.get(url("change", made.pk)).text
    assert "7 contacts now" in page
    assert f"?segments={made.pk}" in page
    client.post(url("change", made.pk), form(LAW, ("First_Name", "is", "student 3"), match="any", name="Some"))
    made.refresh_from_db()
    assert (made.name, made.match, len(made.conditions)) == ("Some", "any", 2)
    assert "Major is law or First Name is student 3" in client.get(url("changelist")).text
    assert "its contacts stay in" in client.get(url("do", made.pk, "remove")).text
    client.post(url("do", made.pk, "remove"))
    assert not Segment.objects.exists()
    assert contact_list.contacts.count() == 8


def test_what_is_wrong_is_told_and_what_was_typed_stays(client, contact_list):
    where = f"{url('write')}?list={contact_list.pk}"
    page = client.post(where, form(LAW, ("Major", "is", "")))
    assert "Condition 2: say what Major is compared with" in page.text
    assert 'value="law"' in page.text
    assert "This field is required" in client.post(where, form(LAW, name="")).text
    assert not Segment.objects.exists()


def test_who_may_only_look_changes_nothing(contact_list):
    made = Segment.objects.create(
        unit=contact_list.unit, contact_list=contact_list, name="Lawyers",
        conditions=[{"field": "Major", "test": "is", "value": "law"}],
    )  # fmt: skip
    viewer = signed_in("Viewer", username="vic")
    assert "Keep the segment" not in viewer.get(url("change", made.pk)).text
    viewer.post(url("change", made.pk), form(LAW, name="Mine"))
    made.refresh_from_db()
    assert made.name == "Lawyers"
    assert viewer.get(url("write")).status_code == 403
    stranger = signed_in("Sender", username="hal", units=[make_unit("Housing")])
    assert "belongs to a unit that is not yours" in stranger.get(url("change", made.pk), follow=True).text
    assert "Of which list?" in stranger.get(url("add"), {"list": contact_list.pk}).text


def test_a_segment_whose_field_is_gone_says_so(client, contact_list):
    gone = [{"field": "Dorm", "test": "is", "value": "North"}]
    made = Segment.objects.create(unit=contact_list.unit, contact_list=contact_list, name="North", conditions=gone)
    assert "“Dorm” is not a field of “Fall freshmen”" in client.get(url("change", made.pk)).text.replace("&quot;", '"')
