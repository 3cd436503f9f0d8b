"""Two files at once, and a worker who comes back late: nobody waits for each other, nothing is emptied twice."""

import pytest
from django.db import connection

from contacts import importing, sync
from contacts.models import PhoneNumber
from contacts.sync import refilling
from contacts.tasks import work_imports, work_syncs
from contacts.tests.syncing import fill, number, planned, revive, synced, there
from smsportal.tests.world import make_list


def staged(name, numbers):
    content = "\n".join(["Phone_Number", *numbers]).encode()
    upload = importing.receive(make_list(name), file_name="a.csv", content=content)
    assert work_imports()
    importing.start_applying(upload, accept="good", actor=None)
    return upload


@pytest.mark.django_db(transaction=True)
def test_an_import_makes_numbers_before_its_one_transaction():
    upload = staged("Fall freshmen", [number(n) for n in range(5)])
    made = []

    def watch(execute, sql, params, many, context):
        if sql.startswith(f'INSERT INTO "{PhoneNumber._meta.db_table}"'):
            made.append(connection.in_atomic_block)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        assert work_imports()
    assert made == [False]
    assert upload.contact_list.contacts.count() == 5


@pytest.mark.django_db
def test_a_worker_who_lost_the_run_does_not_empty_the_list_again(twin, monkeypatch):
    contact_list = make_list()
    fill(contact_list, 1, 2, 3)
    synced(contact_list)
    contact_list.refresh_from_db()
    contact_list.contacts.filter(number__e164=number(1)).update(first_name="Ours")
    run = planned(contact_list)
    assert run.plan["destructive"]
    sync.confirm(run, plan_hash=run.plan_hash, confirm=True)
    real, late = refilling.compare, []

    def frozen(*given):
        view = real(*given)
        if not late:
            late.append(1)
            revive()
            while work_syncs():  # another worker takes over and finishes
                pass
        return view

    monkeypatch.setattr(refilling, "compare", frozen)
    work_syncs()
    assert late
    assert there(twin, contact_list) == {"312-555-0101": "Ours", "312-555-0102": "Ada2", "312-555-0103": "Ada3"}
    run.refresh_from_db()
    assert run.state == "finished"
