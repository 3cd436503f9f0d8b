"""Makers for tests of mirroring: lists filled, changed on either side, synced to the end."""

from __future__ import annotations

from datetime import timedelta

from contacts import keeping, sync
from contacts.models import Contact, ContactList, SyncRun
from contacts.tasks import work_syncs
from smsportal import clock
from smsportal.providers.base import RemoteContact
from smsportal.sandbox.app import Twins


def number(n: int) -> str:
    return f"+1312555{n + 100:04d}"


def fill(contact_list: ContactList, *places: int, **more: str) -> None:
    rows = [
        {"Phone_Number": number(n), "First_Name": f"Ada{n}", "Email_Address": f"ada{n}@example.edu", **more}
        for n in places
    ]
    assert not keeping.save_contacts(contact_list, rows).rejected


def contact(contact_list: ContactList, n: int) -> Contact:
    found: Contact = contact_list.contacts.get(number__e164=number(n))
    return found


def change(contact_list: ContactList, n: int, name: str) -> None:
    keeping.change_contact(contact(contact_list, n), {"First_Name": name})


def planned(contact_list: ContactList) -> SyncRun:
    contact_list.refresh_from_db()
    run = sync.plan(contact_list)
    assert run.state == "planned", run.problem
    return run


def synced(contact_list: ContactList, *, confirm: bool = True) -> SyncRun:
    """Plan, confirm, carry out."""
    run = planned(contact_list)
    sync.confirm(run, plan_hash=run.plan_hash, confirm=confirm)
    return worked(run)


def worked(run: SyncRun) -> SyncRun:
    """What becomes of a confirmed run when workers get to it."""
    while work_syncs():
        pass
    run = SyncRun.objects.get(pk=run.pk)
    run.contact_list.refresh_from_db()
    return run


def revive() -> None:
    """The lease of a dead worker runs out, and the time of the next try comes."""
    SyncRun.objects.update(lease_until=clock.now() - timedelta(seconds=1), retry_at=None)


def there(twin: Twins, contact_list: ContactList) -> dict[str, str]:
    """The list at the twin: number → first name."""
    contact_list.refresh_from_db()
    rows = twin.ocelot.lists[contact_list.remote_id].contacts
    return {each.value("Phone_Number"): each.value("First_Name") for each in rows}


def add_there(contact_list: ContactList, *rows: tuple[str, str]) -> None:
    """Contacts made at the provider by somebody else: (number, first name)."""
    contact_list.refresh_from_db()
    made = [
        RemoteContact({"Phone_Number": ("PhoneNumber", phone), "First_Name": ("FirstName", name)})
        for phone, name in rows
    ]
    report = contact_list.account.at_provider().add_contacts(contact_list.remote_id, made)
    assert not report.rejected


def change_there(twin: Twins, contact_list: ContactList, n: int, name: str) -> None:
    [found] = _find(twin, contact_list, n)
    for each in found.fields:
        if each["name"] == "First_Name":
            each["value"] = name


def remove_there(twin: Twins, contact_list: ContactList, n: int) -> None:
    [found] = _find(twin, contact_list, n)
    kept = twin.ocelot.lists[contact_list.remote_id]
    kept.contacts.remove(found)
    for each in found.fields:
        kept.taken.get(each["name"], set()).discard("".join(filter(str.isdigit, each["value"])))
        kept.taken.get(each["name"], set()).discard(each["value"])
    kept.in_order.clear()


def _find(twin: Twins, contact_list: ContactList, n: int) -> list:
    contact_list.refresh_from_db()
    dashed = f"312-555-{n + 100:04d}"
    rows = twin.ocelot.lists[contact_list.remote_id].contacts
    return [each for each in rows if each.value("Phone_Number") == dashed]
