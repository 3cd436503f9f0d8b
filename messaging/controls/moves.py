"""One move of a batch: a conditional UPDATE that wins for one person only, and the sentence the others are told."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db.models import Q
from django.utils import timezone

from messaging.controls.recipients import failed
from messaging.models import Batch
from messaging.statuses import MOVES, BatchState, allowed, in_words
from smsportal import clock
from smsportal.accounts.models import User
from smsportal.problems import Changed, Conflict, Problem

# Actions whose name, as programs write it, is no English.
_SAID: Final = {"retry-failed": "retry what failed"}


def move(batch: Batch, action: str, *, actor: User | None, only: Q | None = None, **changes: Any) -> None:
    """Make `action` on `batch` with `changes`, and read the row again. `only`: what must hold of the row besides.

    Raises Conflict when the batch is not in a state the action may be asked in, and Changed when it was edited since
    `batch` was read.
    """
    now = clock.now()
    given = {"moved_by": actor, "moved_at": now, "updated_at": now, **changes}
    mine = Batch.objects.filter(only or Q(), pk=batch.pk, revision=batch.revision, state__in=MOVES[action])
    if mine.update(**given) != 1:
        raise _refusal(batch, action)
    batch.refresh_from_db()


def undoable() -> Q:
    """Batches whose start may still be undone: their moment has not come, so nothing of them is prepared."""
    return Q(state=BatchState.EXPANDING, leaves_at__gt=clock.now(), expanded_to=0)


def possible(batch: Batch) -> list[str]:
    """The actions that may be asked of `batch` as it stands: what a refusal and a page offer."""
    waits = batch.leaves_at is not None and batch.leaves_at > clock.now()
    return allowed(batch.state, undoable=waits and not batch.expanded_to)


def _refusal(batch: Batch, action: str) -> Problem:
    fresh = Batch.objects.select_related("moved_by").get(pk=batch.pk)
    if action in possible(fresh):
        return Changed(f"“{fresh.name}” was edited meanwhile{_by_whom(fresh)}. Look at it again.")
    return refusal(fresh, action)


def refusal(batch: Batch, action: str) -> Conflict:
    """Why `action` is not possible: the state, who brought it there and when, and what is possible instead."""
    moves = possible(batch)
    said = [_SAID.get(each, each) for each in moves if each != "retry-failed" or failed(batch).exists()]
    instead = f"Possible now: {', '.join(said)}." if said else "Nothing more can be done with it."
    return Conflict(
        f"Cannot {_SAID.get(action, action)} {'of ' if action in _SAID else ''}“{batch.name}”: it is {in_words(batch.state)}{_by_whom(batch)}. {instead}",
        allowed=moves,
    )


def _by_whom(batch: Batch) -> str:
    if batch.state == BatchState.FINISHED and batch.finished_at:  # it did so by itself, whoever moved it before
        return f" since {_moment(batch.finished_at)}"
    if batch.moved_at is None:
        return ""
    who = f" by {batch.moved_by.get_full_name() or batch.moved_by.username}" if batch.moved_by else ""
    return f", changed{who} on {_moment(batch.moved_at)}"


def _moment(at: datetime) -> str:
    return f"{timezone.localtime(at):%d %B at %H:%M:%S}"
