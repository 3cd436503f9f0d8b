"""The steps of a sync run, each safe to repeat: create, adopt, append, empty and refill, and set down what came of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Count, Q

from contacts.checking import check_fields
from contacts.keeping import merging
from contacts.models import Contact, ContactList, PhoneNumber, SyncRun
from contacts.sync.comparing import (
    View,
    list_digest,
    remote_list,
    their_record,
)
from smsportal import clock
from smsportal.claims import Claim, renew
from smsportal.mirror.engine import Adding, read_all
from smsportal.mirror.models import SyncState
from smsportal.mirror.plan import digest
from smsportal.providers.base import Provider, Rejection, RemoteContact
from smsportal.sql import update_each
from smsportal.text import clean, clean_json

LEASE_S = 180
PER_CALL = 500  # contacts a call begins with; Ocelot's documents name no limit, only 413
SHOWN = 100  # rejections a report names
R = TypeVar("R")
_SENT_NOW = Q(sync_state=SyncState.RUNNING)
NOT_UNIQUE = re.compile(r"\bnot unique\b", re.IGNORECASE)  # "Phone Number 123-456-7890 is not unique."


class Lost(Exception):
    """Another worker took the run over; what it does is not repeated here."""


@dataclass(slots=True)
class Carrier:
    """One run in the hands of one worker. Counts gather in `done`, what is told to people in `rejections`."""

    run: SyncRun
    held: Claim
    provider: Provider
    done: Counter[str] = field(default_factory=Counter)
    rejections: list[dict[str, str]] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)  # key there → why we cannot keep it
    unsure: dict[str, str] = field(default_factory=dict)  # key → why it is to be looked up at the end
    foreign: set[str] = field(default_factory=set)  # keys of records refilled as they were, not as we have them

    def __post_init__(self) -> None:
        """Go on counting where an earlier worker stopped; what was rejected then is tried again now."""
        before = self.run.report or {}
        self.done.update({name: before.get(name, 0) for name in ("appended", "pulled", "removed")})

    @property
    def contact_list(self) -> ContactList:
        row: ContactList = self.run.contact_list
        return row

    def beat(self) -> None:
        """Lengthen the lease; raises Lost when it is gone."""
        if not renew(SyncRun, self.held, LEASE_S):
            raise Lost

    def set_down(self, **columns: Any) -> None:
        """Write columns of the run, only as its owner. Raises Lost."""
        if SyncRun.objects.filter(pk=self.held.pk, fence=self.held.fence).update(**columns) != 1:
            raise Lost
        for name, value in columns.items():
            setattr(self.run, name, value)

    # --- the list itself ----------------------------------------------------------------------------------------------
    def create(self) -> None:
        """Make the list there. The stage is written first, so that a kill in between is known afterwards."""
        self.set_down(stage="creating")
        made = self.provider.create_list(remote_list(self.contact_list))
        with transaction.atomic():
            self.set_down(stage="")
            self.list_is_there(remote_id=made.remote_id, remote=clean_json(dict(made.raw)))
            Contact.objects.filter(contact_list=self.contact_list).exclude(pushed="").update(pushed="")

    def list_is_there(self, **columns: Any) -> None:
        columns["pushed"] = list_digest(self.contact_list)
        ContactList.objects.filter(pk=self.contact_list.pk).update(**columns)
        for name, value in columns.items():
            setattr(self.contact_list, name, value)

    # --- from there to here -------------------------------------------------------------------------------------------
    def pull(self, view: View) -> list[str]:
        """Adopt contacts that are only there, and take over what changed only there; returns the keys not adopted.

        A contact somebody changed here since `view` was made is left for the next sync.
        """
        keys = view.plan.pull
        left: list[str] = []
        self.unusable = dict.fromkeys(view.plan.unusable, "This is no phone number the portal can text.")
        for start in range(0, len(keys), merging.PAGE):
            self.beat()
            with transaction.atomic():
                merging.lock(self.contact_list)
                left += self._pull_page(view, keys[start : start + merging.PAGE])
        return left

    def _pull_page(self, view: View, keys: Sequence[str]) -> list[str]:
        schema = self.contact_list.schema()
        held = merging.find_held(self.contact_list, keys)
        wanted = []
        for place, key in enumerate(keys):
            seen, now = view.ours.get(key), held.get(key)
            if (now and digest(now.fields())) == (seen and digest(seen.fields)):
                given = {each.name: view.theirs[key].fields.get(each.name, "") for each in schema}
                checked = check_fields(schema, given)
                wanted.append(merging.Wanted(place, checked.e164, checked.fields, checked.errors))
        verdicts = merging.judge(self.contact_list, schema, wanted, memory=merging.Memory("Contact"))
        merging.write(self.contact_list, verdicts)
        good = [keys[verdict.wanted.row] for verdict in verdicts if not verdict.errors]
        for verdict in verdicts:
            if verdict.errors:
                self.unusable[keys[verdict.wanted.row]] = " ".join(error.message for error in verdict.errors)
        self.done["pulled"] += len(good)
        self.in_step({key: view.theirs[key].fields for key in good}, states=Q())
        ids = self._ids(good)
        if good:
            update_each(Contact, ["active"], [(ids[key], view.theirs[key].active) for key in good])
        return sorted(set(keys) - set(good))

    def in_step(self, fields: Mapping[str, Mapping[str, str]], states: Q = _SENT_NOW) -> None:
        """Note that the provider holds exactly `fields` (by key).

        Only contacts that fit `states` become in step: one that somebody changed meanwhile is `pending` and stays so.
        """
        now, ids = clock.now(), self._ids(fields)
        rows = [(ids[key], digest(given), now) for key, given in fields.items() if key in ids]
        for page in _pages(rows):
            update_each(Contact, ["pushed", "synced_at"], page)
            here = Contact.objects.filter(states, pk__in=[pk for pk, *_ in page], removed_at=None)
            here.update(sync_state=SyncState.IN_STEP, sync_error="", remote=None)

    def _ids(self, keys: Iterable[str]) -> dict[str, int]:
        ids: dict[str, int] = {}
        for page in _pages(list(keys)):
            numbers = dict(PhoneNumber.objects.filter(e164__in=page).order_by().values_list("pk", "e164"))
            rows = Contact.objects.filter(contact_list=self.contact_list, number__in=list(numbers)).order_by()
            ids |= {numbers[number]: pk for pk, number in rows.values_list("pk", "number_id")}
        return ids

    # --- from here to there -------------------------------------------------------------------------------------------
    def append(self, contacts: Mapping[str, RemoteContact]) -> None:
        """Add contacts (by key) to the list there. Repeating it is harmless: what is there is "not unique" then."""
        keys = {id(contact): key for key, contact in contacts.items()}

        def before(part: Sequence[RemoteContact]) -> None:
            self.beat()
            ids = self._ids(self.mine(keys[id(each)] for each in part))
            Contact.objects.filter(pk__in=ids.values(), removed_at=None).update(sync_state=SyncState.RUNNING)

        def after(stored: Sequence[RemoteContact], rejected: Sequence[Rejection]) -> None:
            named = {keys[id(each)]: each for each in stored}
            for each in rejected:
                self._rejected(keys.get(id(each.contact)), each.text)
            if any(id(each.contact) not in keys for each in rejected):
                self.unsure |= dict.fromkeys(named, "The provider did not store this contact and did not say why.")
                named = {}
            self._stored({key: _values(each) for key, each in named.items()})

        per_call = _number(self.provider.account.options.get("contacts_per_call"), PER_CALL)
        Adding(self.provider, self.contact_list.remote_id, before, after, per_call).run(list(contacts.values()))

    def mine(self, keys: Iterable[str]) -> list[str]:
        """Without those added as they were, for what is there then is not what we have."""
        return [key for key in keys if key not in self.foreign]

    def _stored(self, fields: Mapping[str, Mapping[str, str]]) -> None:
        mine = self.mine(fields)
        self.done["appended"] += len(mine)
        self.in_step({key: fields[key] for key in mine})
        self.set_down(report=self.report())

    def _rejected(self, key: str | None, text: str) -> None:
        if key is None:
            self._reject("", text)
        elif NOT_UNIQUE.search(text):
            self.unsure[key] = text  # perhaps from an earlier call whose answer was lost: looked up at the end
        else:
            self._error(key, text)

    def _error(self, key: str, text: str) -> None:
        """The provider did not take this contact: its own words land on ours."""
        self.done["rejected"] += 1
        self._reject(key, text)
        if key in self.foreign:
            return
        Contact.objects.filter(contact_list=self.contact_list, number__e164=key).update(
            sync_state=SyncState.ERROR, sync_error=clean(text, 1000)
        )

    def _reject(self, key: str, text: str) -> None:
        if len(self.rejections) < SHOWN:
            self.rejections.append({"phone_number": key, "error": clean(text, 1000)})

    def settle(self, wanted: Mapping[str, RemoteContact]) -> None:
        """Read the list once more for the contacts in doubt: those stored as we have them are in step after all."""
        if not self.unsure:
            return
        schema = self.contact_list.schema()
        there = self.there()
        stored: dict[str, Mapping[str, str]] = {}
        for key, text in self.unsure.items():
            if key in there and digest(there[key]) == digest(their_record(wanted[key], schema).fields):
                stored[key] = there[key]
            else:
                self._error(key, text)
        self.unsure.clear()
        self._stored(stored)

    def there(self) -> dict[str, Mapping[str, str]]:
        """What the list holds there now, by key."""
        schema = self.contact_list.schema()
        remote = read_all(self.provider, self.contact_list.remote_id, self.beat)
        records = [their_record(contact, schema) for contact in remote]
        return {each.key: each.fields for each in records}

    # --- the end ------------------------------------------------------------------------------------------------------
    def forget(self, keep: Collection[str]) -> None:
        """Delete the rows of contacts removed here that are gone there too: all but those in `keep`."""
        marked = Contact.objects.filter(contact_list=self.contact_list).exclude(removed_at=None)
        ids = [pk for pk, e164 in marked.values_list("pk", "number__e164") if e164 not in keep]
        for page in _pages(ids):
            Contact.objects.filter(pk__in=page).exclude(removed_at=None).delete()

    def note_same(self, view: View, since: datetime) -> None:
        """Those equal on both sides are in step, unless somebody changed one since they were read."""
        same = view.plan.same
        for start in range(0, len(same), merging.PAGE):
            self.beat()
            page = same[start : start + merging.PAGE]
            news = {key: view.theirs[key].fields for key in page}
            self.in_step(news, states=_SENT_NOW | Q(updated_at__lte=since))

    def note_conflicts(self, theirs: Mapping[str, Mapping[str, str]]) -> None:
        """What the other side holds is kept beside ours, for people to decide."""
        ids = self._ids(theirs)
        drifted, sentence = SyncState.DRIFTED, "Changed here and at the provider; make both the same."
        rows = [(ids[key], drifted, sentence, dict(fields)) for key, fields in theirs.items() if key in ids]
        for page in _pages(rows):
            update_each(Contact, ["sync_state", "sync_error", "remote"], page)

    def sums(self) -> dict[str, int]:
        """The contacts of the list by how they stand now; `contacts` is the sum of the others."""
        rows = Contact.objects.filter(contact_list=self.contact_list, removed_at=None).order_by()
        states: Counter[str] = Counter(dict(rows.values_list("sync_state").annotate(n=Count("pk"))))
        named = {
            "in_step": states[SyncState.IN_STEP],
            "rejected": states[SyncState.ERROR],
            "conflict": states[SyncState.DRIFTED],
        }
        return {"contacts": states.total(), **named, "waiting": states.total() - sum(named.values())}

    def report(self, sums: Mapping[str, int] | None = None) -> dict[str, Any]:
        """What was done so far, as stored and shown."""
        counts = {name: self.done[name] for name in ("appended", "rejected", "pulled", "removed")}
        unusable = [{"phone_number": key, "error": text} for key, text in self.unusable.items()]
        return {
            **counts,
            "unusable": len(unusable),
            "same": self.run.plan.get("same", 0),
            "conflict": self.run.plan.get("conflict", 0),
            "rejections": (self.rejections + unusable)[:SHOWN],
            "sums": dict(sums or {}),
        }


def _values(contact: RemoteContact) -> dict[str, str]:
    return {name: value for name, (_, value) in contact.fields.items()}


def _number(option: object, default: int) -> int:
    text = str(option or "")
    return max(1, int(text)) if text.isdecimal() else default


def _pages(rows: Sequence[R]) -> Iterator[Sequence[R]]:
    for start in range(0, len(rows), merging.PAGE):
        yield rows[start : start + merging.PAGE]
