"""Who may be texted: the register is a join, so order, repetition and lateness of news change nothing."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from itertools import permutations

import pytest
import time_machine
from django.db import connection, connections, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts import consent
from contacts.models import ConsentEvent, PhoneNumber
from smsportal import clock
from smsportal.problems import Conflict, Wrong
from smsportal.tests.world import make_number, make_user

NOW = datetime.fromisoformat("2024-09-02T12:00:00+00:00")


def state(number: PhoneNumber) -> tuple[bool, bool, datetime | None]:
    number.refresh_from_db()
    return number.opted_out, number.staff_block, number.consent_at


def tell(number: PhoneNumber, news: tuple[str, int | None]) -> None:
    """News: what happened, and how many minutes ago (negative: to come; None: not told)."""
    kind, minutes = news
    at = None if minutes is None else NOW - timedelta(minutes=minutes)
    if kind == "in":
        consent.opt_in(number, source="provider", at=at)
    else:
        consent.opt_out(number, source="provider", at=at, staff_block=kind == "block")


def after(order: list[tuple[str, int | None]]) -> tuple[bool, bool, datetime | None]:
    """What the register says after `order`, and nothing of it stays."""
    with transaction.atomic():
        number = PhoneNumber.objects.create(e164="+13125550199")
        for news in order:
            tell(number, news)
        found = state(number)
        transaction.set_rollback(True)
    return found


kinds = st.tuples(st.sampled_from(["in", "out", "block"]), st.sampled_from([None, -60, 0, 1, 2, 3]))


@pytest.mark.django_db
@settings(max_examples=25, deadline=None)
@given(st.lists(kinds, min_size=1, max_size=4))
def test_order_and_repetition_change_nothing(news):
    with time_machine.travel(NOW, tick=False):
        first = after(news)
        for order in permutations(news):
            assert after([*order, *order[:2]]) == first


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("news", "opted_out"),
    [
        ([("out", 5)], True),
        ([("out", 5), ("in", 3)], False),
        ([("out", 3), ("in", 5)], True),  # the opt-in is older, it only arrives late
        ([("out", 3), ("in", 3)], True),  # a tie goes to the opt-out
        ([("out", 3), ("in", None)], True),  # an opt-in without a time beats nothing
        ([("in", -60), ("out", 0)], True),  # a time to come counts as now
        ([("out", None), ("in", 1)], True),
        ([("block", 5), ("in", 1)], True),
        ([("in", 5)], False),
    ],
)
def test_who_wins(news, opted_out):
    with time_machine.travel(NOW, tick=False):
        assert after(news)[0] is opted_out


@pytest.mark.django_db
def test_news_are_kept_with_their_evidence():
    sam, number = make_user(), make_number()
    at = clock.now() - timedelta(hours=1)
    event = consent.opt_out(number, source="reply", at=at, actor=sam, reason="STOP", evidence={"text": "STOP\0"})
    assert (event.kind, event.source, event.at, event.actor, event.reason) == ("out", "reply", at, sam, "STOP")
    assert event.evidence == {"text": "STOP"}
    assert (number.opted_out, number.consent_at) == (True, at)
    consent.opt_out(number, source="reply", at=at)
    assert ConsentEvent.objects.filter(number=number).count() == 2


@pytest.mark.django_db
def test_an_unknown_number_gets_its_row():
    event = consent.opt_out("+13125550142", source="provider")
    assert event.number.e164 == "+13125550142"
    assert event.number.opted_out


@pytest.mark.django_db
def test_staff_lift_even_a_block_but_must_say_why():
    sam, number = make_user(), make_number()
    consent.opt_out(number, source="staff", actor=sam, staff_block=True)
    consent.opt_in(number, source="staff", actor=sam)
    assert state(number)[:2] == (True, True)
    with pytest.raises(Wrong):
        consent.lift(number, actor=sam, reason=" ")
    event = consent.lift(number, actor=sam, reason="Wrong number blocked")
    assert event.evidence == {"lifted": True}
    assert state(number)[:2] == (False, False)
    with pytest.raises(Conflict):
        consent.lift(number, actor=sam, reason="Again")


@pytest.mark.django_db
def test_a_lift_outranks_an_opt_out_of_the_same_moment_and_not_a_later_one():
    number = make_number()
    with time_machine.travel(NOW, tick=False):
        consent.opt_out(number, source="provider")
        consent.lift(number, actor=None, reason="By mistake")
        consent.opt_out(number, source="provider", at=NOW - timedelta(minutes=1))
        assert not state(number)[0]
    with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
        consent.opt_out(number, source="provider")
        assert state(number)[0]


@pytest.mark.django_db
def test_files_never_opt_in_and_programs_only_with_evidence():
    number = make_number(opted_out=True)
    with pytest.raises(Wrong):
        consent.opt_in(number, source="import")
    with pytest.raises(Wrong):
        consent.opt_in(number, source="api")
    consent.opt_in(number, source="api", evidence={"form": "Housing 2024"})
    assert not state(number)[0]


@pytest.mark.django_db
def test_numbers_are_made_once_in_few_queries(django_assert_max_num_queries):
    known = make_number("+13125550100")
    wanted = [f"+1312555{n:04d}" for n in range(100, 400)]
    with django_assert_max_num_queries(6):
        found = consent.numbers_for([*wanted, *wanted])
    assert len(found) == 300
    assert found["+13125550100"] == known.pk
    assert consent.numbers_for(wanted) == found
    assert PhoneNumber.objects.count() == 300


@pytest.mark.django_db(transaction=True)
def test_an_opt_out_waits_for_whoever_reads_the_number_under_its_lock():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's immediate transactions let one writer in at a time")
    number = make_number()
    done = threading.Event()

    def stop() -> None:
        consent.opt_out(number.pk and PhoneNumber.objects.get(pk=number.pk), source="reply")
        done.set()
        connections.close_all()

    stopper = threading.Thread(target=stop)
    with transaction.atomic():
        list(PhoneNumber.objects.raw("SELECT * FROM contacts_phonenumber WHERE id = %s FOR SHARE", [number.pk]))
        stopper.start()
        assert not done.wait(0.3), "the opt-out must not commit while an intent holds the row"
    stopper.join(10)
    assert state(number)[0]
