"""Sets the stage of a proof: a served twin with its ledger, an account that points at it, people, and batches to them."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from django.db.models.base import ModelState

from contacts import consent
from contacts.models import Contact, ContactList
from messaging import composing, controls
from messaging.models import Batch, Chunk, Message
from messaging.statuses import BatchState, ChunkState
from messaging.tests.proof.twin import Ledger, read
from smsportal.accounts.models import ProviderAccount
from smsportal.processes import free_port
from smsportal.tests.children import ask, wait_for
from smsportal.tests.world import make_account, make_list

T = TypeVar("T", Batch, Chunk, Message)
SENDER = "+13125550190"
AREAS = tuple(area for area in range(201, 990) if area % 100 not in (0, 11) and area // 10 % 10 != 9)


@dataclass(slots=True)
class Twin:
    """A served twin: where it is, and what it wrote down."""

    url: str
    path: Path
    process: subprocess.Popen[bytes]

    def ledger(self, since: int = 0) -> Ledger:
        """What it wrote down; `since` a `mark`, only from there on."""
        return read(self.path, since)

    def mark(self) -> int:
        """How far it is written by now."""
        return self.path.stat().st_size

    def change(self, **given: Any) -> None:
        """Faults and switches, as /_sandbox/faults takes them."""
        ask(f"{self.url}/_sandbox/faults", given)

    def calm(self) -> None:
        """No faults any more."""
        self.change(clear=True, send_shape="object")


@contextmanager
def served_twin(folder: Path, *, seed: int = 0, silent: Sequence[int] = AREAS) -> Iterator[Twin]:
    """A twin in a process of its own. `silent`: area codes whose texts get no receipt."""
    port, ledger = free_port(), folder / "ledger.txt"
    ledger.touch()
    command = [sys.executable, "-m", "messaging.tests.proof.twin", "--port", str(port), "--ledger", str(ledger)]
    command += ["--seed", str(seed), "--silent", ",".join(map(str, silent))]
    process = subprocess.Popen(command)
    twin = Twin(f"http://127.0.0.1:{port}", ledger, process)

    def up() -> bool:
        try:
            ask(f"{twin.url}/_sandbox/state")
        except OSError:
            return False
        return True

    try:
        wait_for(up)
        yield twin
    finally:
        process.terminate()
        process.wait()


@dataclass(slots=True)
class Stage:
    """What batches are made of."""

    account: ProviderAccount
    audience: ContactList
    batches: list[Batch] = field(default_factory=list)
    _pattern: tuple[Batch, list[Chunk], list[Message]] | None = None

    def batch(self, name: str = "Class moved") -> Batch:
        """A started batch to everybody; what is left is to compose it."""
        batch = controls.create(
            actor=None,
            unit=self.audience.unit,
            account=self.account,
            sender=SENDER,
            operator="advising@example.edu",
            name=f"{name} {len(self.batches)}",
            lists=[self.audience],
            text=_words(),
        )
        controls.start(controls.submit(batch, actor=None), actor=None)
        self.batches.append(batch)
        return batch

    def composed(self) -> Batch:
        """A running batch: what is left is to send its chunks. Composing is not what is proven: it is done once, and copied."""
        if self._pattern is None:
            self._pattern = self._compose()
        first, chunks, messages = self._pattern
        text = _words()
        batch = _copied(first, uuid=uuid.uuid4(), text=text)
        batch.save()
        made = Chunk.objects.bulk_create(_copied(each, batch=batch) for each in chunks)
        by_pattern = dict(zip((each.pk for each in chunks), made, strict=True))
        Message.objects.bulk_create(
            _copied(each, uuid=uuid.uuid4(), batch=batch, chunk=by_pattern[each.chunk_id], text=text)
            for each in messages
        )
        self.batches.append(batch)
        return batch

    def _compose(self) -> tuple[Batch, list[Chunk], list[Message]]:
        batch = self.batch()
        held = composing.next_batch()
        assert held is not None
        assert held.pk == batch.pk
        composing.expand(held)
        batch.refresh_from_db()
        pattern = batch, list(batch.chunks.order_by("pk")), list(batch.messages.order_by("pk"))
        controls.cancel(Batch.objects.get(pk=batch.pk), actor=None)
        self.batches.remove(batch)
        return pattern

    def put_away(self) -> None:
        """Leave nothing that a worker, a sweeper or a look-up of a later proof could still find due."""
        ProviderAccount.objects.filter(pk=self.account.pk).update(is_active=False)
        mine = Batch.objects.filter(account=self.account)
        Chunk.objects.filter(batch__in=mine).update(state=ChunkState.EMPTY, lease_until=None, look_at=None)
        mine.update(state=BatchState.CANCELLED)


def _words() -> str:
    """Look-ups tell batches apart by them."""
    return f"Class is moved to room {time.time_ns()}. Registrar"


def _copied(row: T, **changes: Any) -> T:
    """A row that is yet to be stored."""
    new = copy(row)
    new.pk, new._state = None, ModelState()
    for name, value in changes.items():
        setattr(new, name, value)
    return new


def set_stage(twin: Twin, numbers: Sequence[str], *, max_per_call: int) -> Stage:
    """An account at `twin` and a list of people with `numbers` (E.164)."""
    account = make_account(f"proof-{time.time_ns()}", base_url=f"{twin.url}/ocelot/api/v1", max_per_call=max_per_call)
    audience = make_list(f"Everybody {time.time_ns()}", account=account)
    ids = consent.numbers_for(numbers)
    Contact.objects.bulk_create(
        (
            Contact(contact_list=audience, number_id=ids[number], first_name=f"Student {place}", last_name="Park")
            for place, number in enumerate(numbers)
        ),
        batch_size=2000,
    )
    return Stage(account, audience)


def fiction(count: int, last: Sequence[int] = range(100, 150)) -> list[str]:
    """`count` different numbers reserved for fiction, with these last digits (0100 to 0149 are simply delivered)."""
    each = [f"+1{area}555{digits:04}" for area in AREAS for digits in last]
    assert count <= len(each), f"There are only {len(each)} such numbers."
    return each[:count]
