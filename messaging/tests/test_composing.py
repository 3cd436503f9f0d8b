"""Composing: who gets a text and who is left out, in pages that survive any kill, and what the preview says of it."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from contacts.models import SchemaField
from messaging import composing, controls
from messaging.composing import audience, sources
from messaging.models import Batch, Chunk, Message
from messaging.statuses import BatchState
from messaging.tests.composed import PAGE_BEGINS, at_statement, balanced, begin, compose, draft, states, students
from smsportal import clock
from smsportal.tests.world import fiction, make_account, make_contact, make_list, make_number

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def any_hour(settings):
    settings.QUIET_HOURS = ""


def test_each_person_gets_their_text_in_a_chunk_of_at_most_one_call():
    batch = compose(begin(draft(students(205))))
    assert batch.state == BatchState.RUNNING
    assert batch.recipients == 205
    assert sorted(batch.chunks.values_list("size", flat=True)) == [5, 100, 100]
    assert set(batch.messages.values_list("state", "segments", "attempt", "delivery")) == {("ready", 1, 0, 0)}
    third = batch.messages.get(number__e164=fiction(205)[2])
    assert third.text == "Dear Student 2, class is moved. Reply STOP to opt out. Registrar"
    assert third.contact.first_name == "Student 2"
    assert len(set(batch.messages.values_list("uuid", flat=True))) == 205
    assert balanced(batch)


def test_whoever_must_not_or_cannot_be_written_to_is_left_out_with_a_reason():
    contact_list = make_list()
    SchemaField.objects.create(contact_list=contact_list, name="Note", display_name="Note")
    fine, out, blank, long, gone, idle = fiction(6)
    make_contact(contact_list, fine, extra={"Note": "ok"})
    make_number(out, opted_out=True)
    make_contact(contact_list, out, extra={"Note": "ok"})
    make_contact(contact_list, blank)
    make_contact(contact_list, long, extra={"Note": "x" * 3000})
    make_contact(contact_list, gone, extra={"Note": "ok"}, removed_at=clock.now())
    make_contact(contact_list, idle, extra={"Note": "ok"}, active=False)
    batch = compose(begin(draft(contact_list, text="{{Note}}")))
    assert states(batch) == {
        fine: "ready",
        out: "skipped opted_out",
        blank: "skipped blank",
        long: "skipped too_long",
    }
    assert batch.waterfall == {
        "audience": 4,
        "duplicates": 0,
        "invalid": 2,
        "opted_out": 1,
        "capped": 0,
        "expired": 0,
        "quiet_hours": 0,
        "will_send": 1,
    }
    assert balanced(batch)


def test_a_text_of_nothing_is_left_out():
    contact_list = make_list()
    make_contact(contact_list, fiction(1)[0], first="")
    make_contact(contact_list, fiction(2)[1])
    batch = compose(begin(draft(contact_list, text="{{First_Name|}}")))
    assert states(batch) == {fiction(1)[0]: "skipped empty", fiction(2)[1]: "ready"}


def test_a_number_in_several_lists_gets_one_text_from_the_contact_that_fills_it():
    first, second, third = make_list("A"), make_list("B"), make_list("C")
    shared, only = fiction(2)
    make_contact(first, shared, first="")
    make_contact(second, shared, first="Ada")
    make_contact(third, shared, first="Bea")
    make_contact(third, only, first="Cy")
    batch = compose(begin(draft(first, second, third, text="Hi {{First_Name}}")))
    assert sorted(batch.messages.values_list("text", flat=True)) == ["Hi Ada", "Hi Cy"]
    assert (batch.waterfall["audience"], batch.waterfall["duplicates"], batch.recipients) == (4, 2, 2)
    assert balanced(batch)


def test_quiet_hours_hold_every_text_until_they_end(settings):
    now = clock.now().astimezone(ZoneInfo("America/New_York"))  # where the numbers of these students are
    settings.QUIET_HOURS = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=2):%H:%M}"
    batch = compose(begin(draft(students(3))))
    assert set(states(batch).values()) == {"held quiet_hours"}
    assert batch.waterfall["quiet_hours"] == 3
    chunk = batch.chunks.get()
    assert (chunk.zones, chunk.size) == ("America/New_York", 3)
    assert chunk.not_before.astimezone(now.tzinfo).strftime("%H:%M") == f"{now + timedelta(hours=2):%H:%M}"
    assert balanced(batch)


def test_an_account_that_takes_less_per_call_gets_smaller_chunks():
    batch = begin(draft(students(25)))
    batch.account.max_per_call = 10
    batch.account.save()
    assert sorted(compose(batch).chunks.values_list("size", flat=True)) == [5, 10, 10]


def test_a_batch_waits_for_its_time(time_machine):
    at = clock.now() + timedelta(days=1)
    batch = begin(draft(students(2), send_at=at))
    assert batch.state == BatchState.EXPANDING
    assert composing.next_batch() is None
    time_machine.move_to(at)
    assert compose(batch).state == BatchState.RUNNING


def test_a_page_may_fail_anywhere_and_nobody_is_lost_or_doubled(monkeypatch):
    monkeypatch.setattr(audience, "PAGE", 10)
    batch = begin(draft(students(35, "A"), students(30, "B", start=20)))
    kills = 0

    def die():
        raise KeyboardInterrupt

    while batch.state == BatchState.EXPANDING:
        Batch.objects.update(lease_until=None)  # as if the dead worker's lease had run out
        try:
            with at_statement([3 + kills], die, (PAGE_BEGINS, 'INSERT INTO "messaging_chunk')):
                composing.expand(composing.next_batch())
        except KeyboardInterrupt:
            kills += 1
        assert balanced(batch)
    assert kills == 2
    assert batch.state == BatchState.RUNNING
    assert (batch.recipients, batch.waterfall["audience"], batch.waterfall["duplicates"]) == (50, 65, 15)
    assert set(states(batch).values()) == {"ready"}


def test_the_books_balance_after_every_page(monkeypatch):
    monkeypatch.setattr(audience, "PAGE", 7)
    batch = begin(draft(students(30)))
    with at_statement(range(9), lambda: balanced(batch)) as pages:
        compose(batch)
    assert len(pages) == 5
    assert balanced(batch)


@pytest.mark.parametrize("ask", [controls.pause, controls.cancel])
def test_a_stop_between_two_pages_is_obeyed_at_once(monkeypatch, ask):
    monkeypatch.setattr(audience, "PAGE", 10)
    batch = begin(draft(students(30)))
    with at_statement([2], lambda: ask(Batch.objects.get(pk=batch.pk), actor=None)):
        compose(batch)
    assert batch.recipients == 10
    assert balanced(batch)
    assert composing.next_batch() is None
    if ask is controls.pause:
        assert compose(controls.resume(batch, actor=None)).state == BatchState.RUNNING
        assert batch.recipients == 30
    else:
        assert set(states(batch).values()) == {"skipped cancelled"}
        assert set(batch.chunks.values_list("state", flat=True)) == {"empty"}


def test_a_batch_that_cannot_be_composed_is_paused_with_the_reason(settings):
    batch = begin(draft(students(2)))
    settings.QUIET_HOURS = "at night"
    compose(batch)
    assert (batch.state, batch.resume_to, batch.recipients) == (BatchState.PAUSED, BatchState.EXPANDING, 0)
    assert "Quiet hours “at night” are not understood" in batch.problem
    settings.QUIET_HOURS = ""
    assert compose(controls.resume(batch, actor=None)).state == BatchState.RUNNING
    assert (batch.problem, batch.recipients) == ("", 2)


def test_a_worker_that_lost_its_claim_writes_nothing_more():
    batch = begin(draft(students(3)))
    stale = composing.next_batch()
    Batch.objects.update(lease_until=None)
    composing.expand(composing.next_batch())
    composing.expand(stale)
    assert balanced(batch)
    assert (batch.recipients, batch.state) == (3, BatchState.RUNNING)


@pytest.mark.parametrize("page", [1, 2])
def test_lists_that_changed_since_the_approval_send_the_batch_back_to_draft(monkeypatch, page):
    monkeypatch.setattr(audience, "PAGE", 10)
    monkeypatch.setattr(sources, "READ", 10)
    contact_list = students(25)
    batch = begin(draft(contact_list))
    with at_statement([page], lambda: make_contact(contact_list, "+14155550199", first="Late")):
        compose(batch)
    assert (batch.state, batch.recipients, batch.expanded_to) == (BatchState.DRAFT, 0, 0)
    assert "lists changed" in batch.problem
    assert not Message.objects.exists()
    assert not Chunk.objects.exists()
    assert compose(begin(batch)).recipients == 26


def test_the_snapshot_knows_every_change_that_is_sent():
    contact_list = students(3)
    batch = draft(contact_list)
    before = composing.snapshot(batch)
    contact = contact_list.contacts.first()
    assert composing.snapshot(batch) == before
    contact_list.contacts.filter(pk=contact.pk).update(last_name="Other")  # not in the text
    assert composing.snapshot(batch) == before
    contact_list.contacts.filter(pk=contact.pk).update(first_name="Other")
    changed = composing.snapshot(batch)
    assert changed != before
    for field, value in [
        ("sender", "+13125550191"),
        ("operator", "x@example.edu"),
        ("text", "Hi"),
        ("send_at", clock.now()),
    ]:
        other = Batch.objects.get(pk=batch.pk)
        setattr(other, field, value)
        assert composing.snapshot(other) != changed


def test_a_name_that_looks_like_a_template_stays_text():
    contact_list = make_list()
    for number, name in zip(fiction(3), ["{{Last_Name}}", "{x.__class__}", "Ada\nURGENT"], strict=True):
        make_contact(contact_list, number, first=name)
    batch = compose(begin(draft(contact_list, text="Hi {{First_Name}}!")))
    texts = set(batch.messages.values_list("text", flat=True))
    assert texts == {"Hi {{Last_Name}}!", "Hi {x.__class__}!", "Hi Ada URGENT!"}


def test_the_number_of_queries_grows_with_the_pages_only(django_assert_max_num_queries):
    begin(draft(students(120)))
    held = composing.next_batch()
    with django_assert_max_num_queries(20):
        composing.expand(held)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL keeps plans")
@pytest.mark.parametrize("remembers", [False, True])
def test_a_batch_is_not_checked_by_the_plan_of_a_small_table(settings, monkeypatch, remembers):
    """With the mistake planted each of 900 texts reads all chunks there are, to see that its own is among them."""
    settings.MAX_TEXTS_PER_DAY, settings.QUIET_HOURS, settings.APPROVAL_ABOVE = 0, "", 1000
    if remembers:
        monkeypatch.setattr(composing, "forget_plans", lambda: None)
    with connection.cursor() as cursor:
        compose(begin(draft(students(4))))
        cursor.execute("ANALYZE messaging_chunk")
        for place in range(6):  # a plan is kept from the sixth time on
            compose(begin(draft(students(2, f"List {place}"))))
        account = make_account()
        type(account).objects.update(max_per_call=1)
        many = draft(students(900, "Many", 20), account=type(account).objects.get())
        cursor.execute(
            "SELECT pg_stat_force_next_flush(), seq_tup_read FROM pg_stat_user_tables WHERE relname = %s", [CHUNK]
        )
        before = cursor.fetchone()[1]
        assert compose(begin(many)).chunks.count() == 900
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = %s", [CHUNK])
        read = cursor.fetchone()[0] - before
    assert (read > 100_000) is remembers, read


CHUNK = Chunk._meta.db_table
