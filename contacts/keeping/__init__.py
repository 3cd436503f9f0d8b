"""The verbs of lists and contacts: make, change and remove them, one or a thousand at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet

from contacts.busy import refuse_if_busy
from contacts.checking import CellError, check_fields
from contacts.consent import numbers_for
from contacts.keeping import merging
from contacts.keeping.schemas import check_list, store_fields, store_tags
from contacts.models import Contact, ContactList, RowState
from smsportal import clock
from smsportal.accounts.models import ProviderAccount, Unit
from smsportal.mirror.models import SyncState
from smsportal.problems import Changed, Conflict, Wrong
from smsportal.providers.base import RemoteField
from smsportal.providers.errors import Missing, ProviderError


@dataclass(frozen=True, slots=True)
class Rejected:
    """One row that was not stored: its place among those given, and per field what is wrong."""

    index: int
    errors: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of the rows given; the four always sum to their number."""

    created: int
    updated: int
    unchanged: int
    rejected: list[Rejected]


# --- lists -----------------------------------------------------------------------------------------------------------
def create_list(
    *,
    unit: Unit,
    account: ProviderAccount,
    name: str,
    tags: Sequence[str] = (),
    meta: Mapping[str, Any] | None = None,
    fields: Sequence[RemoteField | Mapping[str, Any]] = (),
) -> ContactList:
    """A new empty list. `fields` are those beyond the default four. Raises Wrong with an entry per bad field."""
    good = check_list(account, name=name, tags=tags, meta=meta or {}, fields=fields)
    with transaction.atomic():
        made = ContactList.objects.create(unit=unit, account=account, name=good["name"], meta=good["meta"])
        store_tags(made, good["tags"])
        store_fields(made, good["fields"])
    return made


def change_list(contact_list: ContactList, *, version: int | None = None, **changes: Any) -> ContactList:
    """Change `name`, `tags`, `meta` or `fields` (all own fields anew, matched by name).

    With `version` only if nobody changed it since: else Changed. Raises Wrong as `create_list`, and Conflict when a
    field would go that contacts still have filled in.
    """
    good = check_list(contact_list.account, but=contact_list, **changes)
    if not good:
        return contact_list
    with transaction.atomic():
        _advance(contact_list, version, **{name: good[name] for name in ("name", "meta") if name in good})
        if "tags" in good:
            store_tags(contact_list, good["tags"])
        if "fields" in good:
            store_fields(contact_list, good["fields"])
        merging.mark_drifted(contact_list)
    contact_list.refresh_from_db()
    return contact_list


def _advance(contact_list: ContactList, version: int | None, **columns: Any) -> None:
    """One conditional UPDATE: of two people who read the same version one changes the list, the other is told."""
    rows = ContactList.objects.filter(pk=contact_list.pk, **({} if version is None else {"version": version}))
    if not rows.update(version=F("version") + 1, updated_at=clock.now(), **columns):
        raise Changed("Somebody changed this list meanwhile; look at it again and repeat your change.")


def remove_list(contact_list: ContactList, *, version: int | None = None) -> None:
    """Remove a list with its contacts, at the provider too. Call it outside a transaction: it calls the provider.

    Raises Conflict when the list or one of its segments is in use or the provider keeps it (Ocelot does when a campaign
    used it), Changed when `version` is not the present one. Then nothing is removed here.
    """
    for used in (contact_list, *contact_list.segments.all()):
        refuse_if_busy(used)
    if version is not None and not ContactList.objects.filter(pk=contact_list.pk, version=version).exists():
        raise Changed("Somebody changed this list meanwhile; look at it again before you remove it.")
    if contact_list.sync_runs.filter(state="running").exists():
        raise Conflict("This list is being synced; wait until that has finished.")
    if contact_list.remote_id:
        try:
            contact_list.account.at_provider().delete_list(contact_list.remote_id)
        except Missing:
            pass
        except ProviderError as failed:
            raise Conflict(f"The provider did not remove the list, so it was kept here: {failed.text}") from failed
    contact_list.delete()


# --- contacts --------------------------------------------------------------------------------------------------------
def save_contacts(contact_list: ContactList, rows: Sequence[Mapping[str, str]]) -> Saved:
    """Put rows (field name → text) into the list; the phone number decides whether one is new or changes a contact.

    Fields that are not given stay, "" clears one. Of two rows with one number the first counts. Any number of rows;
    each page of 1,000 is one transaction that other writers of this list wait for.
    """
    schema = contact_list.schema()
    memory = merging.Memory("Item")
    counts = dict.fromkeys(RowState.values, 0)
    rejected: list[Rejected] = []
    for start in range(0, len(rows), merging.PAGE):
        page = [_wanted(start + n, schema, row) for n, row in enumerate(rows[start : start + merging.PAGE])]
        with transaction.atomic():
            merging.lock(contact_list)
            verdicts = merging.judge(contact_list, schema, page, memory=memory)
            merging.write(contact_list, verdicts)
        for verdict in verdicts:
            counts[verdict.state] += 1
            if verdict.state in (RowState.REFUSED, RowState.DUPLICATE):
                rejected.append(Rejected(verdict.wanted.row, by_field(verdict.errors)))
    return Saved(counts[RowState.NEW], counts[RowState.CHANGED], counts[RowState.SAME], rejected)


def _wanted(index: int, schema: Sequence[RemoteField], row: Mapping[str, str]) -> merging.Wanted:
    checked = check_fields(schema, row)
    return merging.Wanted(index, checked.e164, checked.fields, checked.errors)


def by_field(errors: Sequence[CellError]) -> dict[str, list[str]]:
    """Errors as every face shows them: field → sentences."""
    grouped: dict[str, list[str]] = {}
    for error in errors:
        grouped.setdefault(error.field, []).append(error.message)
    return grouped


def change_contact(contact: Contact, fields: Mapping[str, str]) -> Contact:
    """Change some fields of one contact; "" clears one. Raises Wrong with an entry per bad field.

    A new number of a contact the provider has is, over there, another contact: the old one is remembered as removed.
    """
    contact_list = contact.contact_list
    schema = contact_list.schema()
    with transaction.atomic():
        merging.lock(contact_list)
        now = Contact.objects.select_related("number").get(pk=contact.pk)
        if now.removed_at is not None:
            raise Conflict("This contact was removed; add it to the list again.")
        checked = check_fields(schema, {**now.fields(), **fields})
        moved = checked.e164 not in ("", now.number.e164)
        if moved:
            _move(now, checked.e164, contact_list)
        wanted = merging.Wanted(0, checked.e164 or now.number.e164, checked.fields, checked.errors)
        [verdict] = merging.judge(contact_list, schema, [wanted], memory=merging.Memory("Item"))
        if verdict.errors:
            raise Wrong("This contact cannot be stored like that.", errors=by_field(verdict.errors))
        if moved or verdict.state == RowState.CHANGED:
            merging.set_fields([(now.pk, checked.fields)])
            merging.mark_drifted(contact_list)
    contact.refresh_from_db()
    return contact


def _move(contact: Contact, e164: str, contact_list: ContactList) -> None:
    """Give a contact another number."""
    taken = Contact.objects.filter(contact_list=contact_list, number__e164=e164).first()
    if taken is not None and taken.removed_at is None:
        sentence = "Another contact of this list has this number; change or remove that one."
        raise Wrong(sentence, errors={"Phone_Number": [sentence]})
    old = contact.number_id
    if taken is not None:
        # The removed one's place is taken over, with what the provider is known to hold under this number.
        pushed = taken.pushed
        taken.delete()
    else:
        pushed = ""
    Contact.objects.filter(pk=contact.pk).update(number_id=numbers_for([e164])[e164], pushed=pushed)
    if contact.pushed or contact.sync_state == SyncState.RUNNING:
        Contact.objects.create(
            contact_list=contact_list,
            number_id=old,
            email=contact.email,
            first_name=contact.first_name,
            last_name=contact.last_name,
            extra=contact.extra,
            pushed=contact.pushed,
            removed_at=clock.now(),
            sync_state=SyncState.PENDING,
        )


def remove_contacts(contacts: QuerySet[Contact] | Sequence[Contact]) -> int:
    """Remove contacts; returns how many. Those the provider has are only marked, until a sync removes them there."""
    ids = list(contacts.values_list("pk", flat=True)) if isinstance(contacts, QuerySet) else [c.pk for c in contacts]
    done = 0
    for start in range(0, len(ids), merging.PAGE):
        with transaction.atomic():
            done += _remove_page(ids[start : start + merging.PAGE])
    return done


def _remove_page(ids: Sequence[int]) -> int:
    here = Contact.objects.filter(pk__in=ids, removed_at=None)
    lists = ContactList.objects.filter(pk__in=here.order_by().values("contact_list"))
    for contact_list in lists.select_for_update().order_by("pk"):
        merging.mark_drifted(contact_list)
    # One that is on its way to the provider now (`running`) may already have arrived there.
    there = ~Q(pushed="") | Q(sync_state=SyncState.RUNNING)
    marked = here.filter(there).update(
        removed_at=clock.now(), sync_state=SyncState.PENDING, sync_error="", updated_at=clock.now()
    )
    gone = here.filter(~there)
    count = gone.count()
    gone.delete()
    return marked + count
