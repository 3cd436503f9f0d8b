"""Emptying a list at the provider and filling it again: what is there is kept first, and no kill leaves it empty for good."""

from __future__ import annotations

from django.db import transaction

from contacts.sync.carrying import Carrier
from contacts.sync.comparing import (
    View,
    as_copy,
    compare,
    from_copy,
    our_rows,
    remote_contact,
    remote_list,
    their_record,
)
from smsportal import clock
from smsportal.text import clean_json


def keep_copy(carrier: Carrier, view: View) -> None:
    """Store everything the provider holds, before any of it is touched."""
    backup = {"contacts": as_copy(view.everything), "list": carrier.contact_list.remote, "at": clock.now().isoformat()}
    carrier.set_down(backup=clean_json(backup), stage="copied")


def empty(carrier: Carrier) -> None:
    """Adopt what is only there, then reset the list there. Done again after a kill: nothing of ours was added since.

    What we cannot keep, or what changed on both sides, is put back as it was: its records are noted beside the copy.
    """
    contact_list, backup = carrier.contact_list, carrier.run.backup or {}
    view = compare(contact_list, carrier.provider, from_copy(backup["contacts"]))
    keep = {*carrier.pull(view), *view.plan.unusable, *view.plan.conflict}
    schema = contact_list.schema()
    verbatim = [each for each in view.everything if their_record(each, schema).key in keep]
    carrier.beat()  # whoever stood still so long that another worker has refilled the list must not empty it again
    made = carrier.provider.replace_list(contact_list.remote_id, remote_list(contact_list))
    conflict = sorted(set(view.plan.conflict))
    kept = {"verbatim": as_copy(verbatim), "conflict": conflict, "unusable": carrier.unusable}
    carrier.done["removed"] = len(view.plan.delete)
    with transaction.atomic():
        carrier.set_down(stage="emptied", backup={**backup, **kept}, report=carrier.report())
        carrier.list_is_there(remote=clean_json(dict(made.raw)))


def refill(carrier: Carrier) -> None:
    """Add what is not there yet: our contacts, and as they were those in conflict or that we cannot keep."""
    contact_list, backup = carrier.contact_list, carrier.run.backup or {}
    schema = contact_list.schema()
    carrier.unusable = dict(backup["unusable"])
    wanted = {each.key: remote_contact(each.fields, schema) for each in our_rows(contact_list) if not each.removed}
    for each in from_copy(backup["verbatim"]):
        key = their_record(each, schema).key
        key = f"{key} (2)" if key in carrier.foreign else key  # there twice, in two spellings
        wanted[key] = each
        carrier.foreign.add(key)
    there = carrier.there()
    carrier.in_step({key: there[key] for key in carrier.mine(there) if key in wanted})
    carrier.append({key: contact for key, contact in wanted.items() if key not in there})
    carrier.settle(wanted)
    records = (their_record(each, schema) for each in from_copy(backup["verbatim"]))
    carrier.note_conflicts({each.key: each.fields for each in records if each.key in backup["conflict"]})
    carrier.forget(keep={*there, *wanted})
