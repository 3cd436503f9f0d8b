"""Everything that can be wrong with a draft of a batch, told at once and by field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Q
from django.utils import timezone

from contacts.models import ContactList, Segment
from messaging import channels, wording
from messaging.composing.audience import abilities_of
from messaging.composing.opening import is_overdue
from messaging.composing.snapshots import has_sources
from messaging.models import Batch, TemplateVersion
from smsportal import clock, phones
from smsportal.accounts.models import ProviderAccount, Unit, User
from smsportal.problems import Problem, Wrong
from smsportal.text import clean

E164: Final = re.compile(r"\+[1-9]\d{6,14}\Z")
# Further ahead, a time is a slip of the pen. An end may lie a little behind the last moment to send at.
FURTHEST: Final = {"send_at": timedelta(days=366), "expires_at": timedelta(days=396)}
PASSED: Final = {
    "send_at": "This moment has passed. Choose a later one, or leave it blank to send at once.",
    "expires_at": "This moment has passed. Choose a later one, or leave it blank if it stays valid.",
}
NO_LIST: Final = "Its list was removed, so there is nobody to write to. Edit it and choose a list."
_OPTIONS_MEAN_TEXT: Final = "Options are texts by name, such as {“campaign”: “fall”}."


@dataclass(frozen=True, slots=True)
class Draft:
    """What staff decide about a batch. `version` is the template's version the text was taken from, if any."""

    name: str
    account: ProviderAccount
    channel: str
    sender: str
    operator: str
    lists: Sequence[ContactList]
    segments: Sequence[Segment]
    text: str
    version: TemplateVersion | None
    send_at: datetime | None
    expires_at: datetime | None
    provider_options: Mapping[str, str]
    corrects: Batch | None = None

    def columns(self) -> dict[str, Any]:
        """The batch's columns; lists and segments are no columns."""
        return {
            "name": clean(self.name).strip(),
            "account": self.account,
            "channel": self.channel,
            "sender": address(self.sender),
            "operator": clean(self.operator).strip() or self.account.operator,
            "text": self.text,
            "template_version": self.version,
            "send_at": self.send_at,
            "expires_at": self.expires_at,
            "corrects": self.corrects,
            "provider_options": {clean(name): clean(value) for name, value in self.provider_options.items()},
        }

    def sources(self) -> list[ContactList]:
        """The lists its people come from, by way of segments, too; each once. Those of a correction: of what it corrects."""
        if self.corrects is None:
            found = (*self.lists, *(segment.contact_list for segment in self.segments))
        else:
            first = self.corrects
            while first.corrects is not None:
                first = first.corrects
            found = (*first.lists.all(), *(each.contact_list for each in first.segments.select_related("contact_list")))
        return list({each.pk: each for each in found}.values())


def check(draft: Draft, unit: Unit) -> None:
    """Raise Wrong with every mistake of `draft`, a batch of `unit`, by field."""
    errors: dict[str, list[str]] = {}
    if not draft.name.strip() or len(draft.name.strip()) > 200:
        errors["name"] = ["Give the batch a name of at most 200 characters."]
    if draft.channel not in channels.CHANNELS or draft.channel not in abilities_of(draft.account).channels:
        errors["channel"] = [f"{draft.account} does not carry “{draft.channel}”."]
    if not draft.sender.strip() or len(draft.sender.strip()) > 32:
        errors["sender"] = ["Name the number the texts come from."]
    elif draft.corrects is None and (why := _unknown(draft.account, address(draft.sender))):
        errors["sender"] = [why]
    if draft.operator.strip() and not _is_email(draft.operator.strip()):
        errors["operator"] = ["The operator is an e-mail address."]
    if draft.corrects and (draft.lists or draft.segments):
        errors["lists"] = ["A correction goes to those who got the first text; it takes no lists."]
    else:
        errors |= _foreign(unit, draft.lists, draft.segments)
    errors |= _time_mistakes(draft)
    if not all(isinstance(part, str) for pair in draft.provider_options.items() for part in pair):
        errors["provider_options"] = [_OPTIONS_MEAN_TEXT]
    if sentences := [] if "channel" in errors else _text_mistakes(draft):
        errors["text"] = sentences
    if errors:
        raise Wrong(" ".join(sentence for found in errors.values() for sentence in found), errors=errors)


def _foreign(unit: Unit, lists: Sequence[ContactList], segments: Sequence[Segment]) -> dict[str, list[str]]:
    """Which lists and segments are not of `unit`, by field. A segment is of the unit of its list, for so are its people."""
    found: dict[str, list[tuple[ContactList | Segment, ContactList]]] = {
        "lists": [(each, each) for each in lists if each.unit_id != unit.pk],
        "segments": [(each, each.contact_list) for each in segments if each.contact_list.unit_id != unit.pk],
    }
    return {
        field: [
            f"“{each}” belongs to {owner.unit}, this batch to {unit}. Leave it out, or write a batch of {owner.unit} to it."
            for each, owner in rows
        ]
        for field, rows in found.items()
        if rows
    }


def refuse_sources(batch: Batch) -> None:
    """Raise Wrong when a draft has no list or segment left, or one that is not of its unit."""
    if batch.corrects_id:
        return
    if not has_sources(batch):
        raise Wrong(NO_LIST, errors={"lists": [NO_LIST]})
    errors = _foreign(batch.unit, list(batch.lists.all()), list(batch.segments.select_related("contact_list")))
    if errors:
        raise Wrong(" ".join(sentence for found in errors.values() for sentence in found), errors=errors)


def refuse_hidden(batch: Batch, person: User) -> None:
    """Raise Wrong when the people of `batch` stand in a list of a unit whose rows `person` may not see."""
    if batch.corrects_id or person.has_perm("accounts.see_all_units"):
        return
    used = ContactList.objects.filter(Q(batches=batch) | Q(segments__batches=batch))
    if hidden := used.exclude(unit__in=person.units.all()).select_related("unit").first():
        sentence = (
            f"“{hidden}” belongs to {hidden.unit}, whose lists you may not see, so nobody is shown. "
            f"Leave it out of this batch, or ask {hidden.unit}."
        )
        raise Wrong(sentence, errors={"lists": [sentence]})


def _time_mistakes(draft: Draft) -> dict[str, list[str]]:
    naive = [name for name in ("send_at", "expires_at") if (at := getattr(draft, name)) and at.tzinfo is None]
    if naive:
        return {name: ["Give the time with its offset, as in 2026-09-01T09:00:00-04:00."] for name in naive}
    if found := {name: [why] for name in FURTHEST if (why := _out_of_reach(name, getattr(draft, name)))}:
        return found
    if draft.expires_at and draft.send_at and draft.expires_at <= draft.send_at:
        return {"expires_at": ["It ends before it begins; give a time after the one to send at."]}
    return {}


def _out_of_reach(name: str, at: datetime | None) -> str:
    """Why nobody means this time, or ""."""
    if at is None:
        return ""
    if at <= clock.now():
        return PASSED[name]
    if at - clock.now() > FURTHEST[name]:
        return "This time is more than a year ahead; check the year, or write the batch when it is nearer."
    return ""


def _text_mistakes(draft: Draft) -> list[str]:
    if not draft.text.strip():
        return ["Write a text, or choose a template."]
    schemas = {each.name: [remote.name for remote in each.schema()] for each in draft.sources()}
    try:
        wording.refuse_unknown(draft.text, schemas)
        shortest = len(wording.literal(draft.text))
    except Problem as mistake:
        return mistake.errors["text"]
    limit = min(channels.get(draft.channel).MAX_TEXT, abilities_of(draft.account).max_text)
    return [f"The text has {shortest:,} characters; at most {limit:,} can be sent."] if shortest > limit else []


def _is_email(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def refuse_expired(expires_at: datetime | None, leaves_at: datetime) -> None:
    """Raise Wrong when everything would be too late: it may not leave after `expires_at`, nor before `leaves_at`."""
    if expires_at is not None and expires_at <= max(leaves_at, clock.now()):
        sentence = (
            "It was not to be sent so late, so nobody would get it; change the time after which it must not leave."
        )
        raise Wrong(sentence, errors={"expires_at": [sentence]})


def refuse_overdue(batch: Batch) -> None:
    """Raise Wrong when the time of a draft passed so long ago that nobody can mean it any more."""
    if batch.send_at is not None and is_overdue(batch):
        sentence = f"It was to be sent on {_when(batch)}. {PASSED['send_at']}"
        raise Wrong(sentence, errors={"send_at": [sentence]})


def refuse_unasked(batch: Batch) -> None:
    """Raise Wrong when an approved batch is overdue: whoever starts it must say that it is still to be sent."""
    if is_overdue(batch):
        sentence = f"It was to be sent on {_when(batch)}, and that has passed. Say that it is to be sent late, or edit its time."
        raise Wrong(sentence, errors={"late": [sentence]})


def _when(batch: Batch) -> str:
    return f"{timezone.localtime(batch.send_at, ZoneInfo(batch.unit.time_zone)):%d %B at %H:%M}"


def address(text: str) -> str:
    """A sender as it is stored: E.164 for a phone number however it is written, else the name as it stands."""
    plain = clean(text).strip()
    if E164.match(plain):
        return plain
    try:
        return phones.to_e164(plain)
    except phones.BadNumber:
        return plain


def _unknown(account: ProviderAccount, sender: str) -> str:
    """Why nothing can leave from `sender`, in one spelling, or "": its account has told its senders, and it is none."""
    senders = list(account.senders.order_by("address"))
    if not senders or sender in {address(each.address) for each in senders}:
        return ""
    return f"“{sender}” is not a sender of {account}. There are: {', '.join(map(str, senders[:10]))}."


def refuse_unsendable(account: ProviderAccount, sender: str, operator: str) -> None:
    """Raise Wrong when nothing could be sent through `account` from `sender`: closed, unknown or nobody to answer."""
    errors: dict[str, list[str]] = {}
    if not account.is_active:
        errors["account"] = [f"{account} is switched off; choose another account or have it switched on."]
    if why := _unknown(account, sender):
        errors["sender"] = [why]
    elif not E164.match(sender) and not account.senders.exists():
        errors["sender"] = [f"“{sender}” is not a phone number; write it like +13125550100."]
    if abilities_of(account).needs_operator and not operator:
        errors["operator"] = [f"{account} needs an operator: the e-mail address of who gets the answers."]
    if errors:
        raise Wrong(" ".join(sentence for found in errors.values() for sentence in found), errors=errors)
