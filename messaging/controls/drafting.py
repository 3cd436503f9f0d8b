"""Makes and edits drafts of batches, and tells everything that is wrong with one at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import F

from contacts.models import ContactList
from messaging import channels, wording
from messaging.composing.audience import abilities_of
from messaging.controls.moves import move
from messaging.models import Batch, Template, TemplateVersion
from messaging.statuses import BatchState
from smsportal import phones
from smsportal.accounts.models import ProviderAccount, Unit, User
from smsportal.problems import Changed, Problem, Wrong
from smsportal.text import clean

E164: Final = re.compile(r"\+[1-9]\d{6,14}\Z")
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
    text: str
    version: TemplateVersion | None
    send_at: datetime | None
    provider_options: Mapping[str, str]

    def columns(self) -> dict[str, Any]:
        """The batch's columns; the lists are no column."""
        return {
            "name": clean(self.name).strip(),
            "account": self.account,
            "channel": self.channel,
            "sender": address(self.sender),
            "operator": clean(self.operator).strip() or self.account.operator,
            "text": self.text,
            "template_version": self.version,
            "send_at": self.send_at,
            "provider_options": {clean(name): clean(value) for name, value in self.provider_options.items()},
        }


def create(
    *,
    actor: User | None,
    unit: Unit,
    account: ProviderAccount,
    sender: str,
    name: str,
    lists: Collection[ContactList] = (),
    operator: str = "",
    text: str = "",
    template: Template | None = None,
    send_at: datetime | None = None,
    provider_options: Mapping[str, str] | None = None,
    channel: str = "sms",
) -> Batch:
    """A new draft; `text` or `template`, not both. Raises Wrong with all that is wrong by field."""
    wording_text, version = _worded(text, template)
    draft = Draft(
        name=name,
        account=account,
        channel=channel,
        sender=sender,
        operator=operator,
        lists=list(lists),
        text=wording_text,
        version=version,
        send_at=send_at,
        provider_options=provider_options or {},
    )
    _check(draft)
    with transaction.atomic():
        batch = Batch.objects.create(unit=unit, author=actor, **draft.columns())
        batch.lists.set(draft.lists)
    return batch


def edit(batch: Batch, *, actor: User | None, revision: int | None = None, **changes: Any) -> Batch:
    """Change a batch that has not begun: it is a draft again, of the next revision, and nobody has approved it.

    `changes` are arguments of `create`, without `actor` and `unit`. `revision`: the one the caller has seen.
    Raises Wrong, Conflict when it has begun, Changed when somebody else was first.
    """
    if revision is not None and revision != batch.revision:
        raise Changed(f"“{batch.name}” was edited meanwhile. Look at it again.")
    draft = _changed(batch, changes)
    _check(draft)
    with transaction.atomic():
        move(
            batch,
            "edit",
            actor=actor,
            **draft.columns(),
            state=BatchState.DRAFT,
            revision=F("revision") + 1,
            **VOIDED,
        )
        batch.lists.set(draft.lists)
    return batch


# What submitting and approving had written.
VOIDED: Final[dict[str, Any]] = {
    "snapshot": "",
    "waterfall": None,
    "submitter": None,
    "approver": None,
    "problem": "",
}


def _changed(batch: Batch, changes: dict[str, Any]) -> Draft:
    known = {field.name for field in fields(Draft)} - {"version"} | {"template"}
    if unknown := changes.keys() - known:
        raise TypeError(f"A batch has no {', '.join(sorted(unknown))} to edit")
    draft = Draft(
        name=batch.name,
        account=batch.account,
        channel=batch.channel,
        sender=batch.sender,
        operator=batch.operator,
        lists=list(batch.lists.all()),
        text=batch.text,
        version=batch.template_version,
        send_at=batch.send_at,
        provider_options=batch.provider_options,
    )
    if changes.get("text") is not None or changes.get("template") is not None:
        text, version = _worded(changes.get("text") or "", changes.get("template"))
        draft = replace(draft, text=text, version=version)
    given = {name: value for name, value in changes.items() if name not in {"text", "template"}}
    if "provider_options" in given:
        given["provider_options"] = given["provider_options"] or {}
    return replace(draft, **given)


def _worded(text: str, template: Template | None) -> tuple[str, TemplateVersion | None]:
    if template is None:
        return clean(text).replace("\r\n", "\n"), None
    if text.strip():
        sentence = "Give a text or a template, not both."
        raise Wrong(sentence, errors={"text": [sentence], "template": [sentence]})
    version = template.newest()
    if version is None:
        raise Wrong("The template has no text yet.", errors={"template": ["The template has no text yet."]})
    return version.text, version


def _check(draft: Draft) -> None:
    """Raise Wrong with every mistake of `draft` by field."""
    errors: dict[str, list[str]] = {}
    if not draft.name.strip() or len(draft.name.strip()) > 200:
        errors["name"] = ["Give the batch a name of at most 200 characters."]
    if draft.channel not in channels.CHANNELS or draft.channel not in abilities_of(draft.account).channels:
        errors["channel"] = [f"{draft.account} does not carry “{draft.channel}”."]
    if not draft.sender.strip() or len(draft.sender.strip()) > 32:
        errors["sender"] = ["Name the number the texts come from."]
    if draft.operator.strip() and not _is_email(draft.operator.strip()):
        errors["operator"] = ["The operator is an e-mail address."]
    if draft.send_at is not None and draft.send_at.tzinfo is None:
        errors["send_at"] = ["Give the time with its offset, as in 2026-09-01T09:00:00-04:00."]
    if not all(isinstance(part, str) for pair in draft.provider_options.items() for part in pair):
        errors["provider_options"] = [_OPTIONS_MEAN_TEXT]
    if sentences := [] if "channel" in errors else _text_mistakes(draft):
        errors["text"] = sentences
    if errors:
        raise Wrong(" ".join(sentence for found in errors.values() for sentence in found), errors=errors)


def _text_mistakes(draft: Draft) -> list[str]:
    if not draft.text.strip():
        return ["Write a text, or choose a template."]
    schemas = {each.name: [remote.name for remote in each.schema()] for each in draft.lists}
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


def address(text: str) -> str:
    """A sender as it is stored: E.164 for a phone number however it is written, else the name as it stands."""
    plain = clean(text).strip()
    if E164.match(plain):
        return plain
    try:
        return phones.to_e164(plain)
    except phones.BadNumber:
        return plain


def refuse_unsendable(account: ProviderAccount, sender: str, operator: str) -> None:
    """Raise Wrong when nothing could be sent through `account` from `sender`: closed, unknown or nobody to answer."""
    errors: dict[str, list[str]] = {}
    if not account.is_active:
        errors["account"] = [f"{account} is switched off; choose another account or have it switched on."]
    senders = set(account.senders.values_list("address", flat=True))
    if senders and sender not in {address(each) for each in senders}:
        errors["sender"] = [f"“{sender}” is not a sender of {account}. There are: {', '.join(sorted(senders)[:10])}."]
    elif not senders and not E164.match(sender):
        errors["sender"] = [f"“{sender}” is not a phone number; write it like +13125550100."]
    if abilities_of(account).needs_operator and not operator:
        errors["operator"] = [f"{account} needs an operator: the e-mail address of who gets the answers."]
    if errors:
        raise Wrong(" ".join(sentence for found in errors.values() for sentence in found), errors=errors)
