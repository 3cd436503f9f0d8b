"""One move of a batch: a conditional UPDATE that wins for one person only, and the sentence the others are told."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from messaging.models import Batch
from messaging.statuses import MOVES, BatchState, allowed
from smsportal import clock
from smsportal.accounts.models import User
from smsportal.problems import Changed, Conflict, Problem


def move(batch: Batch, action: str, *, actor: User | None, **changes: Any) -> None:
    """Make `action` on `batch` with `changes`, and read the row again.

    Raises Conflict when the batch is not in a state the action may be asked in, and Changed when it was edited since
    `batch` was read.
    """
    now = clock.now()
    given = {"moved_by": actor, "moved_at": now, "updated_at": now, **changes}
    mine = Batch.objects.filter(pk=batch.pk, revision=batch.revision, state__in=MOVES[action])
    if mine.update(**given) != 1:
        raise _refusal(batch, action)
    batch.refresh_from_db()


def _refusal(batch: Batch, action: str) -> Problem:
    fresh = Batch.objects.select_related("moved_by").get(pk=batch.pk)
    if fresh.state in MOVES[action]:
        return Changed(f"“{fresh.name}” was edited meanwhile{_by_whom(fresh)}. Look at it again.")
    return refusal(fresh, action)


def refusal(batch: Batch, action: str) -> Conflict:
    """Why `action` is not possible: the state, who brought it there and when, and what is possible instead."""
    moves = allowed(batch.state)
    instead = f"Possible now: {', '.join(moves)}." if moves else "Nothing more can be done with it."
    state = BatchState(batch.state).label.lower()
    return Conflict(f"Cannot {action} “{batch.name}”: it is {state}{_by_whom(batch)}. {instead}", allowed=moves)


def _by_whom(batch: Batch) -> str:
    if batch.moved_at is None:
        return ""
    who = f" by {batch.moved_by.get_full_name() or batch.moved_by.username}" if batch.moved_by else ""
    return f", changed{who} on {timezone.localtime(batch.moved_at):%d %B at %H:%M:%S}"
