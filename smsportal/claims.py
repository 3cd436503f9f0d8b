"""How a worker takes a row nobody else may work on: a conditional UPDATE that must hit exactly one row, a fence and a lease."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection, models, transaction
from django.db.models import Q, QuerySet

from smsportal import clock


class Claimable(models.Model):
    """A row that is work. The fence grows with every claim, so that what an earlier owner still writes hits no row."""

    owner = models.CharField(max_length=80, blank=True, editable=False)
    fence = models.PositiveIntegerField(default=0, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on row `pk` until another claim raises its fence."""

    pk: int
    fence: int


def me() -> str:
    """This thread of this process of this host, as written into `owner`."""
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"[:80]


def free() -> Q:
    """Rows nobody holds, or whose holder let the lease run out."""
    return Q(lease_until=None) | Q(lease_until__lt=clock.now())


def claim(waiting: QuerySet[Any], lease_s: float, **changes: Any) -> Claim | None:
    """Take the first row of `waiting`, or None when there is none to take.

    `waiting` must hold only rows that may be taken now (state and `free()`), in the order they should be taken.
    `changes` are further columns to set. On PostgreSQL a row another worker is taking is skipped; SQLite's immediate
    transactions let one claimer in at a time.
    """
    # A look before the leap: idle workers that poll must not queue for SQLite's one write lock.
    if not waiting.exists():
        return None
    with transaction.atomic():
        rows = waiting
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True, of=("self",))
        found = rows.values_list("pk", "fence").first()
        if found is None:
            return None
        pk, fence = found
        # Locked, or alone with the write lock: nobody can have come in between.
        waiting.model._default_manager.filter(pk=pk).update(
            owner=me(), fence=fence + 1, lease_until=clock.after(lease_s), **changes
        )
    return Claim(pk, fence + 1)


def still_held(rows: QuerySet[Any], held: Iterable[Claim]) -> set[int]:
    """The keys of those of `held` that are among `rows` and nobody has taken over; locked until the transaction ends."""
    claims = {(each.pk, each.fence) for each in held}
    ids = {pk for pk, _ in claims}
    found = rows.filter(pk__in=ids).select_for_update(of=("self",)).order_by("pk").values_list("pk", "fence")
    return {pk for pk, fence in found if (pk, fence) in claims}


def lock_shared(model: type[models.Model], ids: Iterable[int]) -> None:
    """Keep others from changing these rows until the transaction ends; any number of readers may hold them.

    On PostgreSQL the rows are locked FOR SHARE in id order, so that two lockers cannot wait for each other, and the
    next statement reads what is committed by then. SQLite's immediate transactions need nothing.
    """
    _lock(model, ids, "FOR SHARE")


def lock_in_turn(model: type[models.Model], ids: Iterable[int]) -> None:
    """As `lock_shared`, one holder at a time, in the order in which they asked.

    For what is locked again and again: PostgreSQL lets a sharer join those who hold a row, past a writer who waits for
    it, so that sharers who overlap keep a writer waiting for ever. Nobody overtakes here.
    """
    _lock(model, ids, "FOR NO KEY UPDATE")


def _lock(model: type[models.Model], ids: Iterable[int], how: str) -> None:
    if connection.vendor == "postgresql":
        table = connection.ops.quote_name(model._meta.db_table)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM {table} WHERE id = ANY(%s) ORDER BY id {how}", [list(ids)])  # noqa: S608


def let_go(model: type[models.Model], held: Claim, **changes: Any) -> bool:
    """Give a claimed row back with `changes`. False when the claim was lost meanwhile: then nothing was written."""
    return (
        model._default_manager.filter(pk=held.pk, fence=held.fence).update(owner="", lease_until=None, **changes) == 1
    )


def renew(model: type[models.Model], held: Claim, lease_s: float) -> bool:
    """Lengthen the lease. False when the claim was lost: stop working on the row."""
    return model._default_manager.filter(pk=held.pk, fence=held.fence).update(lease_until=clock.after(lease_s)) == 1
