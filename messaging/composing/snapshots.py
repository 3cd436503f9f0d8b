"""What an approval is bound to: a hash over a batch and over each number with its text. Any change gives another one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Final

from messaging.composing.audience import Audience
from messaging.models import Batch

_AGAIN: Final = "since this batch was approved, so it is a draft again. Look at the preview and submit it."


def what_changed(batch: Batch) -> str:
    """Why the snapshot of `batch` is another by now: the beginning of a sentence that goes on with “since”."""
    if batch.corrects_id:
        return "The text it corrects went on to more people, or these people changed,"
    return "The lists changed" if has_sources(batch) else "Its list was removed"


def has_sources(batch: Batch) -> bool:
    """Whether a batch has a list or segment to go to, or a text to correct: its only list may have been removed."""
    return bool(batch.corrects_id) or batch.lists.exists() or batch.segments.exists()


def voids(batch: Batch) -> str:
    """Why an approved batch whose snapshot is another by now is a draft again, and what to do."""
    return f"{what_changed(batch)} {_AGAIN}"


def snapshot(batch: Batch) -> str:
    """What an approval of `batch` is bound to as it stands now."""
    digest = begin_snapshot(batch)
    for page in Audience(batch).pages():
        digest.update(snapshot_of((person.e164, person.text) for person in page.people))
    return digest.hexdigest()


def begin_snapshot(batch: Batch) -> hashlib._Hash:
    """The hash of everything but the people, to be fed with `snapshot_of` in the order of the numbers' ids.

    The name counts, too, for an approver reads it first; and which lists and segments and what a segment asks for,
    besides who is in them: another way to the same people is not what was looked at.
    """
    times = [at.timestamp() if at else None for at in (batch.send_at, batch.expires_at)]
    lists = sorted(batch.lists.order_by().values_list("pk", flat=True))
    segments = sorted(batch.segments.order_by().values_list("pk", "match", "conditions"), key=lambda each: each[0])
    what = [batch.account_id, batch.channel, batch.sender, batch.operator, batch.provider_options, times, batch.text]
    who = [lists, segments, batch.corrects_id]
    return hashlib.sha256(json.dumps([batch.name, what, who], sort_keys=True).encode())


def snapshot_of(texts: Iterable[tuple[str, str]]) -> bytes:
    """Numbers and their texts as a snapshot hashes them, however many come at once."""
    return "".join(f"{e164}\0{text}\0" for e164, text in texts).encode("utf-8", "surrogatepass")
