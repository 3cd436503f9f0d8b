"""Mirroring under faults: whatever dies or fails, and wherever, both sides come into step and nobody is lost."""

from __future__ import annotations

import pytest

from contacts import keeping, sync
from contacts.models import ContactList, SyncRun
from contacts.sync import carrying
from contacts.tasks import work_syncs
from contacts.tests.syncing import (
    add_there,
    change,
    change_there,
    contact,
    fill,
    number,
    planned,
    revive,
    synced,
    there,
    worked,
)
from smsportal import clock
from smsportal.sandbox.app import Twins
from smsportal.tests.world import make_list

pytestmark = pytest.mark.django_db

# What both sides hold in the end, whatever happened on the way.
THERE = {
    **{f"312-555-010{n}": f"Ada{n}" for n in range(6)},
    "312-555-0101": "Ours",  # changed here
    "312-555-0102": "Theirs",  # changed there
    "312-555-0103": "Their side",  # changed on both sides: theirs stays there
    "312-555-0107": "Ada7",  # new here
    "312-555-0120": "Newcomer",  # new there
    "123-456-7890": "Sample",  # nothing we can keep
}
del THERE["312-555-0100"]  # removed here
HERE = {f"+1{phone.replace('-', '')}": name for phone, name in THERE.items() if name != "Sample"}
HERE["+13125550103"] = "Our side"


class Killed(BaseException):
    """The process dies here."""


def tangled(twin: Twins) -> ContactList:
    """A list with every kind of difference, a few contacts a call."""
    contact_list = make_list()
    contact_list.account.options = {"contacts_per_call": "3"}
    contact_list.account.save()
    fill(contact_list, *range(6))
    synced(contact_list)
    contact_list.refresh_from_db()
    keeping.remove_contacts([contact(contact_list, 0)])
    change(contact_list, 1, "Ours")
    change_there(twin, contact_list, 2, "Theirs")
    change(contact_list, 3, "Our side")
    change_there(twin, contact_list, 3, "Their side")
    fill(contact_list, 7)
    add_there(contact_list, ("312-555-0120", "Newcomer"), ("123-456-7890", "Sample"))
    return contact_list


def confirmed(contact_list: ContactList) -> SyncRun:
    run = planned(contact_list)
    assert run.plan["destructive"]
    return sync.confirm(run, plan_hash=run.plan_hash, confirm=True)


def assert_in_step(twin: Twins, run: SyncRun) -> None:
    contact_list = run.contact_list
    assert (run.state, run.problem) == ("finished", "")
    assert there(twin, contact_list) == THERE
    assert {c.number.e164: c.first_name for c in contact_list.contacts.all()} == HERE
    assert run.report["sums"] == {"contacts": 7, "in_step": 6, "rejected": 0, "conflict": 1, "waiting": 0}
    assert (run.report["removed"], run.report["unusable"]) == (1, 1)
    again = planned(contact_list)
    assert {kind: again.plan[kind] for kind in ("append", "pull", "replace", "delete", "same", "conflict")} == {
        "append": 0, "pull": 0, "replace": 0, "delete": 0, "same": 6, "conflict": 1,
    }  # fmt: skip


def test_every_difference_is_mirrored(twin):
    contact_list = tangled(twin)
    run = worked(confirmed(contact_list))
    assert_in_step(twin, run)
    assert len(run.backup["contacts"]) == 8


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", range(12))
def test_a_kill_at_any_call_loses_nobody(twin, monkeypatch, when, call):
    run = confirmed(tangled(twin))
    handle, left = twin.handle, [call]

    def dies(request):
        left[0] -= 1
        if left[0] == -1 and when == "before":
            raise Killed
        answer = handle(request)
        if left[0] == -1:
            raise Killed
        return answer

    twin.handle = dies
    try:
        work_syncs()
    except Killed:
        assert not work_syncs(), "the dead worker's lease must run out first"
        revive()
    else:
        assert call >= 6, "the run has at least six calls"
    twin.handle = handle
    assert_in_step(twin, worked(run))


@pytest.mark.parametrize("step", range(8))
def test_a_kill_at_any_note_loses_nobody(twin, monkeypatch, step):
    run = confirmed(tangled(twin))
    real, left = carrying.Carrier.set_down, [step]

    def dies(self, **columns):
        left[0] -= 1
        if left[0] == -1:
            raise Killed
        real(self, **columns)

    with monkeypatch.context() as patch:
        patch.setattr(carrying.Carrier, "set_down", dies)
        try:
            work_syncs()
        except Killed:
            revive()
    assert_in_step(twin, worked(run))


LATER = ["429", "500", "502", "reset_before", "reset_after", "hang", "torn", "garbled", "accept_500"]


@pytest.mark.parametrize("kind", LATER)
@pytest.mark.parametrize("route", ["lists", "contacts"])
def test_a_fault_delays_a_refill_and_loses_nobody(twin, kind, route):
    run = confirmed(tangled(twin))
    twin.faults.add(kind, on=route, times=1, retry_after="40" if kind == "429" else "")
    run = worked(run)
    for _ in range(4):
        if run.state == "finished":
            break
        assert (run.state, run.owner) == ("running", ""), run.problem
        assert run.problem
        if kind == "429":
            assert 39 <= (run.retry_at - clock.now()).total_seconds() <= 60
        revive()
        run = worked(run)
    assert_in_step(twin, run)


@pytest.mark.parametrize("kind", ["401", "403", "redirect"])
def test_a_list_that_was_emptied_is_not_left_alone_whatever_the_provider_says(twin, kind):
    """Also when a person must put something right first: the run says what, and goes on by itself after."""
    run = confirmed(tangled(twin))
    handle = twin.handle

    def after_replacing(request):
        answer = handle(request)
        if request.method == "PUT":
            twin.faults.add(kind, times=3)
        return answer

    twin.handle = after_replacing
    run = worked(run)
    twin.handle = handle
    assert (run.state, run.stage) == ("running", "emptied")
    assert run.problem
    for _ in range(4):
        revive()
        run = worked(run)
    assert_in_step(twin, run)


@pytest.mark.parametrize("kind", ["401", "403"])
def test_wrong_keys_end_a_run_that_has_emptied_nothing(twin, kind):
    run = confirmed(tangled(twin))
    twin.faults.add(kind)
    run = worked(run)
    assert (run.state, run.backup) == ("failed", None)
    assert run.problem
    assert (run.contact_list.sync_state, run.contact_list.sync_error) == ("error", run.problem)


@pytest.mark.parametrize("kind", ["401", "reset_before", "garbled"])
def test_a_plan_that_cannot_read_the_list_fails_with_a_sentence(twin, kind):
    contact_list = tangled(twin)
    twin.faults.add(kind)
    run = sync.plan(contact_list)
    assert (run.state, run.plan) == ("failed", {})
    assert run.problem


@pytest.mark.parametrize("meddling", ["fewer", "shifted"])
def test_an_incomplete_reading_never_deletes(twin, meddling):
    """Pages are told by number: while contacts come and go, the twin tells one twice and misses another."""
    contact_list = make_list()
    fill(contact_list, *range(40))
    synced(contact_list)
    contact_list.refresh_from_db()
    twin.ocelot.switches.page_max = 10
    rows = twin.ocelot.lists[contact_list.remote_id].contacts
    handle = twin.handle

    def while_reading(request):
        answer = handle(request)
        if "skip" in request.query and meddling == "fewer":
            rows.pop()
        elif "skip" in request.query:
            rows.insert(0, rows.pop())
        return answer

    twin.handle = while_reading
    run = sync.plan(contact_list)
    assert (run.state, run.plan) == ("failed", {})
    assert "plan again" in run.problem.lower()
    assert contact_list.contacts.present().count() == 40


def test_a_list_made_by_a_call_whose_answer_was_lost_is_not_made_twice(twin):
    contact_list = make_list()
    fill(contact_list, 0)
    run = planned(contact_list)
    sync.confirm(run, plan_hash=run.plan_hash)
    twin.faults.add("reset_after", on="lists", times=1)
    run = worked(run)
    assert (run.state, len(twin.ocelot.lists)) == ("failed", 1)
    assert "remove it, and plan again" in run.problem
    assert run.contact_list.remote_id == ""


def test_a_list_that_was_surely_not_made_is_made_later(twin):
    contact_list = make_list()
    fill(contact_list, 0)
    run = planned(contact_list)
    sync.confirm(run, plan_hash=run.plan_hash)
    twin.faults.add("429", on="lists", retry_after="60")
    run = worked(run)
    assert (run.state, run.stage) == ("running", "")
    twin.faults.clear()
    revive()
    assert worked(run).state == "finished"
    assert len(twin.ocelot.lists) == 1


def test_a_kill_while_the_list_is_made_is_not_guessed_about(twin):
    contact_list = make_list()
    run = planned(contact_list)
    sync.confirm(run, plan_hash=run.plan_hash)
    SyncRun.objects.filter(pk=run.pk).update(stage="creating")
    assert worked(run).state == "failed"
    assert not twin.ocelot.lists


def test_a_worker_that_was_too_slow_writes_nothing_more(twin):
    contact_list = make_list()
    fill(contact_list, 0, 1)
    run = planned(contact_list)
    sync.confirm(run, plan_hash=run.plan_hash)
    slow = sync.next_run()
    revive()
    quick = sync.next_run()
    sync.carry_out(slow)
    assert not twin.ocelot.lists
    sync.carry_out(quick)
    assert worked(run).report["appended"] == 2


def test_an_edit_while_a_contact_travels_is_not_lost(twin):
    contact_list = make_list()
    fill(contact_list, 0, 1, 2)
    run = planned(contact_list)
    sync.confirm(run, plan_hash=run.plan_hash)
    handle = twin.handle

    def edits(request):
        answer = handle(request)
        if request.method == "POST" and request.path.endswith("/contacts"):
            change(contact_list, 1, "Edited")
            keeping.remove_contacts([contact(contact_list, 2)])
        return answer

    twin.handle = edits
    run = worked(run)
    twin.handle = handle
    assert run.report["sums"] == {"contacts": 2, "in_step": 1, "rejected": 0, "conflict": 0, "waiting": 1}
    assert run.contact_list.sync_state == "drifted"
    run = planned(contact_list)
    assert (run.plan["replace"], run.plan["delete"], run.plan["same"]) == (1, 1, 1)
    assert run.plan["samples"]["delete"][0]["phone_number"] == number(2)
