"""What mirroring a list does, there and here: plan, confirm, carry out, against the twin."""

from __future__ import annotations

import pytest

from contacts import busy, keeping, sync
from contacts.models import ContactList, SyncRun
from contacts.tests.syncing import (
    add_there,
    change,
    change_there,
    contact,
    fill,
    number,
    planned,
    remove_there,
    revive,
    synced,
    there,
    worked,
)
from smsportal.problems import Conflict
from smsportal.tests.world import make_list

pytestmark = pytest.mark.django_db


def counts(run: SyncRun) -> dict[str, int]:
    kinds = ("append", "pull", "replace", "delete", "same", "conflict", "unusable")
    return {kind: run.plan[kind] for kind in kinds if run.plan[kind]}


@pytest.fixture
def mirrored(twin) -> ContactList:
    """A list of ten contacts, in step."""
    contact_list = make_list()
    fill(contact_list, *range(10))
    assert synced(contact_list).state == "finished"
    contact_list.refresh_from_db()
    return contact_list


# --- there -----------------------------------------------------------------------------------------------------------
def test_a_new_list_is_made_with_all_it_is_and_filled(twin):
    contact_list = make_list(meta={"source": "SIS"})
    keeping.change_list(contact_list, tags=["Fall"], fields=[{"name": "Advisor", "required": True}])
    fill(contact_list, 0, 1, 2, Advisor="Dr. Kim")
    run = planned(contact_list)
    assert (counts(run), run.plan["create"], run.plan["destructive"]) == ({"append": 3}, True, False)
    assert not twin.ocelot.lists
    run = synced(contact_list, confirm=False)
    assert (run.state, run.report["appended"], run.report["rejections"]) == ("finished", 3, [])
    assert run.report["sums"] == {"contacts": 3, "in_step": 3, "rejected": 0, "conflict": 0, "waiting": 0}
    assert there(twin, contact_list) == {f"312-555-010{n}": f"Ada{n}" for n in range(3)}
    [remote] = twin.ocelot.lists.values()
    assert (remote.name, remote.tags, remote.meta) == ("Fall freshmen", ["Fall"], {"source": "SIS"})
    assert remote.schema["Advisor"] == {
        "type": "Text", "name": "Advisor", "displayName": "Advisor", "required": True, "unique": False
    }  # fmt: skip
    assert contact_list.sync_state == "in_step"


def test_a_list_in_step_needs_nothing(mirrored, twin):
    run = planned(mirrored)
    assert counts(run) == {"same": 10}
    before = len(twin.requests)
    assert synced(mirrored).report["sums"]["in_step"] == 10
    assert {each.method for each in list(twin.requests)[before:]} == {"GET"}


def test_new_contacts_are_appended_and_nothing_else(mirrored, twin):
    fill(mirrored, 10, 11)
    mirrored.refresh_from_db()
    assert mirrored.sync_state == "drifted"
    run = planned(mirrored)
    assert (counts(run), run.plan["destructive"]) == ({"append": 2, "same": 10}, False)
    assert run.plan["samples"]["append"][0]["phone_number"] == number(10)
    assert synced(mirrored, confirm=False).report["appended"] == 2
    assert len(there(twin, mirrored)) == 12
    assert mirrored.sync_state == "in_step"


def test_many_contacts_go_in_calls_that_are_halved_until_they_fit(twin):
    contact_list = make_list()
    contact_list.account.options = {"contacts_per_call": "40"}
    contact_list.account.save()
    fill(contact_list, *range(50))
    twin.ocelot.switches.body_limit = 3000
    run = synced(contact_list)
    assert (run.state, run.report["appended"]) == ("finished", 50)
    assert len(there(twin, contact_list)) == 50


def test_what_the_provider_refuses_lands_on_our_contact_in_its_own_words(twin):
    contact_list = make_list()
    fill(contact_list, 0, 59, 1)  # the twin refuses …0159 when it is uploaded
    run = synced(contact_list)
    assert run.state == "finished"
    assert run.report["sums"] == {"contacts": 3, "in_step": 2, "rejected": 1, "conflict": 0, "waiting": 0}
    [refused] = run.report["rejections"]
    assert refused["phone_number"] == number(59)
    bad = contact(contact_list, 59)
    assert (bad.sync_state, bad.sync_error) == ("error", refused["error"])
    assert "312-555-0159" in bad.sync_error
    contact_list.refresh_from_db()
    assert contact_list.sync_state == "drifted"
    assert counts(planned(contact_list)) == {"append": 1, "same": 2}


def test_a_call_refused_as_a_whole_is_cut_until_the_bad_contact_is_found(twin, monkeypatch):
    contact_list = make_list()
    fill(contact_list, *range(8))
    twin.faults.add("400", on="contacts", times=1)
    run = synced(contact_list)
    assert (run.state, run.report["appended"], run.report["rejected"]) == ("finished", 8, 0)


def test_an_answer_that_was_lost_is_not_taken_for_a_refusal(twin):
    contact_list = make_list()
    fill(contact_list, *range(3))
    synced_before = planned(contact_list)
    sync.confirm(synced_before, plan_hash=synced_before.plan_hash)
    twin.faults.add("reset_after", on="contacts", times=1)
    run = worked(synced_before)
    assert (run.state, run.retry_at is not None) == ("running", True)
    assert "again" in run.problem or run.problem
    revive()
    run = worked(run)
    assert (run.state, run.problem) == ("finished", "")
    assert run.report["sums"] == {"contacts": 3, "in_step": 3, "rejected": 0, "conflict": 0, "waiting": 0}
    assert len(there(twin, contact_list)) == 3


def test_not_unique_counts_as_stored_only_if_it_is_what_we_have(mirrored, twin):
    """Between reading and adding somebody else adds the same numbers."""
    fill(mirrored, 10, 11)
    run = planned(mirrored)
    sync.confirm(run, plan_hash=run.plan_hash)
    handle = twin.handle

    def meddle(request):
        if request.method == "POST":
            twin.handle = handle
            ours = contact(mirrored, 10).fields()
            from contacts.sync.comparing import remote_contact

            same = remote_contact(ours, mirrored.schema())
            mirrored.account.at_provider().add_contacts(mirrored.remote_id, [same])
            add_there(mirrored, ("+13125550111", "Somebody"))
        return handle(request)

    twin.handle = meddle
    run = worked(run)
    assert run.report["sums"] == {"contacts": 12, "in_step": 11, "rejected": 1, "conflict": 0, "waiting": 0}
    assert "not unique" in contact(mirrored, 11).sync_error
    assert (contact(mirrored, 10).sync_state, run.report["appended"]) == ("in_step", 1)


# --- here ------------------------------------------------------------------------------------------------------------
def test_contacts_that_are_only_there_are_adopted(mirrored, twin):
    add_there(mirrored, ("+13125550120", "Newcomer"))
    run = planned(mirrored)
    assert (counts(run), run.plan["destructive"]) == ({"pull": 1, "same": 10}, False)
    run = synced(mirrored, confirm=False)
    assert run.report["pulled"] == 1
    adopted = contact(mirrored, 20)
    assert (adopted.first_name, adopted.sync_state) == ("Newcomer", "in_step")
    assert counts(planned(mirrored)) == {"same": 11}


def test_what_changed_only_there_is_taken_over(mirrored, twin):
    change_there(twin, mirrored, 3, "Renamed")
    twin.ocelot.lists[mirrored.remote_id].contacts[4].active = False
    run = synced(mirrored, confirm=False)
    assert run.report["pulled"] == 2
    assert contact(mirrored, 3).first_name == "Renamed"
    assert contact(mirrored, 4).active is False
    assert counts(planned(mirrored)) == {"same": 10}
    assert mirrored.sync_state == "in_step"


def test_what_changed_on_both_sides_is_reported_and_left_alone(mirrored, twin):
    change(mirrored, 3, "Ours")
    change_there(twin, mirrored, 3, "Theirs")
    run = planned(mirrored)
    assert counts(run) == {"conflict": 1, "same": 9}
    [sample] = run.plan["samples"]["conflict"]
    assert (sample["ours"]["First_Name"], sample["theirs"]["First_Name"]) == ("Ours", "Theirs")
    run = synced(mirrored, confirm=False)
    assert run.report["sums"] == {"contacts": 10, "in_step": 9, "rejected": 0, "conflict": 1, "waiting": 0}
    ours = contact(mirrored, 3)
    assert (ours.first_name, ours.sync_state, ours.remote["First_Name"]) == ("Ours", "drifted", "Theirs")
    assert there(twin, mirrored)["312-555-0103"] == "Theirs"
    change(mirrored, 3, "Theirs")
    assert counts(planned(mirrored)) == {"same": 10}


def test_a_contact_we_cannot_keep_is_reported_not_dropped(mirrored, twin):
    add_there(mirrored, ("123-456-7890", "Sample"), ("312-555-0130", "x" * 151))
    run = planned(mirrored)
    assert counts(run) == {"pull": 1, "same": 10, "unusable": 1}
    run = synced(mirrored)
    assert (run.report["pulled"], run.report["unusable"]) == (0, 2)
    assert len(run.report["rejections"]) == 2
    assert len(there(twin, mirrored)) == 12
    change(mirrored, 1, "Changed")
    run = synced(mirrored)
    assert there(twin, mirrored)["123-456-7890"] == "Sample"
    assert len(there(twin, mirrored)) == 12
    assert run.report["sums"]["in_step"] == 10


def test_a_contact_that_vanished_there_is_added_again(mirrored, twin):
    remove_there(twin, mirrored, 5)
    assert counts(planned(mirrored)) == {"append": 1, "same": 9}
    synced(mirrored)
    assert len(there(twin, mirrored)) == 10


def test_a_list_that_is_gone_there_is_made_anew(mirrored, twin):
    keeping.remove_contacts([contact(mirrored, 0)])
    twin.ocelot.lists.clear()
    run = planned(mirrored)
    assert (counts(run), run.plan["create"], run.plan["destructive"]) == ({"append": 9}, True, False)
    assert synced(mirrored).state == "finished"
    assert len(there(twin, mirrored)) == mirrored.contacts.count() == 9


# --- refusing --------------------------------------------------------------------------------------------------------
def test_a_destructive_plan_needs_a_yes_to_exactly_this_plan(mirrored, twin, monkeypatch):
    change(mirrored, 1, "Changed")
    run = planned(mirrored)
    assert (counts(run), run.plan["destructive"]) == ({"replace": 1, "same": 9}, True)
    for given in ({"plan_hash": run.plan_hash}, {"plan_hash": "another", "confirm": True}):
        with pytest.raises(Conflict):
            sync.confirm(run, **given)
    monkeypatch.setattr(busy, "BUSY", [lambda used: "A batch is running."])
    with pytest.raises(Conflict, match="A batch is running"):
        sync.confirm(run, plan_hash=run.plan_hash, confirm=True)
    assert SyncRun.objects.get(pk=run.pk).state == "planned"


def test_a_plan_that_no_longer_holds_is_not_carried_out(mirrored, twin):
    change(mirrored, 1, "Changed")
    run = planned(mirrored)
    sync.confirm(run, plan_hash=run.plan_hash, confirm=True)
    add_there(mirrored, ("+13125550120", "Newcomer"))
    run = worked(run)
    assert (run.state, run.backup) == ("stale", None)
    assert there(twin, mirrored)["312-555-0101"] == "Ada1"
    assert len(there(twin, mirrored)) == 11


def test_a_batch_that_starts_meanwhile_stops_the_run_before_anything_is_emptied(mirrored, twin, monkeypatch):
    change(mirrored, 1, "Changed")
    run = planned(mirrored)
    sync.confirm(run, plan_hash=run.plan_hash, confirm=True)
    monkeypatch.setattr(busy, "BUSY", [lambda used: "A batch is running."])
    run = worked(run)
    assert (run.state, run.problem) == ("failed", "A batch is running.")
    assert len(there(twin, mirrored)) == 10


def test_many_removals_are_stopped(mirrored, twin, settings):
    settings.SYNC_MAX_REMOVAL_PERCENT = 20
    keeping.remove_contacts([contact(mirrored, n) for n in range(3)])
    run = planned(mirrored)
    assert run.plan["delete"] == 3
    with pytest.raises(Conflict, match=r"3 of 10 .* 20 %"):
        sync.confirm(run, plan_hash=run.plan_hash, confirm=True)
    settings.SYNC_MAX_REMOVAL_PERCENT = 30
    assert synced(mirrored).report["removed"] == 3
    assert len(there(twin, mirrored)) == mirrored.contacts.count() == 7


def test_a_newer_plan_outdates_the_older_one(mirrored):
    first, second = planned(mirrored), planned(mirrored)
    first.refresh_from_db()
    assert (first.state, second.state) == ("stale", "planned")
    with pytest.raises(Conflict):
        sync.confirm(first, plan_hash=first.plan_hash)
    sync.confirm(second, plan_hash=second.plan_hash)
    again = SyncRun.objects.get(pk=second.pk)
    for call in (lambda: sync.confirm(again, plan_hash=again.plan_hash), lambda: sync.plan(mirrored)):
        with pytest.raises(Conflict):
            call()


def test_a_changed_list_is_a_destructive_plan(mirrored, twin):
    keeping.change_list(mirrored, fields=[{"name": "Advisor"}])
    keeping.change_contact(contact(mirrored, 1), {"Advisor": "Dr. Kim"})
    run = planned(mirrored)
    assert (run.plan["list_changed"], run.plan["destructive"]) == (True, True)
    run = synced(mirrored)
    assert (run.state, run.report["sums"]["in_step"]) == ("finished", 10)
    assert "Advisor" in twin.ocelot.lists[mirrored.remote_id].schema
    assert counts(planned(mirrored)) == {"same": 10}
    assert planned(mirrored).plan["list_changed"] is False
