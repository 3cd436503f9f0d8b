"""What mirroring a list does at the provider and here: plan, confirm, carry out, against the twin."""

from __future__ import annotations

import pytest

from contacts import keeping, sync
from contacts.models import SyncRun
from contacts.tasks import work_syncs
from smsportal.tests.world import make_list

pytestmark = pytest.mark.django_db


def numbered(n: int) -> str:
    return f"+1312555{n + 100:04d}"


def fill(contact_list, count: int, first: int = 0, **more: str) -> None:
    rows = [
        {"Phone_Number": numbered(n), "First_Name": f"Ada{n}", "Email_Address": f"ada{n}@example.edu", **more}
        for n in range(first, first + count)
    ]
    assert not keeping.save_contacts(contact_list, rows).rejected


def run_to_end(contact_list, *, confirm: bool = False) -> SyncRun:
    run = sync.plan(contact_list)
    sync.confirm(run, plan_hash=run.plan_hash, confirm=confirm)
    while work_syncs():
        pass
    run.refresh_from_db()
    contact_list.refresh_from_db()
    return run


def remote(twin, contact_list):
    return twin.ocelot.lists[contact_list.remote_id]


def names_there(twin, contact_list) -> dict[str, str]:
    rows = remote(twin, contact_list).contacts
    return {each.value("Phone_Number"): each.value("First_Name") for each in rows}


def test_a_new_list_is_made_and_filled(twin):
    contact_list = make_list()
    fill(contact_list, 3)
    run = sync.plan(contact_list)
    assert (run.state, run.plan["create"], run.plan["append"], run.plan["destructive"]) == ("planned", True, 3, False)
    assert not twin.ocelot.lists
    run = run_to_end(contact_list)
    assert run.state == "finished"
    assert run.report["appended"] == 3
    assert run.report["sums"] == {"contacts": 3, "in_step": 3, "rejected": 0, "conflict": 0, "waiting": 0}
    assert names_there(twin, contact_list) == {f"312-555-010{n}": f"Ada{n}" for n in range(3)}
    assert contact_list.sync_state == "in_step"
    again = sync.plan(contact_list)
    assert (again.plan["same"], again.plan["append"], again.plan["create"]) == (3, 0, False)
