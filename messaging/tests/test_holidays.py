"""Holidays: rows of a unit or of all, public ones by setting, and the page on which staff keep them."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.test import Client

from messaging import controls, sending, sweeping
from messaging.models import Chunk, Holiday, forget_holidays, holidays_of, public_holidays
from messaging.sending import holding
from messaging.tasks import drain_all
from messaging.tests.composed import balanced
from messaging.tests.test_sending_races import meanwhile
from smsportal.problems import Wrong
from smsportal.tests.world import fiction, make_account, make_batch, make_unit, make_user

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 25, 17, 0, tzinfo=UTC)  # the day before Thanksgiving
PAGE = "/admin/messaging/holiday/"


@pytest.fixture(autouse=True)
def the_day_before_thanksgiving(settings, time_machine):
    settings.QUIET_HOURS, settings.HOLIDAYS = "", []
    time_machine.move_to(NOON, tick=False)


def test_a_unit_has_its_own_days_and_those_of_all(settings):
    mine, other = make_unit(), make_unit("Advising")
    Holiday.objects.create(day="2026-12-24", name="Days between the years")
    Holiday.objects.create(day="2026-11-27", name="Registrar's outing", unit=mine)
    Holiday.objects.create(day="2020-11-27", name="Long ago")
    assert holidays_of(mine.pk) == {date(2026, 12, 24), date(2026, 11, 27)}
    assert holidays_of(other.pk) == {date(2026, 12, 24)}
    settings.HOLIDAYS = ["US"]
    forget_holidays()
    assert {date(2026, 11, 26), date(2026, 12, 24), date(2027, 7, 5), date(2025, 12, 25)} <= holidays_of(other.pk)


def test_the_days_are_read_once_a_minute(django_assert_num_queries, monkeypatch):
    from messaging.models import calendar

    passed = [1000.0]
    monkeypatch.setattr(calendar.time, "monotonic", lambda: passed[0])
    unit = make_unit()
    with django_assert_num_queries(1):
        assert [holidays_of(unit.pk) for _ in range(3)] == [frozenset()] * 3
    Holiday.objects.create(day="2026-11-26", name="Thanksgiving")
    assert not holidays_of(unit.pk)
    passed[0] += 60
    assert holidays_of(unit.pk) == {date(2026, 11, 26)}


def test_public_holidays_are_those_of_the_place_with_days_in_lieu():
    years = (2026,)
    assert public_holidays(("US",), years)[date(2026, 7, 3)] == "Independence Day (observed)"
    assert date(2026, 2, 12) in public_holidays((" us-il ",), years)
    assert date(2026, 2, 12) not in public_holidays(("US-CA",), years)
    assert date(2026, 7, 1) in public_holidays(("US", "CA"), years)
    assert public_holidays((), years) == {}


@pytest.mark.parametrize("place", ["XX", "US-ZZ", "Illinois", ""])
def test_a_place_nobody_knows_is_refused_with_the_remedy(place):
    with pytest.raises(Wrong, match="like US or US-IL"):
        public_holidays((place,), (2026,))


def test_a_holiday_entered_while_texts_wait_holds_them_until_it_is_over(twin, time_machine):
    batch = make_batch(fiction(3))
    Holiday.objects.create(day="2026-11-25", name="Snow day")
    forget_holidays()
    sending.send_next()
    assert batch.counts()["held"] == 3
    chunk = batch.chunks.get()
    assert chunk.not_before == datetime(2026, 11, 26, 5, 0, tzinfo=UTC)  # midnight in New York
    assert not sending.send_next()
    time_machine.move_to(chunk.not_before, tick=False)
    assert sending.send_next()
    assert batch.counts()["accepted"] == 3
    assert balanced(batch)


def test_a_single_text_waits_on_a_holiday_too():
    Holiday.objects.create(day="2026-11-25", name="Snow day", unit=make_unit())
    forget_holidays()
    message = controls.send_single(
        actor=None, unit=make_unit(), account=make_account(), sender="+13125550190", to=fiction(1)[0], text="Hello"
    )
    assert (message.state, message.reason) == ("held", "quiet_hours")
    assert message.chunk.not_before == datetime(2026, 11, 26, 5, 0, tzinfo=UTC)


# --- what waits already ---------------------------------------------------------------------------------------------
MIDNIGHT = datetime(2026, 11, 26, 5, 0, tzinfo=UTC)  # in New York


@pytest.fixture
def held():
    """A batch of three and a single text that a snow day holds, and the day."""
    day = Holiday.objects.create(day="2026-11-25", name="Snow day")
    forget_holidays()
    batch = make_batch(fiction(3))
    one = controls.send_single(
        actor=None, unit=make_unit(), account=make_account(), sender="+13125550190", to=fiction(4)[3], text="Hello"
    )
    return SimpleNamespace(batch=batch, single=one.batch, day=day)


def waits(batch):
    return batch.counts()["held"], set(batch.chunks.values_list("not_before", flat=True))


def test_a_holiday_that_is_removed_holds_nothing_any_more(twin, held):
    assert waits(held.batch) == (3, {MIDNIGHT})
    assert sweeping.settle().moved == 0, "nothing has changed"
    held.day.delete()
    forget_holidays()
    assert not sending.send_next(), "the control: without the sweeper it would wait until midnight"
    assert sweeping.settle().moved == 2
    assert (waits(held.batch), waits(held.single)) == ((0, {None}), (0, {None}))
    assert set(held.batch.messages.values_list("state", "reason")) == {("ready", "")}
    drain_all()
    assert len(twin.ocelot.sent) == 4
    assert balanced(held.batch)


def test_a_holiday_that_is_added_moves_what_waits(held):
    Holiday.objects.create(day="2026-11-26", name="Snow again", unit=held.batch.unit)
    forget_holidays()
    assert sweeping.settle().moved == 2
    assert waits(held.batch) == (3, {MIDNIGHT + timedelta(days=1)})
    Holiday.objects.filter(name="Snow again").update(unit=make_unit("Advising"))
    forget_holidays()
    assert sweeping.settle().moved == 2
    assert waits(held.batch) == (3, {MIDNIGHT})


def test_a_batch_that_is_paused_waits_for_the_right_hour_too(held):
    controls.pause(held.batch, actor=None)
    held.day.delete()
    forget_holidays()
    sweeping.settle()
    assert waits(held.batch) == (0, {None})


def test_quiet_hours_that_are_set_otherwise_count_for_what_waits(held, settings):
    settings.QUIET_HOURS = "21:00-08:00"
    sweeping.settle()
    assert waits(held.batch) == (3, {MIDNIGHT + timedelta(hours=8)})


def test_hours_that_never_open_leave_what_waits_as_it_is(held, settings):
    settings.QUIET_HOURS = "00:00-23:59"
    Chunk.objects.filter(batch=held.batch).update(zones="America/New_York|Asia/Tokyo|Europe/Berlin|UTC")
    held.day.delete()
    forget_holidays()
    assert sweeping.settle().moved == 1
    assert waits(held.batch) == (3, {MIDNIGHT})


def test_a_worker_that_remembers_a_removed_day_holds_it_for_a_minute_at_most(twin, held):
    held.day.delete()
    assert sweeping.settle().moved == 0, "so does the sweeper"
    Chunk.objects.update(not_before=None)
    assert sending.send_next()
    assert not twin.ocelot.sent
    forget_holidays()
    drain_all()
    assert len(twin.ocelot.sent) == 4


def test_what_may_never_leave_pauses_its_batch_and_holds_up_no_other(twin):
    closed, free = make_batch(fiction(3)), make_batch(fiction(2, 10), list_name="Second")
    other = make_unit("Advising")
    type(free).objects.filter(pk=free.pk).update(unit=other)
    unit = closed.unit
    Holiday.objects.bulk_create(
        Holiday(day=NOON.date() + timedelta(days=each), name="Break", unit=unit) for each in range(75)
    )
    forget_holidays()
    drain_all()
    closed.refresh_from_db()
    assert {each["e164"] for each in twin.ocelot.sent} == set(fiction(2, 10))
    assert (closed.state, closed.resume_to) == ("paused", "running")
    assert "Within 60 days there is no moment" in closed.problem
    (alert,) = closed.alerts.all()
    assert "Resume it to send what may leave, or cancel it." in alert.text
    Holiday.objects.all().delete()
    forget_holidays()
    controls.resume(closed, actor=None)
    assert sweeping.settle().moved == 1
    drain_all()
    assert len(twin.ocelot.sent) == 5
    assert balanced(closed)


def test_many_chunks_are_moved_page_by_page(held, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(holding, "CHUNKS", 4)
    Chunk.objects.bulk_create(
        Chunk(batch=held.batch, size=1, zones="America/New_York", not_before=MIDNIGHT) for _ in range(9)
    )
    with django_assert_max_num_queries(2):
        assert holding.hold_anew() == 0
    held.day.delete()
    forget_holidays()
    assert holding.hold_anew() == 11
    assert not Chunk.objects.exclude(not_before=None).exists()


@pytest.mark.parametrize("words", ["SELECT DISTINCT", 'UPDATE "messaging_chunk"'])
@pytest.mark.django_db(transaction=True)
def test_a_batch_cancelled_while_it_is_let_go_sends_nothing(twin, held, words):
    held.day.delete()
    forget_holidays()
    with meanwhile(words, lambda: controls.cancel(held.batch, actor=None)):
        sweeping.settle()
    drain_all()
    assert held.batch.counts()["skipped"] == 3
    assert [text["e164"] for text in twin.ocelot.sent] == [fiction(4)[3]]


# --- the page -------------------------------------------------------------------------------------------------------
@pytest.fixture
def client():
    browser = Client()
    browser.force_login(make_user(groups=("Administrator",)))
    return browser


def test_staff_enter_change_and_remove_a_day(client):
    assert client.post(f"{PAGE}add/", {"day": "2026-12-24", "name": "Break", "unit": ""}).status_code == 302
    row = Holiday.objects.get()
    assert holidays_of(make_unit().pk) == {row.day}
    again = client.post(f"{PAGE}add/", {"day": "2026-12-24", "name": "Again", "unit": ""})
    assert "There is a holiday of all units on this day already." in again.text
    client.post(f"{PAGE}{row.pk}/change/", {"day": "2026-12-23", "name": "Break", "unit": ""})
    assert holidays_of(make_unit().pk) == {date(2026, 12, 23)}
    page = client.get(PAGE).text
    assert "Wednesday" in page
    assert "All units" in page
    client.post(f"{PAGE}{row.pk}/delete/", {"post": "yes"})
    assert holidays_of(make_unit().pk) == frozenset()


def test_the_page_says_which_public_holidays_are_kept(client, settings):
    assert "Public holidays are not kept by themselves" in client.get(PAGE).text
    settings.HOLIDAYS = ["US-IL"]
    page = client.get(PAGE).text
    assert "The public holidays of US-IL are kept besides" in page
    assert "Thanksgiving Day on Thursday, 26 November 2026." in page
    settings.HOLIDAYS = ["US-ZZ"]
    assert "HOLIDAYS names “US-ZZ”" in client.get(PAGE).text


def test_people_see_their_own_days_and_those_of_all_but_change_neither():
    Holiday.objects.create(day="2026-12-24", name="Of all")
    Holiday.objects.create(day="2026-12-25", name="Of mine", unit=make_unit())
    Holiday.objects.create(day="2026-12-26", name="Of others", unit=make_unit("Advising"))
    browser = Client()
    browser.force_login(make_user("viewer", groups=("Viewer",)))
    page = browser.get(PAGE).text
    assert ("Of all" in page, "Of mine" in page, "Of others" in page) == (True, True, False)
    assert browser.get(f"{PAGE}add/").status_code == 403


def test_who_sees_only_some_units_does_not_touch_the_days_of_all():
    everybody = Holiday.objects.create(day="2026-12-24", name="Of all")
    own = Holiday.objects.create(day="2026-12-25", name="Of mine", unit=make_unit())
    some = make_user("some")
    some.user_permissions.set(
        make_user(groups=("Administrator",)).groups.get().permissions.exclude(codename="see_all_units")
    )
    browser = Client()
    browser.force_login(some)
    given = {"day": "2026-12-28", "name": "Changed", "unit": make_unit().pk}
    assert browser.post(f"{PAGE}{everybody.pk}/change/", given).status_code == 403
    assert browser.post(f"{PAGE}{everybody.pk}/delete/", {"post": "yes"}).status_code == 403
    assert browser.post(f"{PAGE}{own.pk}/change/", given).status_code == 302
    assert "This field is required" in browser.post(f"{PAGE}add/", {**given, "unit": ""}).text


def test_many_days_cost_no_more_queries(client, django_assert_max_num_queries):
    unit = make_unit()
    Holiday.objects.bulk_create(Holiday(day=NOON.date() + timedelta(days=n), name="Day", unit=unit) for n in range(40))
    with django_assert_max_num_queries(14):
        client.get(PAGE)
