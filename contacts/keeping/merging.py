"""Checked fields × a list as it is now → new, changed, same, refused or a repetition; and the set-based writing of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

from django.db.models import F
from django.db.models.functions import Lower

from contacts.checking import CellError, not_unique, unique_fields, unique_key
from contacts.consent import numbers_for
from contacts.models import Contact, ContactList, PhoneNumber, RowState
from contacts.models.lists import contact_fields
from smsportal import clock
from smsportal.mirror.models import SyncState
from smsportal.phones import display
from smsportal.providers.base import RemoteField
from smsportal.sql import insert_each, update_each

PAGE = 1000  # rows judged and written together; SQLite takes 32,766 values in one statement
COLUMNS = {"Email_Address": "email", "First_Name": "first_name", "Last_Name": "last_name"}
UPDATE_PAGE = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """One row that should enter a list. Only fields named in `fields` change; "" clears one."""

    row: int
    e164: str
    fields: Mapping[str, str]
    errors: Sequence[CellError] = ()


class Held(NamedTuple):
    """A contact as the list holds it now."""

    pk: int
    e164: str
    email: str
    first_name: str
    last_name: str
    extra: dict[str, str]
    removed_at: datetime | None

    def fields(self) -> dict[str, str]:
        return contact_fields(self.e164, self.email, self.first_name, self.last_name, self.extra)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What merging `wanted` would do. `before` are the contact's fields now, None when it is not in the list."""

    wanted: Wanted
    state: RowState
    errors: Sequence[CellError] = ()
    held: Held | None = None
    before: dict[str, str] | None = None

    @property
    def writes(self) -> bool:
        return self.state in (RowState.NEW, RowState.CHANGED)


@dataclass(slots=True)
class Memory:
    """What earlier rows of the same upload or request claimed: numbers, and values that may not repeat."""

    word: str = "Row"  # how a row is called: "Row 7", or "Item 7" of an API call
    numbers: dict[str, tuple[int, int]] = field(default_factory=dict)  # E.164 → row, hash of its fields
    values: dict[tuple[str, str], int] = field(default_factory=dict)  # field and value → row


def judge(
    contact_list: ContactList, schema: Sequence[RemoteField], page: Sequence[Wanted], *, memory: Memory
) -> list[Verdict]:
    """What each row of `page` would do to the list, in order. Reads only: two queries, and one per unique field."""
    held = find_held(contact_list, [wanted.e164 for wanted in page if wanted.e164])
    unique = unique_fields(schema)
    taken = {each.name: _holders(contact_list, each, page) for each in unique}
    return [_judge_one(wanted, held.get(wanted.e164), unique, taken, memory) for wanted in page]


def _judge_one(
    wanted: Wanted,
    held: Held | None,
    unique: Sequence[RemoteField],
    taken: Mapping[str, Mapping[str, str]],
    memory: Memory,
) -> Verdict:
    present = held if held is not None and held.removed_at is None else None
    before = present.fields() if present is not None else None
    errors = [each for each in wanted.errors if not _is_filled_already(each, wanted, before)]
    if not errors and wanted.e164 in memory.numbers:
        return Verdict(wanted, RowState.DUPLICATE, [_duplicate(wanted, memory)], held, before)
    if not errors:
        errors = list(_clashes(wanted, unique, taken, memory))
    if errors or not wanted.e164:
        return Verdict(wanted, RowState.REFUSED, errors, held, before)
    claim(memory, wanted, unique)
    if before is None:
        return Verdict(wanted, RowState.NEW, (), held)
    after = {name: value for name, value in {**before, **wanted.fields}.items() if value}
    return Verdict(wanted, RowState.SAME if after == before else RowState.CHANGED, (), held, before)


def claim(memory: Memory, wanted: Wanted, unique: Sequence[RemoteField]) -> None:
    """Note that `wanted` is used: its number and its unique values are taken for the rows after it."""
    memory.numbers[wanted.e164] = wanted.row, hash(frozenset(wanted.fields.items()))
    for each in unique:
        if value := wanted.fields.get(each.name):
            memory.values[each.name, unique_key(each, value)] = wanted.row


def _is_filled_already(error: CellError, wanted: Wanted, before: Mapping[str, str] | None) -> bool:
    """A required field that is not given is fine when the contact already has it."""
    return error.code == "missing" and error.field not in wanted.fields and bool(before and before.get(error.field))


def _duplicate(wanted: Wanted, memory: Memory) -> CellError:
    row, fields = memory.numbers[wanted.e164]
    message = f"{memory.word} {row} has the same phone number and is the one used."
    if fields != hash(frozenset(wanted.fields.items())):
        message += " The two differ: correct that one if this one is right."
    return CellError("Phone_Number", "duplicate", message, wanted.e164)


def _clashes(
    wanted: Wanted, unique: Sequence[RemoteField], taken: Mapping[str, Mapping[str, str]], memory: Memory
) -> Iterable[CellError]:
    for each in unique:
        value = wanted.fields.get(each.name)
        if not value:
            continue
        key = unique_key(each, value)
        earlier = memory.values.get((each.name, key))
        holder = taken[each.name].get(key, wanted.e164)
        if earlier is not None:
            yield not_unique(each, value, f"{memory.word} {earlier}")
        elif holder != wanted.e164:
            yield not_unique(each, value, f"The contact {display(holder)} of this list")


def find_held(contact_list: ContactList, e164s: Iterable[str]) -> dict[str, Held]:
    """The contacts of the list with these numbers, by number, the removed ones included.

    Two queries: in one, SQLite would read the whole list for every page instead of looking the numbers up.
    """
    numbers = dict(PhoneNumber.objects.filter(e164__in=set(e164s)).order_by().values_list("pk", "e164"))
    rows = Contact.objects.filter(contact_list=contact_list, number__in=list(numbers)).order_by()
    columns = rows.values_list("pk", "number_id", "email", "first_name", "last_name", "extra", "removed_at")
    return {numbers[row[1]]: Held(row[0], numbers[row[1]], *row[2:]) for row in columns}


def _holders(contact_list: ContactList, unique: RemoteField, page: Sequence[Wanted]) -> dict[str, str]:
    """Value → number of the contact of the list that has it, for the values `page` wants."""
    keys = {unique_key(unique, value) for wanted in page if (value := wanted.fields.get(unique.name))}
    if not keys:
        return {}
    contacts = Contact.objects.filter(contact_list=contact_list, removed_at=None).order_by()
    if unique.type == "Email":
        rows = contacts.annotate(value=Lower("email")).filter(value__in=keys)
    else:
        rows = contacts.filter(**{f"extra__{unique.name}__in": keys}).annotate(value=F(f"extra__{unique.name}"))
    return {unique_key(unique, value): e164 for value, e164 in rows.values_list("value", "number__e164")}


def write(contact_list: ContactList, verdicts: Sequence[Verdict]) -> None:
    """Make the new and change the changed contacts of `verdicts`. Call it in a transaction that holds the list's row."""
    doing = [verdict for verdict in verdicts if verdict.writes]
    if not doing:
        return
    now = clock.now()
    new = [verdict for verdict in doing if verdict.held is None]
    numbers = numbers_for(verdict.wanted.e164 for verdict in new)
    rows = [(uuid4(), numbers[v.wanted.e164], *columns_of(v.wanted.fields)) for v in new]
    same = {
        **dict.fromkeys(["remote_id", "pushed", "sync_error"], ""),
        **dict.fromkeys(["remote", "synced_at", "removed_at"]),
        **dict.fromkeys(["created_at", "updated_at"], now),
        "contact_list": contact_list.pk,
        "sync_state": SyncState.PENDING,
        "active": True,
    }
    insert_each(Contact, ["uuid", "number", *COLUMNS.values(), "extra"], rows, same)
    set_fields([(v.held.pk, {**(v.before or {}), **v.wanted.fields}) for v in doing if v.held is not None])
    mark_drifted(contact_list, at=now)


def set_fields(changes: Sequence[tuple[int, Mapping[str, str]]]) -> None:
    """Give contacts (by id) all their fields anew, their number apart; a removed one is in the list again."""
    names = [*COLUMNS.values(), "extra", "sync_state", "removed_at", "updated_at"]
    fixed = (SyncState.PENDING, None, clock.now())
    for start in range(0, len(changes), UPDATE_PAGE):
        page = changes[start : start + UPDATE_PAGE]
        update_each(Contact, names, [(pk, *columns_of(fields), *fixed) for pk, fields in page])


def columns_of(fields: Mapping[str, str]) -> tuple[str, str, str, dict[str, str]]:
    """Fields by name → the values of COLUMNS and of `extra`, blanks as blank; the number is not among them."""
    email, first_name, last_name = (fields.get(name, "") for name in COLUMNS)
    extra = {name: value for name, value in fields.items() if value and name not in COLUMNS and name != "Phone_Number"}
    return email, first_name, last_name, extra


def mark_drifted(contact_list: ContactList, *, at: object = None) -> None:
    """The list differs from its counterpart now, if it did not before."""
    ContactList.objects.filter(pk=contact_list.pk, sync_state=SyncState.IN_STEP).update(
        sync_state=SyncState.DRIFTED, updated_at=at or clock.now()
    )


def lock(contact_list: ContactList) -> ContactList:
    """The list's row, locked until the transaction ends: whoever writes contacts of one list takes turns."""
    row: ContactList = ContactList.objects.select_for_update().get(pk=contact_list.pk)
    return row
