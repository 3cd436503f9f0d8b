"""Kills, or freezes, a worker at every statement and socket call of sending two chunks, for every kind of answer.

After each, the lease is over, the sweeper judges, look-ups are made, the rest is sent; then every text is compared with
the twin's ledger. A frozen worker wakes up after all that and goes on as if nothing had happened.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.db import InterfaceError, OperationalError, connection
from django.db.models import Q

from messaging import controls, sending, sweeping
from messaging.controls import resending
from messaging.models import Batch, Chunk, Message
from messaging.sending import lookups, outcomes
from messaging.statuses import BatchState, ChunkState, MessageState
from messaging.tests.proof import mistakes
from messaging.tests.proof.books import OPEN_CHUNKS, Books, check
from messaging.tests.proof.points import Points, child
from messaging.tests.proof.stage import Stage, Twin, fiction, served_twin, set_stage
from smsportal import clock
from smsportal.accounts.models import ProviderAccount, User
from smsportal.providers import http
from smsportal.providers.errors import ProviderError
from smsportal.tests.world import make_user

# What the first request of a run is answered with, as the twin's control takes it.
ANSWERS: dict[str, dict[str, Any]] = {
    "accepted": {},
    "some missing": {"send_shape": "missing_items"},
    "some refused": {"send_shape": "item_errors"},
    "400": {"kind": "400"},
    "401": {"kind": "401"},
    "413": {"kind": "413"},
    "429": {"kind": "429"},
    "500": {"kind": "500"},
    "503": {"kind": "503"},
    "accepted, 503": {"kind": "accept_503"},
    "accepted, garbled": {"kind": "garbled"},
    "accepted, torn": {"kind": "torn"},
    "accepted, reset": {"kind": "reset_after"},
    "accepted, silence": {"kind": "hang"},
    "reset": {"kind": "reset_before"},
    "silence": {"kind": "hang_before"},
}
# Mistake → the answers it shows with, whether it takes a frozen worker instead of a killed one, and what is wrong then.
MISTAKES: dict[str, tuple[str, bool, str]] = {
    "retries a timeout": ("accepted, reset", False, "doubled"),
    "takes 503 for refused": ("accepted, 503", False, "doubled"),
    "sweeps to ready": ("accepted", False, "doubled"),
    "sweeps nothing": ("accepted", False, "lost"),
    "commits no intent": ("accepted", False, "without_intent"),
    "claims what is being submitted": ("accepted", False, "doubled"),
    "writes one answer for a group": ("400", False, "doubled"),
    "believes every item": ("some refused", False, "shown_as_sent"),
    "intends without the fence": ("accepted", True, "shown_as_not_sent"),
    "posts when stale": ("accepted", True, "doubled"),
}
HASTY = http.Deadlines(connect_s=1.0, read_s=0.25, total_s=1.0)
LAST = 2000  # points; no run has as many


@dataclass(frozen=True, slots=True)
class Case:
    """One run: where the twin's ledger stands as it begins, and, where workers are frozen, who may have texts sent again."""

    twin: Twin
    since: int
    batch: Batch
    boss: User | None


@dataclass(slots=True)
class Crashes:
    """What came of the runs."""

    points: int = 0
    books: Books = field(default_factory=Books)


def run(answers: Sequence[str] = tuple(ANSWERS), *, step: int = 1, freezes: bool = False, mistake: str = "") -> Crashes:
    """Stop a worker at every `step`-th point of sending two chunks of two texts, for each of `answers`.

    With a planted `mistake` it ends as soon as something is wrong.
    """
    crashes = Crashes()
    with staged() as (twin, stage, boss), mistakes.planted(mistake):
        for answer in answers:
            for point in range(1, LAST, step):
                case = Case(twin, twin.mark(), stage.composed(), boss if freezes else None)
                over = _stop_at(point, ANSWERS[answer], case)
                crashes.points += 1
                books = check(twin.ledger(case.since), [case.batch], is_whole=False)
                books.name(f"{answer}, point {point}")
                crashes.books += books
                if mistake and books.wrong:
                    return crashes
                if over:
                    break
        # Once more as a whole: what a request of an earlier worker did that was on its way for very long.
        whole = check(twin.ledger(), stage.batches)
        whole.name("in the end")
        crashes.books.add_wrong(whole)
    return crashes


def caught(mistake: str) -> bool:
    """Whether what `mistake` does harm to is found wrong with it planted."""
    answer, freezes, wrong = MISTAKES[mistake]
    return wrong in run([answer], freezes=freezes, mistake=mistake).books.wrong


@contextmanager
def staged() -> Iterator[tuple[Twin, Stage, User]]:
    """A twin, four people of whom one has opted out at Ocelot, and somebody who may have texts sent again."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        twin = stack.enter_context(served_twin(Path(folder)))
        stack.enter_context(patch.object(http, "Deadlines", lambda: HASTY))
        stack.enter_context(patch.object(resending, "HOLD", timedelta()))
        stage = set_stage(twin, [*fiction(3), "+12015550157"], max_per_call=2)
        stack.callback(stage.put_away)
        yield twin, stage, User.objects.filter(username="boss").first() or make_user("boss", groups=("Approver",))


def _stop_at(point: int, answer: dict[str, Any], case: Case) -> bool:
    """One run. True when it came to its end before `point`: there are no further points."""
    fault = {**answer, "on": "send", "times": 1} if "kind" in answer else answer
    case.twin.change(clear=True, **{"send_shape": "object", **fault})
    points = Points(point, freezes=case.boss is not None)

    def work() -> None:
        points.watch()
        try:
            send_all()
        except (OperationalError, InterfaceError, ProviderError):
            if points.passed < point:
                raise
            # It stood still: PostgreSQL has ended its session, the twin its connection.

    pid = child(work)
    _, status = os.waitpid(pid, os.WUNTRACED)
    was_stopped = not os.WIFEXITED(status)
    if os.WIFSTOPPED(status):
        _end_transactions()
        recover(case)
        os.kill(pid, signal.SIGCONT)
        _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError(f"The worker of point {point} failed by itself; what it said stands above.")
    recover(case)
    return not was_stopped


def send_all() -> None:
    """What a driver does, in one thread: claims, intents and outcomes of several chunks at once."""
    while taken := sending.take(limit=2):
        provider = sending.open_provider(taken[0].batch.account)
        provider.connect()
        done = [(intent, sending.hand_over(provider, intent)) for intent in sending.intend(taken)]
        sending.write_down(done)
        outcomes.finish_if_done(taken[0].batch.pk)


def recover(case: Case) -> None:
    """What the machines do in the hours after: leases end, the rest is sent, the sweeper judges, look-ups are made.

    With a `boss`, a person who has looked at the transcripts then has sent again what left no trace there.
    """
    twin, batch = case.twin, case.batch
    chunks = Chunk.objects.filter(batch=batch)
    if chunks.filter(state=ChunkState.SUBMITTING).exists():
        time.sleep(0.03)  # a request of a worker that was killed may just be arriving
    twin.calm()
    unknown = Message.objects.filter(batch=batch, state=MessageState.UNKNOWN)
    # What was looked for in vain while a worker stood still is looked for again now that it has gone on.
    chunks.filter(messages__in=unknown).update(look_at=clock.now())
    settle(batch)
    if case.boss is None or not unknown.exists():
        return
    taken = {reference.partition(".")[0] for reference in twin.ledger(case.since).taken}
    for message in unknown:
        if str(message.uuid) not in taken:
            controls.resolve_unknown(message, actor=case.boss, resend=True)
    settle(batch)


def settle(batch: Batch) -> None:
    """Let hours pass until nothing changes any more. Other workers look for work before the sweeper does, and after."""
    chunks = Chunk.objects.filter(batch=batch)
    waits = Q(state__in=OPEN_CHUNKS) | Q(look_at__isnull=False)
    for _ in range(20):
        batch.refresh_from_db(fields=["state"])
        if batch.state == BatchState.FINISHED and not chunks.filter(waits).exists():
            return
        over = clock.after(-24 * 3600)
        chunks.exclude(lease_until=None, not_before=None).update(lease_until=over, not_before=None)
        chunks.exclude(look_at=None).update(looks=len(lookups.NEXT_LOOKS), look_at=over)  # the last look, an hour later
        ProviderAccount.objects.filter(pk=batch.account_id).update(paused_until=over, bad_answers=0)
        while sending.send_next():
            pass
        sweeping.sweep()


def _end_transactions() -> None:
    """What PostgreSQL does by itself with a session that stands still in a transaction (idle_in_transaction_session_timeout)."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND state LIKE 'idle in transaction%%' AND pid <> pg_backend_pid()"
            )
