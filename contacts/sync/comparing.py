"""A list here beside its counterpart at the provider: both sides in the same words, and the plan made of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from contacts.models import Contact, ContactList
from contacts.models.lists import contact_fields
from smsportal.mirror.engine import read_all
from smsportal.mirror.plan import Ours, Plan, Theirs, make_plan
from smsportal.phones import BadNumber, to_e164
from smsportal.providers.base import Provider, RemoteContact, RemoteField, RemoteList
from smsportal.providers.errors import Missing
from smsportal.text import clean


@dataclass(frozen=True, slots=True)
class View:
    """Both sides at one moment. `raw` are the provider's own records by the key they have in the plan."""

    plan: Plan
    ours: Mapping[str, Ours]
    theirs: Mapping[str, Theirs]
    raw: Mapping[str, RemoteContact]
    everything: Sequence[RemoteContact]
    unknown_fields: tuple[str, ...] = field(default=())


def look(contact_list: ContactList, provider: Provider, beat: Callable[[], None] = lambda: None) -> View:
    """Read the list at the provider, completely, and compare. Writes nothing.

    A list without an id, or one the provider no longer has, is planned to be created. Raises ProviderError, Incomplete.
    """
    remote: list[RemoteContact] = []
    create = not contact_list.remote_id
    if not create:
        try:
            remote = read_all(provider, contact_list.remote_id, beat)
        except Missing:
            create = True
    return compare(contact_list, provider, remote, create=create)


def compare(
    contact_list: ContactList, provider: Provider, remote: Sequence[RemoteContact], *, create: bool = False
) -> View:
    """`look` with what was read already."""
    schema = contact_list.schema()
    names = {each.name for each in schema}
    ours = {each.key: each for each in our_rows(contact_list)}
    theirs: dict[str, Theirs] = {}
    raw: dict[str, RemoteContact] = {}
    records = []
    for contact in remote:
        each = their_record(contact, schema)
        records.append(each)
        theirs.setdefault(each.key, each)
        raw.setdefault(each.key, contact)
    unknown = sorted({name for contact in remote for name in contact.fields if name not in names})
    plan = make_plan(
        ours.values(),
        records,
        abilities=provider.abilities,
        create=create,
        list_changed=contact_list.pushed not in ("", list_digest(contact_list)),
    )
    return View(plan, ours, theirs, raw, remote, tuple(unknown))


def our_rows(contact_list: ContactList) -> Iterator[Ours]:
    """Every contact of the list, those removed here and waiting to be removed there included."""
    rows = Contact.objects.filter(contact_list=contact_list).order_by().values_list(
        "number__e164", "email", "first_name", "last_name", "extra", "pushed", "removed_at", "active"
    )  # fmt: skip
    for e164, email, first, last, extra, pushed, removed_at, active in rows.iterator(chunk_size=2000):
        yield Ours(e164, contact_fields(e164, email, first, last, extra), pushed, removed_at is not None, active)


def their_record(contact: RemoteContact, schema: Sequence[RemoteField]) -> Theirs:
    """A record in our words: the number in E.164, values as we store them, fields we do not know left out.

    One whose number is none we may text is not usable; its key is the number as it stands.
    """
    fields = {each.name: value for each in schema if (value := clean(contact.value(each.name)).strip())}
    number = fields.get("Phone_Number", "")
    try:
        fields["Phone_Number"] = to_e164(number)
    except BadNumber:
        return Theirs(number or "(no number)", fields, contact.active, usable=False)
    return Theirs(fields["Phone_Number"], fields, contact.active)


def remote_contact(fields: Mapping[str, str], schema: Sequence[RemoteField]) -> RemoteContact:
    """A contact of ours as the provider should store it."""
    return RemoteContact({each.name: (each.type, fields[each.name]) for each in schema if fields.get(each.name)})


def remote_list(contact_list: ContactList) -> RemoteList:
    """The list itself as the provider should store it."""
    return RemoteList(
        name=contact_list.name,
        tags=tuple(contact_list.tags.values_list("name", flat=True)),
        meta=contact_list.meta,
        fields=tuple(each.as_remote() for each in contact_list.own_fields.all()),
    )


def list_digest(contact_list: ContactList) -> str:
    """The same as long as the list itself is the same."""
    wanted = remote_list(contact_list)
    parts = {
        "name": wanted.name,
        "tags": wanted.tags,
        "meta": wanted.meta,
        "fields": [asdict(f) for f in wanted.fields],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


# --- the copy that is kept before a list is emptied --------------------------------------------------------------------
def as_copy(contacts: Iterable[RemoteContact]) -> list[dict[str, Any]]:
    """Records as JSON, whole: unknown fields and all."""
    return [{"fields": {name: list(pair) for name, pair in c.fields.items()}, "active": c.active} for c in contacts]


def from_copy(rows: Iterable[Mapping[str, Any]]) -> list[RemoteContact]:
    """The records `as_copy` was given."""
    return [
        RemoteContact({name: (pair[0], pair[1]) for name, pair in row["fields"].items()}, row["active"]) for row in rows
    ]
