"""Many rows at once: what goes in comes out again, on both databases, whatever it is."""

import itertools
import uuid
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from contacts.models import Contact, PhoneNumber
from messaging.models import Chunk
from messaging.tests.composed import begin, draft, students
from smsportal import clock
from smsportal.sql import insert_each, insert_missing, new_uuids, update_each
from smsportal.tests.world import fiction, make_list, make_number
from smsportal.text import clean

pytestmark = pytest.mark.django_db

texts = st.text(max_size=60).map(clean)
nasty = "back\\slash, \\N, tab\t, line\nand\rreturn, “quotes”, 'single', \\t\\\\, %s {}, 𝄞 \\."


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(st.tuples(texts, st.dictionaries(texts, texts, max_size=3)), min_size=1, max_size=5))
@example([(nasty, {"Note": nasty, nasty: ""}), ("", {}), ("\\N", {"a": "\\N"})])
def test_what_is_inserted_is_read_again(given_rows):
    Contact.objects.all().delete()
    contact_list = make_list(f"List {uuid.uuid4()}")
    numbers = [make_number(e164).pk for e164 in fiction(len(given_rows))]
    names = [(clean(name)[:60], extra) for name, extra in given_rows]
    uuids = new_uuids(len(names))
    now = clock.now()
    same = {
        field.name: field.get_default()
        for field in Contact._meta.concrete_fields
        if field.name not in {"id", "uuid", "number", "first_name", "extra"}
    }
    same |= {"contact_list": contact_list.pk, "created_at": now, "updated_at": now, "active": True}
    rows = [(own, number, name, extra) for own, number, (name, extra) in zip(uuids, numbers, names, strict=True)]
    insert_each(Contact, ["uuid", "number", "first_name", "extra"], rows, same)
    found = Contact.objects.filter(contact_list=contact_list).order_by("number_id")
    assert [(each.first_name, each.extra) for each in found] == names
    assert [each.uuid for each in found] == [uuid.UUID(own) for own in uuids]
    assert {(each.active, each.created_at, each.removed_at) for each in found} == {(True, now, None)}


def test_nothing_to_insert_is_nothing():
    insert_each(PhoneNumber, ["uuid", "e164"], [], {})
    insert_missing(PhoneNumber, ["uuid", "e164"], [], {})


@pytest.mark.parametrize("make", [uuid.uuid4, lambda: new_uuids(1)[0]])
def test_what_is_there_already_is_left_out(make):
    here = make_number(fiction(1)[0], opted_out=True)
    now = clock.now()
    same = {"opted_out": False, "staff_block": False, "consent_at": None, "created_at": now, "updated_at": now}
    insert_missing(PhoneNumber, ["uuid", "e164"], [(make(), e164) for e164 in fiction(3)], same)
    assert PhoneNumber.objects.count() == 3
    here.refresh_from_db()
    assert here.opted_out


def test_new_uuids_are_new_in_order_and_well_formed(time_machine):
    start = clock.now()
    found = []
    for step in range(5):
        time_machine.move_to(start + timedelta(milliseconds=2 * step), tick=False)
        found.append(new_uuids(2000))
    every = [uuid.UUID(digits) for batch in found for digits in batch]
    assert len(set(every)) == 10_000
    assert {(each.version, each.variant) for each in every} == {(7, uuid.RFC_4122)}
    assert [max(batch) < min(later) for batch, later in itertools.pairwise(found)] == [True] * 4
    assert [each.hex for each in every[:3]] == found[0][:3]
    for place in range(13, 32):  # each of the other digits takes all its values
        seen = {digits[place] for batch in found for digits in batch}
        assert seen == set("89ab" if place == 16 else "0123456789abcdef")


def test_only_rows_that_still_are_as_expected_are_updated():
    batch = begin(draft(students(2)))
    ready, done = (Chunk.objects.create(batch=batch, size=1, state=state) for state in ("ready", "empty"))
    rows = [(ready.pk, 2, "UTC"), (done.pk, 2, "UTC")]
    assert update_each(Chunk, ["size", "zones"], rows, where="state = 'ready'") == 1
    assert sorted(Chunk.objects.values_list("size", "zones")) == [(1, ""), (2, "UTC")]
