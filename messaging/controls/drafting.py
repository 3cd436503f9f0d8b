"""Makes and edits drafts of batches; a form that is sent twice makes one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import F

from contacts.models import ContactList, Segment
from messaging.controls.checking import Draft, check
from messaging.controls.moves import move
from messaging.models import Batch, Template, TemplateVersion
from messaging.statuses import BatchState
from smsportal.accounts.models import ProviderAccount, Unit, User
from smsportal.problems import Changed, Wrong
from smsportal.text import clean


def create(
    *,
    actor: User | None,
    unit: Unit,
    account: ProviderAccount,
    sender: str,
    name: str,
    lists: Collection[ContactList] = (),
    segments: Collection[Segment] = (),
    operator: str = "",
    text: str = "",
    template: Template | None = None,
    send_at: datetime | None = None,
    expires_at: datetime | None = None,
    provider_options: Mapping[str, str] | None = None,
    channel: str = "sms",
    token: str = "",
) -> Batch:
    """A new draft; `text` or `template`, not both. Raises Wrong with all that is wrong by field.

    `token` (at most 64 characters): of the form it was written in. The same form sent again gives the same batch; sent
    with other words it edits that batch, so it raises Conflict when the batch has begun meanwhile.
    """
    wording_text, version = _worded(text, template)
    draft = Draft(
        name=name,
        account=account,
        channel=channel,
        sender=sender,
        operator=operator,
        lists=list(lists),
        segments=list(segments),
        text=wording_text,
        version=version,
        send_at=send_at,
        expires_at=expires_at,
        provider_options=provider_options or {},
    )
    return write(draft, actor=actor, unit=unit, token=clean(token)[:64])


def write(draft: Draft, *, actor: User | None, unit: Unit, token: str = "") -> Batch:
    """Store a checked draft as a new batch, or find the batch this form has made already."""
    check(draft, unit)
    made = Batch.objects.filter(unit=unit, token=token) if token else Batch.objects.none()
    if (earlier := made.first()) is None:
        try:
            with transaction.atomic():
                batch = Batch.objects.create(unit=unit, author=actor, token=token, **draft.columns())
                batch.lists.set(draft.lists)
                batch.segments.set(draft.segments)
            return batch
        except IntegrityError:  # the other of two clicks was first
            earlier = made.first()
            if earlier is None:
                raise
    return earlier if _says(earlier, draft) else _rewrite(earlier, draft, actor)


def _says(batch: Batch, draft: Draft) -> bool:
    """Whether `batch` is what `draft` would make it."""
    return (
        all(getattr(batch, name) == value for name, value in draft.columns().items())
        and set(batch.lists.all()) == set(draft.lists)
        and set(batch.segments.all()) == set(draft.segments)
    )


def edit(batch: Batch, *, actor: User | None, revision: int | None = None, **changes: Any) -> Batch:
    """Change a batch that has not begun: it is a draft again, of the next revision, and nobody has approved it.

    `changes` are arguments of `create`, without `actor`, `unit` and `token`. `revision`: the one the caller has seen.
    Raises Wrong, Conflict when it has begun, Changed when somebody else was first.
    """
    if revision is not None and revision != batch.revision:
        raise Changed(f"“{batch.name}” was edited meanwhile. Look at it again.")
    draft = _changed(batch, changes)
    check(draft, batch.unit)
    return _rewrite(batch, draft, actor)


def _rewrite(batch: Batch, draft: Draft, actor: User | None) -> Batch:
    changed = not _says(batch, draft)
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
        batch.segments.set(draft.segments)
        if changed and actor is not None:
            batch.editors.add(actor)
    return batch


# What submitting, approving and starting had written.
VOIDED: Final[dict[str, Any]] = {
    "snapshot": "",
    "waterfall": None,
    "submitter": None,
    "approver": None,
    "leaves_at": None,
    "late_allowed": False,
    "problem": "",
}


def _changed(batch: Batch, changes: dict[str, Any]) -> Draft:
    known = {field.name for field in fields(Draft)} - {"version", "corrects"} | {"template"}
    if unknown := changes.keys() - known:
        raise TypeError(f"A batch has no {', '.join(sorted(unknown))} to edit")
    draft = Draft(
        name=batch.name,
        account=batch.account,
        channel=batch.channel,
        sender=batch.sender,
        operator=batch.operator,
        lists=list(batch.lists.all()),
        segments=list(batch.segments.select_related("contact_list")),
        text=batch.text,
        version=batch.template_version,
        send_at=batch.send_at,
        expires_at=batch.expires_at,
        corrects=batch.corrects,
        provider_options=batch.provider_options,
    )
    if changes.get("text") is not None or changes.get("template") is not None:
        text, version = _worded(changes.get("text") or "", changes.get("template"))
        same = changes.get("template") is None and text == draft.text  # a form sends back what it showed
        draft = replace(draft, text=text, version=draft.version if same else version)
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
