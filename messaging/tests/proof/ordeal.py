"""What a soak does to the workers, the database, the broker and the twin while they send, and what it finds in the end."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any

from django.db import OperationalError, connection, connections
from django.db.models import Exists, OuterRef, Q

from contacts import consent
from contacts.models import ConsentSource
from messaging import controls
from messaging.models import Attempt, Batch, CallState, Chunk, Message, WebhookCall, WebhookItem
from messaging.statuses import BatchState, MessageState
from messaging.tests.proof import books
from messaging.tests.proof.environment import Plan
from messaging.tests.proof.killing import Workers
from messaging.tests.proof.ringing import Bells
from messaging.tests.proof.services import Postgres
from messaging.tests.proof.stage import Stage, Twin
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.problems import Problem
from smsportal.tests.children import ask

# What goes wrong with requests, each with its share of them. The last one makes all others slow.
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "reset_after", "share": 0.01},
    {"kind": "accept_500", "share": 0.005},
    {"kind": "accept_503", "share": 0.005},
    {"kind": "500", "share": 0.005},
    {"kind": "502", "share": 0.005},
    {"kind": "503", "share": 0.005},
    {"kind": "reset_before", "share": 0.01},
    {"kind": "torn", "share": 0.005},
    {"kind": "garbled", "share": 0.005},
    {"kind": "empty", "share": 0.005},
    {"kind": "hang", "share": 0.002},
    {"kind": "hang_before", "share": 0.002},
    {"kind": "429", "share": 0.01, "retry_after": "1"},
    {"kind": "400", "share": 0.005},
    {"kind": "receipts_first", "share": 0.03},
)
RARE = {"kind": "413", "on": "send", "times": 1}
FROZEN_S = 6.0  # longer than the lease and the grace of `stage.HURRIED` together


@dataclass(slots=True)
class Soaked:
    """What happened and what was found."""

    database: str = ""
    texts: int = 0
    accepted: int = 0
    unknown: int = 0
    unknown_at_worst: int = 0
    rejected: int = 0
    skipped: int = 0
    requests: int = 0
    kills: int = 0
    freezes: int = 0
    database_kills: int = 0
    opt_outs: int = 0
    pauses: int = 0
    rings: int = 0
    broker_kills: int = 0
    seconds: float = 0
    ended_well: bool = True
    wrong: dict[str, list[str]] = field(default_factory=dict)


class Soak:
    """One run."""

    server: Postgres | None = None  # that may be killed
    bells: Bells | None = None  # that wake Celery's workers

    def __init__(self, plan: Plan, twin: Twin, stage: Stage, workers: Workers) -> None:
        self.plan, self.twin, self.stage, self.workers = plan, twin, stage, workers
        self.chance = random.Random(plan.seed)
        self.found = Soaked()
        self.stops: dict[str, float] = {}
        self.pauses: list[tuple[int, float, float]] = []
        self.due: dict[str, float] = {}
        self.is_calm = False

    def run(self) -> Soaked:
        began = time.monotonic()
        self.found.database = connection.vendor
        self.twin.change(clear=True, faults=self._faults())
        self.workers.replace()
        quiet_since = 0.0
        patience_s = self.plan.patience_s + self.plan.kills * self.plan.every_s * 3 + self.plan.texts / 300
        while not (quiet_since and time.monotonic() - quiet_since > 1.0):
            if time.monotonic() - began > patience_s:
                self.found.wrong["unsettled"] = ["1", self._what_is_open()]
                break
            time.sleep(0.02)
            try:
                self._meddle()
                quiet_since = (quiet_since or time.monotonic()) if self._is_over() else 0.0
            except OperationalError:
                connection.close()  # a server that was killed comes back
        self.found.ended_well = self.workers.stop()
        self.found.seconds = round(time.monotonic() - began, 1)
        return self._judged()

    # --- while it goes on -----------------------------------------------------------------------------------------
    def _meddle(self) -> None:
        killing = self.workers.kills < self.plan.kills
        if killing and self._is_time("kill", self.plan.every_s):
            self.workers.kill()
        if killing and self._is_time("freeze", self.plan.every_s * 20):
            self.workers.freeze(FROZEN_S)
        if killing and self._is_time("opt out", 0.5):
            self._opt_out()
        if killing and self._is_time("pause", 5):
            self._pause()
        if killing and self._is_time("database", 8):
            self._kill_database()
        if self.bells and self._is_time("ring", 0.3):
            self.bells.ring()
        if killing and self.bells and self._is_time("broker", 10):
            self.bells.harm()
        if self._is_time("batch", 0.5):
            self._next_batch()
        if self._is_time("hours", 0.5):
            self.workers.reap()
            self._let_hours_pass()

    def _is_time(self, what: str, every_s: float) -> bool:
        """At random moments, every so many seconds on average."""
        now = time.monotonic()
        at = self.due.setdefault(what, now + self.chance.expovariate(1 / every_s))
        if now < at:
            return False
        self.due[what] = now + self.chance.expovariate(1 / every_s)
        return True

    def _faults(self) -> list[dict[str, Any]]:
        last = [{"kind": "latency", "on": "send", "latency_ms": self.plan.latency_ms}] if self.plan.latency_ms else []
        return [{**each, "on": "send", "share": each["share"] * self.plan.faults} for each in FAULTS] + last

    def _next_batch(self) -> None:
        """Start another while there is room for one, until there are enough texts and everybody was killed."""
        open_ones = Batch.objects.exclude(state__in=[BatchState.FINISHED, BatchState.CANCELLED]).count()
        if open_ones < 2 and not self._has_enough():
            self.stage.batch()
            if len(self.stage.batches) == 2:
                self.twin.change(clear=True, faults=[RARE, *self._faults()])

    def _has_enough(self) -> bool:
        people = self.stage.audience.contacts.count()
        return len(self.stage.batches) * people >= self.plan.texts and self.workers.kills >= self.plan.kills

    def _opt_out(self) -> None:
        if len(self.stops) < self.plan.texts / 50:
            contact = self.stage.audience.contacts.order_by("?").select_related("number").first()
            if contact and contact.number.e164 not in self.stops:
                consent.opt_out(contact.number, source=ConsentSource.PROVIDER)
                self.stops[contact.number.e164] = time.time()

    def _pause(self) -> None:
        for batch in Batch.objects.filter(state=BatchState.RUNNING)[:1]:
            try:
                controls.pause(batch, actor=None)
                began = time.time()
                time.sleep(0.3)
                ended = time.time()
                controls.resume(Batch.objects.get(pk=batch.pk), actor=None)
            except Problem:
                continue  # it was finished meanwhile
            self.pauses.append((batch.pk, began, ended))

    def _kill_database(self) -> None:
        if connection.vendor != "postgresql":
            return
        self.found.database_kills += 1
        if self.server is not None and self.chance.random() < 0.5:
            connections.close_all()
            self.server.kill()
            self.server.start()
        else:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )

    def _let_hours_pass(self) -> None:
        """What comes minutes later comes now: the ends of a dead worker's longer leases, look-ups, probes."""
        past, now = clock.after(-600), clock.now()
        for pid in self.workers.dead:
            for model in (Batch, WebhookCall):
                model.objects.filter(owner__contains=f":{pid}:").update(lease_until=past)
        self.workers.dead.clear()
        # A look-up means something once no request can be under way any more, not even that of a frozen worker.
        over = Attempt.objects.filter(chunk=OuterRef("pk"), created_at__gt=clock.after(-self._under_way_s()))
        Chunk.objects.filter(~Exists(over), look_at__gt=now).update(look_at=now)
        WebhookItem.objects.filter(retry_at__gt=now).update(retry_at=now)
        WebhookCall.objects.filter(retry_at__gt=now).update(retry_at=now)
        ProviderAccount.objects.filter(Q(paused_until__gt=clock.after(1))).update(paused_until=now)
        unknown = Message.objects.filter(state=MessageState.UNKNOWN).count()
        self.found.unknown_at_worst = max(self.found.unknown_at_worst, unknown)

    def _under_way_s(self) -> float:
        return FROZEN_S + 9 if self.workers.freezes else 5

    def _is_over(self) -> bool:
        """Whether everything has left and is settled. What is settled after sending is so without faults."""
        if not self._has_enough() or (
            Batch.objects.exclude(state=BatchState.FINISHED).exists()
            or Chunk.objects.filter(state__in=books.OPEN_CHUNKS).exists()
        ):
            return False
        if not self.is_calm:
            self.is_calm = True
            self.workers.wake()
            self.twin.calm()
        return not (
            Chunk.objects.exclude(look_at=None).exists()
            or WebhookCall.objects.filter(state=CallState.NEW).exists()
            or ask(f"{self.twin.url}/_sandbox/state")["owed"]
        )

    def _what_is_open(self) -> str:
        batches = Batch.objects.exclude(state=BatchState.FINISHED).count()
        looked_for = Chunk.objects.exclude(look_at=None).count()
        calls = WebhookCall.objects.filter(state=CallState.NEW).count()
        return (
            f"{batches} batches, {looked_for} chunks to look up, {calls} webhook calls after {self.workers.kills} kills"
        )

    # --- in the end -------------------------------------------------------------------------------------------------
    def _judged(self) -> Soaked:
        ledger, found = self.twin.ledger(), self.found
        checked = books.check(ledger, list(Batch.objects.all()))
        checked.after_stop += books.after_stops(ledger, self.stops)
        for batch, began, ended in self.pauses:
            made = Attempt.objects.filter(chunk__batch=batch).values_list("created_at", flat=True)
            checked.after_stop += [f"batch {batch} paused" for at in made if began < at.timestamp() < ended]
        found.texts, found.accepted, found.unknown = checked.texts, checked.accepted, checked.unknown
        found.rejected, found.skipped, found.requests = checked.rejected, checked.skipped, sum(ledger.posts.values())
        found.kills, found.freezes = self.workers.kills, self.workers.freezes
        found.opt_outs, found.pauses = len(self.stops), len(self.pauses)
        if self.bells:
            found.rings, found.broker_kills = self.bells.rings, self.bells.harms
        found.wrong |= {name: [f"{len(what)}", *what[:5]] for name, what in checked.wrong.items()}
        return found
