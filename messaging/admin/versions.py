"""Two people edit one batch: what the one has saved beside what the other is typing, so that neither is lost unseen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from messaging.admin.previews import at
from messaging.forms import ComposeForm
from messaging.models import Batch
from smsportal import phones


class Difference(NamedTuple):
    """A field that the two fill in differently."""

    label: str
    theirs: str
    mine: str


def differences(saved: Batch, form: ComposeForm) -> list[Difference]:
    """The fields in which the valid `form` says something else than `saved`."""
    return [each for each in _fields(saved, form) if each.theirs != each.mine]


def _fields(saved: Batch, form: ComposeForm) -> Iterator[Difference]:
    given = form.cleaned_data
    template = given["template"]
    words = template.newest().text if template else given["text"].replace("\r\n", "\n")
    yield Difference("Name", saved.name, given["name"])
    if "lists" in form.fields:
        yield Difference("Lists", _names(saved.lists.all()), _names(given["lists"]))
        yield Difference("Segments", _names(saved.segments.all()), _names(given["segments"]))
    yield Difference("Text", saved.text, words)
    yield Difference("From", _sender(saved.sender), _sender(given["sender"].address))
    yield Difference("Who gets the answers", saved.operator, given["operator"] or saved.account.operator)
    for name, label in (("send_at", "Send at"), ("expires_at", "Not after")):
        yield Difference(label, _moment(getattr(saved, name), saved), _moment(given[name], saved))


def _names(rows: Iterable[Any]) -> str:
    return ", ".join(sorted(map(str, rows))) or "none"


def _sender(address: str) -> str:
    return phones.display(address) if address.startswith("+") else address


def _moment(moment: datetime | None, batch: Batch) -> str:
    return at(moment, batch) if moment else "not set"
