"""Has a STOP, a pause, a cancel or the closing of an account come in between any two statements of an intent to send.

And the other way round: an intent between any two statements of theirs; and both at once, very many times. However they
fall, no intent may be committed once the other's change is.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.db import connection, connections, transaction

from contacts import consent
from contacts.models import ConsentSource, PhoneNumber
from messaging import controls, sending
from messaging.models import Attempt, Batch, Chunk, Message
from messaging.sending import intents
from messaging.statuses import BatchState, ChunkState, MessageState
from smsportal.accounts.models import ProviderAccount
from smsportal.tests.world import fiction, make_batch

LOCK = re.compile(r"FOR (NO KEY UPDATE|UPDATE|SHARE)( OF [\w\"]+)?( SKIP LOCKED)?")
Spoil = Callable[[], AbstractContextManager[Any]]
PATIENCE_S = 0.05  # how long the one waits for the other to come through; longer means that it is held by a lock


@dataclass(slots=True)
class Races:
    """How many meetings there were, and which intents were committed after the other's commit."""

    act: str
    runs: int = 0
    act_first: int = 0  # runs in which the act was committed before the intent
    too_late: list[str] = field(default_factory=list)


def stop(batch: Batch) -> None:
    consent.opt_out(batch.messages.order_by("pk")[0].number, source=ConsentSource.PROVIDER)


def pause(batch: Batch) -> None:
    controls.pause(batch, actor=None)


def cancel(batch: Batch) -> None:
    controls.cancel(batch, actor=None)


def close(batch: Batch) -> None:
    ProviderAccount.objects.filter(pk=batch.account_id).update(is_active=False)


ACTS: dict[str, Callable[[Batch], None]] = {"STOP": stop, "pause": pause, "cancel": cancel, "closing": close}


@contextmanager
def running() -> Iterator[Batch]:
    """A batch of two texts to meet on, of which nothing is left due for a later proof."""
    batch = make_batch(fiction(2), list_name=f"Both {time.time_ns()}")
    try:
        yield batch
    finally:
        _reset(batch)
        controls.cancel(Batch.objects.get(pk=batch.pk), actor=None)


class Meeting:
    """One intent and one act of somebody else on a batch of two texts; each may be run in a thread of its own."""

    def __init__(self, batch: Batch, act: str) -> None:
        self.batch, self.name = batch, act
        self.is_done = threading.Event()  # the act is committed
        self.was_done = False  # ... and was so when the intent set out to commit
        self.sent: list[str] = []
        _reset(batch)
        self.taken = sending.take()
        assert [each.batch.pk for each in self.taken] == [batch.pk], "Something else is due in this database."
        self.first = str(batch.messages.order_by("pk").values_list("number__e164", flat=True)[0])

    def intend(self) -> None:
        commit = connection._commit

        def noted() -> None:
            self.was_done = self.was_done or self.is_done.is_set()
            commit()

        with patch.object(connection, "_commit", noted):
            made = sending.intend(self.taken)
        self.sent = [text.to for intent in made for text in intent.texts]

    def act(self) -> None:
        ACTS[self.name](Batch.objects.get(pk=self.batch.pk))
        self.is_done.set()

    def too_late(self) -> bool:
        """Whether something left that the act, committed before, forbids."""
        return self.was_done and (self.first in self.sent if self.name == "STOP" else bool(self.sent))


def forced(batch: Batch, act: str, spoil: Spoil = nullcontext) -> Races:
    """Each comes in after every single statement of the other."""
    races = Races(act)
    for act_first in (False, True):
        for statement in range(1, 200):
            meeting = Meeting(batch, act)
            one, other = (meeting.act, meeting.intend) if act_first else (meeting.intend, meeting.act)
            with spoil():
                over = not _meet(one, other, statement, spoil)
            races.runs += 1
            if meeting.too_late():
                races.too_late.append(f"{act} at statement {statement} of the {'act' if act_first else 'intent'}")
            if over or (races.too_late and spoil is not nullcontext):
                break
    return races


def at_once(batch: Batch, act: str, runs: int, spoil: Spoil = nullcontext, seed: int = 1) -> Races:
    """Both set out at the same moment, one of them up to a hundredth of a second later, `runs` times.

    With a mistake planted by `spoil` it ends as soon as something was too late.
    """
    races, chance = Races(act), random.Random(seed)
    with ThreadPoolExecutor(1) as other:
        for run in range(runs):
            meeting, wait_s = Meeting(batch, act), chance.uniform(-0.01, 0.01)
            acted = other.submit(_later, meeting.act, wait_s)
            with spoil():
                _later(meeting.intend, -wait_s)
            acted.result()
            races.runs += 1
            races.act_first += meeting.was_done
            if meeting.too_late():
                races.too_late.append(f"{act} in run {run}")
                if spoil is not nullcontext:
                    break
        other.submit(connections.close_all).result()
    return races


def _later(act: Callable[[], None], wait_s: float) -> None:
    time.sleep(max(0.0, wait_s))
    act()


def _meet(one: Callable[[], None], other: Callable[[], None], statement: int, spoil: Spoil) -> bool:
    """Do `one`, and `other` after its so many-th statement. False when it has fewer; then `other` comes after it."""
    threads: list[threading.Thread] = []
    passed = 0

    def spoiled() -> None:
        with spoil():
            other()

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal passed
        result = execute(sql, params, many, context)
        passed += 1
        if passed == statement:
            threads.append(_thread(spoiled))
            threads[0].join(PATIENCE_S)
        return result

    with connection.execute_wrapper(watch):
        one()
    met = bool(threads)
    if not met:
        threads.append(_thread(spoiled))
    threads[0].join()
    return met


def _thread(act: Callable[[], Any]) -> threading.Thread:
    def body() -> None:
        try:
            act()
        finally:
            connection.close()

    thread = threading.Thread(target=body)
    thread.start()
    return thread


def _reset(batch: Batch) -> None:
    """As if it had only been composed."""
    with transaction.atomic():
        _reset_rows(batch)


def _reset_rows(batch: Batch) -> None:
    Attempt.objects.filter(chunk__batch=batch).delete()
    Message.objects.filter(batch=batch).update(state=MessageState.READY, reason="", attempt=0)
    Chunk.objects.filter(batch=batch).update(state=ChunkState.READY, owner="", lease_until=None, not_before=None)
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.RUNNING)
    ProviderAccount.objects.filter(pk=batch.account_id).update(is_active=True, paused_until=None, circuit_open=False)
    PhoneNumber.objects.filter(messages__batch=batch).update(opted_out=False, consent_at=None)


# --- planted mistakes -------------------------------------------------------------------------------------------------
def unlocked(table: str) -> Spoil:
    """Intents that read `table` without locking what they read. On SQLite nothing is locked, so it changes nothing."""

    def strip(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if table in sql:
            sql = LOCK.sub("", sql)
        return execute(sql, params, many, context)

    return lambda: connection.execute_wrapper(strip)


@contextmanager
def asks_consent_when_claiming() -> Iterator[None]:
    with patch.object(intents, "_skip_opted_out", lambda going: None):
        yield


@contextmanager
def asks_the_batch_when_claiming() -> Iterator[None]:
    with patch.object(intents, "BatchState", SimpleNamespace(RUNNING=_Any())):
        yield


class _Any:
    """Equal to every state."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


# name → the act it lets through, the planting, and whether it shows on SQLite, which has one writer at a time.
MISTAKES: dict[str, tuple[str, Spoil, bool]] = {
    "reads consent without the lock": ("STOP", unlocked("contacts_phonenumber"), False),
    "reads the batch without the lock": ("pause", unlocked("messaging_batch"), False),
    "reads the account without the lock": ("closing", unlocked("accounts_provideraccount"), False),
    "asks consent when claiming": ("STOP", asks_consent_when_claiming, True),
    "asks the batch when claiming": ("pause", asks_the_batch_when_claiming, True),
}


def mistakes() -> dict[str, tuple[str, Spoil]]:
    """Those that can show on this database: the act each lets through, and its planting."""
    here = connection.vendor == "postgresql"
    return {name: (act, spoil) for name, (act, spoil, everywhere) in MISTAKES.items() if everywhere or here}
