"""The cap: nobody gets more texts of batches in a day than allowed, nor the same text twice within minutes."""

from datetime import timedelta

import pytest

from messaging import composing
from messaging.composing import capping
from messaging.models import Attempt, Batch
from messaging.tests.composed import balanced, begin, compose, draft, sent, states, students
from smsportal import clock
from smsportal.tests.world import make_contact

pytestmark = pytest.mark.django_db

OTHER = "{{First_Name}}, another text. Reply STOP to opt out. Registrar"


@pytest.fixture(autouse=True)
def any_hour(settings):
    settings.QUIET_HOURS = ""


def capped(batch):
    return composing.preview(batch).waterfall["capped"]


def test_nobody_gets_more_texts_of_batches_in_a_day_than_the_cap(settings):
    settings.MAX_TEXTS_PER_DAY = 2
    contact_list = students(3)
    for place in range(2):
        assert capped(draft(contact_list)) == 0
        sent(contact_list, f"{OTHER} {place}")
    make_contact(contact_list, "+14155550199", first="New")
    batch = compose(begin(draft(contact_list)))
    assert (batch.waterfall["capped"], batch.waterfall["will_send"]) == (3, 1)
    assert sorted(set(states(batch).values())) == ["ready", "skipped capped"]
    assert balanced(batch)


@pytest.mark.parametrize(
    ("state", "hours", "counts"),
    [
        ("accepted", 23, True), ("accepted", 25, False), ("unknown", 1, True), ("written_off", 1, True),
        ("submitting", 1, True), ("held", 30, True), ("ready", 30, True), ("rejected", 1, False), ("skipped", 1, False),
    ],
)  # fmt: skip
def test_what_left_within_a_day_or_will_leave_is_counted(settings, state, hours, counts):
    settings.MAX_TEXTS_PER_DAY = 1
    contact_list = students(1)
    at = clock.now() - timedelta(hours=hours)
    earlier = sent(contact_list, OTHER, at, state=state)
    Batch.objects.filter(pk=earlier.pk).update(finished_at=None)
    assert capped(draft(contact_list)) == counts


def test_a_text_held_over_night_counts_from_when_it_left(settings):
    settings.MAX_TEXTS_PER_DAY = 1
    contact_list = students(1)
    earlier = sent(contact_list, OTHER, clock.now() - timedelta(hours=30))
    Batch.objects.filter(pk=earlier.pk).update(finished_at=clock.now() - timedelta(hours=20))
    assert capped(draft(contact_list)) == 0
    attempt = Attempt.objects.create(chunk=earlier.chunks.get(), fence=1, texts=1)
    assert capped(draft(contact_list)) == 1
    Attempt.objects.filter(pk=attempt.pk).update(created_at=clock.now() - timedelta(hours=25))
    assert capped(draft(contact_list)) == 0


def test_a_batch_for_tomorrow_looks_at_the_day_before_it_is_sent(settings):
    settings.MAX_TEXTS_PER_DAY = 1
    contact_list = students(1)
    sent(contact_list, OTHER, clock.now() - timedelta(hours=5))
    assert capped(draft(contact_list)) == 1
    assert capped(draft(contact_list, send_at=clock.now() + timedelta(hours=18))) == 1
    assert capped(draft(contact_list, send_at=clock.now() + timedelta(hours=20))) == 0


def test_single_texts_are_not_counted_and_no_cap_is_no_cap(settings):
    settings.MAX_TEXTS_PER_DAY = 1
    contact_list = students(1)
    earlier = sent(contact_list, OTHER)
    assert capped(draft(contact_list)) == 1
    Batch.objects.filter(pk=earlier.pk).update(single=True)
    assert capped(draft(contact_list)) == 0
    Batch.objects.filter(pk=earlier.pk).update(single=False)
    settings.MAX_TEXTS_PER_DAY = 0
    assert capped(draft(contact_list)) == 0


@pytest.mark.parametrize(("minutes", "text", "expected"), [(3, OTHER, 2), (3, "Else", 0), (11, OTHER, 0)])
def test_the_same_text_again_within_ten_minutes_is_left_out(minutes, text, expected):
    contact_list = students(2)
    sent(contact_list, OTHER, clock.now() - timedelta(minutes=minutes))
    assert capped(draft(contact_list, text=text)) == expected


def test_the_cap_asks_a_query_or_two_a_page_and_nothing_without_other_batches(django_assert_num_queries, settings):
    contact_list = students(30)
    batch = draft(contact_list)
    with django_assert_num_queries(1):
        assert capping.Lately(batch).over([(1, "x")]) == set()
    sent(contact_list, OTHER, clock.now() - timedelta(hours=2))
    lately = capping.Lately(batch)
    numbers = [(number, "x") for number in contact_list.contacts.values_list("number", flat=True)]
    with django_assert_num_queries(1):
        lately.over(numbers)
    sent(contact_list, OTHER + "!", clock.now() - timedelta(minutes=2))
    lately = capping.Lately(batch)
    with django_assert_num_queries(2):
        lately.over(numbers)


def test_only_messages_from_the_oldest_that_can_matter_are_looked_at():
    contact_list = students(3)
    old = sent(contact_list, OTHER, clock.now() - timedelta(days=9))
    young = sent(contact_list, OTHER + "!", clock.now() - timedelta(hours=2))
    first = young.messages.order_by("pk").first().pk
    assert capping.Lately(draft(contact_list)).floor == first
    Batch.objects.filter(pk=old.pk).update(finished_at=None)  # something of it may still leave
    assert capping.Lately(draft(contact_list)).floor <= old.messages.order_by("pk").first().pk
