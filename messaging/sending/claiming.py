"""Takes chunks that are due, several at once, together with the texts in them; nothing of them has been sent yet."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final

from django.conf import settings
from django.db import connection

from messaging.models import Batch
from messaging.sending import releasing
from smsportal import clock
from smsportal.claims import Claim, me
from smsportal.providers.base import Outgoing
from smsportal.sql import among, read


@dataclass(frozen=True, slots=True)
class Taken:
    """A chunk this worker may set out to send: nobody else will until the lease ends. Its batch may be shared.

    `messages` are the ids of its messages that have not left, in the order of `texts`, which are complete for the
    coming attempt; `again`: some of them were tried before.
    """

    held: Claim
    batch: Batch
    zones: str
    texts: tuple[Outgoing, ...]
    messages: tuple[int, ...]
    again: bool


# In SQL: the ORM takes six milliseconds to write what follows, the database one to carry it out.
_OPEN: Final = "a.is_active AND NOT a.circuit_open AND (a.paused_until IS NULL OR a.paused_until <= %s)"
_DUE: Final = """(c.state = 'ready' AND (c.not_before IS NULL OR c.not_before <= %s)
               OR c.state = 'claimed' AND c.lease_until < %s)"""


def take(limit: int = 1, *, account: int | None = None, after: int = 0) -> list[Taken]:
    """Claim up to `limit` chunks that are due: single texts first, else chunks of one batch.

    `account`: only of this one (ProviderAccount.id). Batches take turns: the first one behind `after` (Batch.id) comes.
    The claim is written on the chunk alone; its messages stay ready or held until they are intended. A chunk that is
    larger than the account takes in a call is cut, and its pieces are there to be taken next.
    """
    while held := _claim(_turn(account, limit, after), limit):
        if taken := _with_texts(held):
            return taken
    return []


def due_accounts() -> list[int]:
    """The accounts through which something is to be sent now (ProviderAccount.id)."""
    now = clock.now()
    statement = f"""
        SELECT a.id FROM accounts_provideraccount a WHERE {_OPEN} AND EXISTS (
            SELECT 1 FROM messaging_batch b JOIN messaging_chunk c ON c.batch_id = b.id
            WHERE b.account_id = a.id AND b.state = 'running' AND {_DUE})
        ORDER BY a.id"""  # noqa: S608 - no data in it
    return [pk for (pk,) in read(statement, now, now, now)]


def _turn(account: int | None, limit: int, after: int) -> list[int]:
    """The batch whose turn it is (Batch.id); where single texts wait, up to `limit` of these."""
    now, mine = clock.now(), [] if account is None else [account]
    statement = f"""
        SELECT b.id, b.single FROM messaging_batch b JOIN accounts_provideraccount a ON a.id = b.account_id
        WHERE b.state = 'running' AND {_OPEN}{" AND a.id = %s" if mine else ""}
        AND EXISTS (SELECT 1 FROM messaging_chunk c WHERE c.batch_id = b.id AND {_DUE})
        ORDER BY b.id"""  # noqa: S608 - no data in it
    found = read(statement, now, *mine, now, now)
    if singles := [pk for pk, single in found if single]:
        return singles[:limit]
    return [next((pk for pk, _ in found if pk > after), found[0][0])] if found else []


@dataclass(frozen=True, slots=True)
class _Held(Claim):
    """A claim with what its chunk says."""

    batch: int
    size: int
    zones: str


def _claim(batches: list[int], limit: int) -> list[_Held]:
    """Claims of up to `limit` chunks of these batches, the first ones first; what another worker is taking is left out."""
    if not batches:
        return []
    is_postgres, now = connection.vendor == "postgresql", clock.now()
    waiting = f"""
        SELECT c.id FROM messaging_chunk c JOIN messaging_batch b ON b.id = c.batch_id
        WHERE {among("c.batch_id", batches)} AND b.state = 'running' AND {_DUE}
        ORDER BY c.id LIMIT %s{" FOR UPDATE OF c SKIP LOCKED" if is_postgres else ""}"""  # noqa: S608 - no data in it
    # An array on PostgreSQL, so that the rows are looked for once: a subquery that is joined may run again, and lock more.
    statement = f"""
        UPDATE messaging_chunk SET state = 'claimed', owner = %s, fence = fence + 1, lease_until = %s
        WHERE id {f"= ANY(ARRAY({waiting}))" if is_postgres else f"IN ({waiting})"}
        RETURNING id, fence, batch_id, size, zones"""  # noqa: S608 - no data in it
    return [_Held(*row) for row in sorted(read(statement, me(), clock.after(lease_s()), batches, now, now, limit))]


def lease_s() -> float:
    """Longer than any request may take (45 s), so that a lease runs out only when its worker is dead or frozen."""
    return float(settings.LEASE_SECONDS)


def give_back(taken: list[Taken]) -> None:
    """Undo claims before anything was intended, as far as they are still ours."""
    releasing.give_back([each.held for each in taken])


def _with_texts(held: list[_Held]) -> list[Taken]:
    batches = Batch.objects.select_related("account", "unit").in_bulk({each.batch for each in held})
    texts = _texts([each.pk for each in held])
    taken = []
    for each in held:
        batch = batches[each.batch]
        limit = batch.account.max_per_call
        if limit and each.size > limit:
            releasing.cut(each, limit)
            continue
        messages, before, outgoing = texts.get(each.pk, ((), (), ()))
        zones = each.zones or batch.unit.time_zone
        taken.append(Taken(each, batch, zones, texts=outgoing, messages=messages, again=any(before)))
    return taken


Texts = tuple[tuple[int, ...], tuple[int, ...], tuple[Outgoing, ...]]


def _texts(chunk_ids: list[int]) -> dict[int, Texts]:
    """By chunk, of each text that has not left: the ids of the messages, their attempts before, and what leaves.

    UUIDs are read as they are stored and written with dashes here: objects of them, or SQLite's `substr`, cost half
    the time of reading.
    """
    is_postgres = connection.vendor == "postgresql"
    text = "::text" if is_postgres else ""
    statement = f"""
        SELECT m.chunk_id, m.id, m.attempt, n.e164, m.text, m.uuid{text}, COALESCE(c.uuid{text}, '')
        FROM messaging_message m
        JOIN contacts_phonenumber n ON n.id = m.number_id
        LEFT JOIN contacts_contact c ON c.id = m.contact_id
        WHERE {among("m.chunk_id", chunk_ids)} AND m.state IN ('ready', 'held')
        ORDER BY m.chunk_id, m.id"""  # noqa: S608 - no data in it
    written = str if is_postgres else _dashed
    found: dict[int, Texts] = {}
    for chunk_id, rows in groupby(read(statement, chunk_ids), key=itemgetter(0)):
        _, messages, before, numbers, texts, ids, contacts = zip(*rows, strict=True)
        references = [f"{written(each)}.{attempt + 1}" for each, attempt in zip(ids, before, strict=True)]
        found[chunk_id] = messages, before, tuple(map(Outgoing, numbers, texts, references, map(written, contacts)))
    return found


def _dashed(digits: str) -> str:
    """A UUID as outsiders see it; SQLite keeps its 32 digits only."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}" if digits else ""
