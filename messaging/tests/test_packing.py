"""Chunks by time zones: who shares a request may be texted at the same hours, and requests are full all the same."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from contacts.models import SchemaField
from messaging import composing, controls, hours, zones
from messaging.composing import audience, packing
from messaging.models import Batch, Chunk, Holiday, forget_holidays
from messaging.statuses import BatchState, Reason
from messaging.tests.composed import at_statement, balanced, begin, compose, draft
from smsportal import clock, providers
from smsportal.tests.world import fiction, make_account, make_contact, make_list, make_unit

pytestmark = pytest.mark.django_db

NIGHT = "21:00-08:00"
EVENING = datetime(2026, 6, 2, 2, 30, tzinfo=UTC)  # 22:30 in New York, 21:30 in Chicago, 20:30 in Denver


@pytest.fixture(autouse=True)
def eleven_at_night_in_the_east(settings, time_machine):
    settings.QUIET_HOURS = NIGHT
    time_machine.move_to(EVENING, tick=False)


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(audience, "PAGE", 7)


@pytest.fixture
def small_calls():
    account = make_account()
    account.max_per_call = 10
    account.save()


def mixed(count, name="Everywhere", step=10):
    """A list of people whose numbers are of twenty area codes in eight sets of zones, in mixed order."""
    contact_list = make_list(name)
    numbers = fiction(count * step)[::step]
    for number in [*numbers[1::3], *numbers[0::3], *numbers[2::3]]:
        make_contact(contact_list, number)
    return contact_list


def zones_by_chunk(batch):
    found = defaultdict(set)
    for chunk, e164 in batch.messages.exclude(chunk=None).values_list("chunk", "number__e164"):
        found[chunk].add(zones.zones_of(e164, "", batch.unit.time_zone))
    return found


def well_packed(batch, limit=10):
    """Each chunk has people of its own zones only, as many as it says, and is full unless it is the last of them."""
    inside, real = zones_by_chunk(batch), Counter(batch.messages.exclude(chunk=None).values_list("chunk", flat=True))
    partly = Counter()
    for chunk in batch.chunks.all():
        assert inside[chunk.pk] == {chunk.zones}
        assert chunk.size == real[chunk.pk] <= limit
        partly[chunk.zones] += chunk.size < limit
    assert not partly or max(partly.values()) <= 1
    return True


def fates_follow_the_clock(batch):
    """Held are exactly those for whom it is night, until it ends for them."""
    rows = batch.messages.exclude(chunk=None).values_list("state", "reason", "chunk__zones", "chunk__not_before")
    for state, reason, own, not_before in rows:
        opens = hours.opens_at(EVENING, zones=own, quiet=NIGHT, holidays=())
        assert not_before == opens
        assert (state, reason) == (("held", Reason.QUIET_HOURS) if opens else ("ready", ""))
    return True


@pytest.mark.usefixtures("small_pages", "small_calls")
def test_people_of_equal_zones_share_chunks_across_pages():
    batch = compose(begin(draft(mixed(100))))
    assert batch.state == BatchState.RUNNING
    assert batch.messages.count() == 100
    assert well_packed(batch)
    assert fates_follow_the_clock(batch)
    assert balanced(batch)
    counts = batch.counts()
    assert counts["held"] > 10 < counts["ready"]
    assert (batch.waterfall["quiet_hours"], batch.waterfall["will_send"]) == (counts["held"], counts["ready"])


@pytest.mark.usefixtures("small_pages", "small_calls")
@pytest.mark.parametrize("planted", ["doubled", "lost"])
def test_the_checks_of_this_module_see_a_mistake(planted):
    batch = compose(begin(draft(mixed(100))))
    full = batch.chunks.filter(size=10).first()
    if planted == "doubled":
        other = batch.chunks.exclude(zones=full.zones).first()
        batch.messages.filter(pk=batch.messages.filter(chunk=full).first().pk).update(chunk=other)
    else:
        batch.messages.filter(chunk=full).first().delete()
    with pytest.raises(AssertionError):
        assert well_packed(batch)


class Killer:
    """Kills the worker before the statement with this number."""

    def __init__(self, at):
        self.left = at

    def __call__(self, execute, *statement):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return execute(*statement)


@pytest.mark.usefixtures("small_pages", "small_calls")
def test_composing_may_be_killed_before_any_statement():
    batch = begin(draft(mixed(40)))
    kills = 0
    while batch.state == BatchState.EXPANDING:
        Batch.objects.update(lease_until=None)  # as if the dead worker's lease had run out
        held = composing.next_batch()
        try:
            with connection.execute_wrapper(Killer(6 + kills)):
                composing.expand(held)
        except KeyboardInterrupt:
            kills += 1
        assert balanced(batch)
        assert well_packed(batch)
    assert kills > 15
    assert batch.state == BatchState.RUNNING
    assert batch.messages.count() == batch.messages.values("number").distinct().count() == 40
    assert fates_follow_the_clock(batch)


@pytest.mark.usefixtures("small_pages", "small_calls")
def test_who_goes_on_in_the_morning_does_not_add_to_what_is_held(time_machine, monkeypatch):
    batch = begin(draft(mixed(40)))
    held = composing.next_batch()
    pages = iter(range(3))
    renew = composing.mine
    monkeypatch.setattr(composing, "mine", lambda claim: renew(claim) if next(pages, None) is not None else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        composing.expand(held)
    monkeypatch.undo()
    night = set(batch.chunks.exclude(not_before=None).values_list("pk", "size"))
    assert night
    time_machine.move_to(EVENING + timedelta(hours=14), tick=False)
    batch.refresh_from_db()
    Batch.objects.update(lease_until=None, late_allowed=True)
    compose(batch)
    assert night <= set(batch.chunks.values_list("pk", "size"))
    assert set(batch.chunks.exclude(pk__in=[pk for pk, _ in night]).values_list("not_before", flat=True)) == {None}
    assert balanced(batch)


@pytest.mark.usefixtures("small_pages", "small_calls")
def test_without_quiet_hours_people_go_together_under_all_their_zones(settings):
    settings.QUIET_HOURS = ""
    batch = compose(begin(draft(mixed(35))))
    assert sorted(batch.chunks.values_list("size", flat=True)) == [5, 10, 10, 10]
    inside = zones_by_chunk(batch)
    for chunk in batch.chunks.all():
        assert chunk.zones == zones.join(name for each in inside[chunk.pk] for name in each.split("|"))
        assert chunk.not_before is None
    assert balanced(batch)


def test_a_chunk_never_has_more_zones_than_can_be_written_down(settings, monkeypatch):
    settings.QUIET_HOURS = ""
    monkeypatch.setattr(zones, "LONGEST", 40)
    batch = compose(begin(draft(mixed(100))))
    assert batch.chunks.count() > 1
    assert all(len(chunk.zones) <= 40 for chunk in batch.chunks.all())
    assert balanced(batch)


def test_holidays_split_by_zones_as_quiet_hours_do(settings):
    settings.QUIET_HOURS = ""
    Holiday.objects.create(day=(EVENING - timedelta(days=1)).date(), name="Founders' Day")  # it is over in no US zone
    forget_holidays()
    batch = compose(begin(draft(mixed(70))))
    assert set(batch.messages.values_list("state", "reason")) == {("held", "quiet_hours")}
    for chunk in batch.chunks.all():
        assert chunk.not_before == hours.opens_at(
            EVENING, zones=chunk.zones, quiet="", holidays=[EVENING.date() - timedelta(days=1)]
        )
    assert len(set(batch.chunks.values_list("not_before", flat=True))) > 3


def test_the_contacts_own_zone_counts_more_than_the_number():
    contact_list = make_list()
    SchemaField.objects.create(contact_list=contact_list, name="Time_Zone", display_name="Time zone")
    own, odd, none = fiction(3)  # all of New York, where it is 22:30
    make_contact(contact_list, own, extra={"Time_Zone": "Pacific/Honolulu"})
    make_contact(contact_list, odd, extra={"Time_Zone": "Eastern"})
    make_contact(contact_list, none)
    batch = compose(begin(draft(contact_list)))
    found = dict(batch.messages.values_list("number__e164", "state"))
    assert found == {own: "ready", odd: "held", none: "held"}


def test_where_each_call_carries_one_text_equal_texts_share_chunks_across_pages(monkeypatch):
    monkeypatch.setattr(audience, "PAGE", 7)
    kind = providers.get(make_account().provider)
    monkeypatch.setattr(kind, "abilities", kind.abilities.__class__(max_per_call=500, shared_text=True))
    contact_list = make_list()
    for place, number in enumerate(fiction(30)):
        make_contact(contact_list, number, first="Ada" if place % 2 else "Bea")
    batch = compose(begin(draft(contact_list, text="Hi {{First_Name}}")))
    assert batch.chunks.count() == 2
    for chunk in batch.chunks.all():
        assert chunk.messages.values("text").distinct().count() == 1
    assert balanced(batch)


def test_chunks_kept_open_do_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(packing, "_KEPT", 3)
    kind = providers.get(make_account().provider)
    monkeypatch.setattr(kind, "abilities", kind.abilities.__class__(max_per_call=500, shared_text=True))
    contact_list = make_list()
    for place, number in enumerate(fiction(12)):
        make_contact(contact_list, number, first=f"Student {place}")
    assert compose(begin(draft(contact_list, text="Hi {{First_Name}}"))).chunks.count() == 12


@pytest.mark.usefixtures("small_pages", "small_calls")
def test_nothing_is_added_to_a_chunk_that_is_not_waiting_any_more():
    batch = begin(draft(mixed(40)))
    held = composing.next_batch()
    with at_statement([3], lambda: Chunk.objects.update(state="empty")) as pages:
        composing.expand(held)
    assert len(pages) == 3
    batch.refresh_from_db()
    assert (batch.state, batch.lease_until, batch.recipients) == (BatchState.EXPANDING, None, 14)


def test_zones_without_a_common_hour_pause_the_batch_with_the_remedy(settings):
    settings.QUIET_HOURS = "09:00-08:59"
    batch = begin(draft(mixed(1)))
    Holiday.objects.bulk_create(Holiday(day=EVENING.date() + timedelta(days=n), name="Break") for n in range(-2, 70))
    forget_holidays()
    compose(batch)
    assert (batch.state, batch.recipients) == (BatchState.PAUSED, 0)
    assert "shorten the quiet hours" in batch.problem
    assert controls.cancel(batch, actor=None).state == BatchState.CANCELLED
    assert make_unit().batches.count() == 1
    assert clock.now() == EVENING
