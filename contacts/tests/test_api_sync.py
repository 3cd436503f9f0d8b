"""Mirroring through the API: plan, look, confirm, watch."""

from __future__ import annotations

import pytest

from contacts import tasks
from contacts.models import ContactList, SyncRun
from smsportal.tests.programs import API, program
from smsportal.tests.world import make_account, make_contact, make_list, make_unit, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def client():
    make_account()
    return program(make_user(groups=("List manager",)))


def _plan(client, contact_list):
    return client.post(f"{API}contact-lists/{contact_list.uuid}/sync/")


def _apply(client, run, **more):
    return client.post(f"{API}sync-runs/{run['id']}/apply/", {"hash": run["plan"]["hash"], **more})


def _synced(client, contact_list):
    run = _plan(client, contact_list).json()
    assert _apply(client, run, confirm=True).status_code == 202
    while tasks.work_syncs():
        pass
    return client.get(f"{API}sync-runs/{run['id']}/").json()


def test_a_plan_writes_nothing_and_applying_it_mirrors_the_list(client, twin):
    contact_list = make_list()
    make_contact(contact_list)
    planned = _plan(client, contact_list)
    assert planned.status_code == 201
    run = planned.json()
    assert (run["state"], run["report"]) == ("planned", None)
    counts = {name: run["plan"][name] for name in ("append", "replace", "delete", "same", "conflict")}
    assert counts == {"append": 1, "replace": 0, "delete": 0, "same": 0, "conflict": 0}
    assert run["plan"]["destructive"] is False
    assert run["plan"]["hash"]
    assert isinstance(run["plan"]["samples"], dict)
    assert not twin.ocelot.lists
    started = _apply(client, run)
    assert (started.status_code, started.json()["state"]) == (202, "running")
    while tasks.work_syncs():
        pass
    done = client.get(f"{API}sync-runs/{run['id']}/").json()
    assert (done["state"], done["problem"]) == ("finished", "")
    assert done["report"]
    assert len(twin.ocelot.lists) == 1
    shown = client.get(f"{API}contact-lists/{contact_list.uuid}/").json()
    assert shown["sync_state"] == "in_step"
    assert shown["remote_id"]


def test_a_destructive_plan_needs_a_confirmation(client, twin):
    contact_list = make_list()
    for number in range(6):
        make_contact(contact_list, f"+1312555010{number}")
    _synced(client, contact_list)
    client.delete(f"{API}contacts/{contact_list.contacts.first().uuid}/")
    run = _plan(client, contact_list).json()
    assert (run["plan"]["destructive"], run["plan"]["delete"]) == (True, 1)
    refused = _apply(client, run)
    assert (refused.status_code, refused.json()["allowed"]) == (409, ["confirm"])
    assert _apply(client, run, confirm=True).status_code == 202


def test_another_plan_than_the_one_looked_at_is_refused(client, twin):
    run = _plan(client, make_list()).json()
    url = f"{API}sync-runs/{run['id']}/apply/"
    assert client.post(url, {"hash": "x"}).status_code == 409
    assert client.post(url, {}).status_code == 400
    assert client.post(url, {"hash": run["plan"]["hash"], "force": True}).status_code == 400
    assert _apply(client, run).status_code == 202
    assert _apply(client, run).status_code == 409


def test_a_provider_that_cannot_be_read_makes_a_run_that_says_so(client, twin):
    account = make_account("elsewhere", secrets={"chatbot_uuid": "x", "api_key": "wrong"})
    contact_list = make_list(account=account, remote_id="5f80ac6204d2db0027f53139")
    run = _plan(client, contact_list).json()
    assert run["state"] == "failed"
    assert run["problem"]
    assert run["plan"]["append"] == 0


def test_the_same_plan_asked_for_twice_with_one_key_is_one_plan(client, twin):
    contact_list = make_list()
    url = f"{API}contact-lists/{contact_list.uuid}/sync/"
    ids = {client.post(url, HTTP_IDEMPOTENCY_KEY="k").json()["id"] for _ in range(2)}
    assert len(ids) == SyncRun.objects.count() == 1


def test_runs_of_other_units_are_not_there(client):
    theirs = make_list(unit=make_unit("Housing"))
    run = SyncRun.objects.create(contact_list=theirs)
    assert _plan(client, theirs).status_code == 404
    assert client.get(f"{API}sync-runs/{run.uuid}/").status_code == 404
    assert client.post(f"{API}sync-runs/{run.uuid}/apply/", {"hash": "x"}).status_code == 404
    assert ContactList.objects.get().sync_state == "never"
