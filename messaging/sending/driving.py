"""Sends very many chunks of one account: one thread commits intents for several at once, one claims and records, many post.

The road of a chunk is that of `send_next`: claimed, intended, handed over, written down. Here the steps of several
chunks share a transaction, and while requests are under way the next chunks are claimed and the last ones recorded.
Any number of drivers, on any number of hosts, may share a batch: claims, fences and the account's window keep them
apart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final, TypeVar

from django.db import connection

from messaging import sending
from messaging.sending import outcomes, standing
from messaging.sending.answers import decide
from messaging.sending.claiming import Taken, lease_s
from messaging.sending.clerking import Clerk
from messaging.sending.intents import Intent
from messaging.sending.posting import Job, News, Poster
from smsportal.accounts.models import ProviderAccount
from smsportal.providers.base import Account, Provider
from smsportal.providers.errors import ProviderError
from smsportal.sql import AWAY

T = TypeVar("T")
log = logging.getLogger(__name__)

# A connection opened longer ago may be closed by the other side in the moment of the request: it is opened again.
WARM_S: Final = 1.5
LOOK_S: Final = 0.2  # how long nothing is asked again after nothing was found, or after the window was full
AT_ONCE: Final = 16  # chunks claimed at once
# Chunks that share a transaction at most: when answers come in a wave, the first threads are on their way again before
# the last answers are read, and the wave is spread out.
GROUP: Final = 8
BEHIND: Final = 2 * GROUP  # how many requests may be answered and not written down before they fill the window again
TICK_S: Final = 0.1  # how soon a stop is seen
PAUSE_S: Final = 0.5  # how long the database is left alone when it did not answer
GIVE_BACK_TRIES: Final = 20  # far less than the lease; then the sweeper judges
STALE_S: Final = 60.0  # a claimed chunk that waited so long is given back long before its lease ends


@dataclass(frozen=True, slots=True)
class Stocked:
    """What the clerk tells: these chunks were claimed."""

    taken: list[Taken]


@dataclass(frozen=True, slots=True)
class Written:
    """What the clerk tells: the outcomes of these chunks (Chunk.id) are written, or will not be."""

    chunks: set[int]


class Driver:
    """Sends what is due through one account."""

    def __init__(self, account: int, threads: int, stop: Callable[[], bool]) -> None:
        self.account, self.stop, self.threads = account, stop, threads
        self.provider: Provider  # from `run` on, opened with these settings
        self.settings: Account | None = None
        self.requests = 0
        self.news: SimpleQueue[News | Stocked | Written] = SimpleQueue()
        self.clerk = Clerk(f"clerk-{account}")
        self.posters: list[Poster] = []
        self.warm: dict[Poster, float] = {}  # connection ready, and since when
        self.opening: set[Poster] = set()
        self.under_way: dict[Poster, Intent] = {}
        self.answered: dict[int, bool] = {}  # chunks whose outcome is not written yet, and whether all went well
        self.unwritten: list[outcomes.Done] = []  # until those before them are written
        self.is_writing = False
        self.stock: list[Taken] = []
        self.stocked_at = 0.0
        self.after = 0  # the batch whose turn it was
        self.batches: set[int] = set()  # those that may be finished by what was done here
        self.look_at = self.go_at = 0.0  # when it is claimed and intended again, on the monotonic clock
        self.is_dry = False  # nothing was due when it was last looked
        self.is_claiming = False
        self.window = 0

    def run(self) -> None:
        """Until nothing is due and nothing under way, or until `stop()`."""
        if not self._open(ProviderAccount.objects.get(pk=self.account)):
            return
        more = False
        try:
            while not self.stop():
                self._stock_up()
                if self._is_over():
                    break
                done = self._hear(0 if more else TICK_S)
                try:
                    # First new work for the threads: what they told can wait a moment, they should not.
                    more = self._dispatch()
                finally:
                    self._write_down(done)
        finally:
            self._finish()

    def _open(self, account: ProviderAccount) -> bool:
        """Have the provider with the address and the keys that the account has now. False when it cannot be used."""
        now = account.settings()
        if now == self.settings:
            return True
        try:
            self.provider = sending.open_provider(account)
        except ProviderError as failure:
            self._unreachable(failure)
            return False
        self.settings = now
        self.warm.clear()  # connections to where it was before
        return True

    # --- its steps --------------------------------------------------------------------------------------------------
    def _is_over(self) -> bool:
        return self.is_dry and not (self.under_way or self.answered or self.stock or self.is_claiming)

    def _stock_up(self) -> None:
        """Have the next chunks claimed while the last ones are under way."""
        now = time.monotonic()
        if self.stock and now - self.stocked_at > STALE_S:
            self._give_back()
        # As many as there are threads: on PostgreSQL a claim waits behind outcomes, and these come in waves.
        if len(self.stock) < max(GROUP, self.threads) and now >= self.look_at and not self.is_claiming:
            self.is_claiming = True
            self.clerk.do(self._claim)

    def _claim(self) -> None:
        taken: list[Taken] = []
        try:
            taken = self._safely(lambda: sending.take(AT_ONCE, account=self.account, after=self.after)) or []
        finally:
            self.news.put(Stocked(taken))

    def _stocked(self, taken: list[Taken]) -> None:
        self.is_claiming = False
        self.is_dry = not taken
        if taken:
            self.stocked_at = time.monotonic()
            if not taken[-1].batch.single:  # those come out of turn
                self.after = taken[-1].batch.pk
            self.window = standing.window_of(taken[-1].batch.account)
            self.batches |= {each.batch.pk for each in taken}
            self.stock += taken
            self._open(taken[-1].batch.account)  # somebody may have changed it since
        else:
            self.look_at = time.monotonic() + LOOK_S
            if not self.answered:
                self._finish_batches()

    def _dispatch(self) -> bool:
        """Give intents to the threads that are ready; have others get ready, when there is something for them.

        Whether there are more that could be given at once.
        """
        now = time.monotonic()
        room = min(self.window, self.threads) - len(self.under_way) - max(0, len(self.answered) - BEHIND)
        if not all(self.answered.values()):
            room = 0  # it may tell to wait, or to stop
        for poster in [each for each, since in self.warm.items() if now - since > WARM_S]:
            del self.warm[poster]
        free = list(self.warm)[: max(min(room, GROUP), 0)]
        made = 0
        if free and self.stock and now >= self.go_at:
            going, self.stock = self.stock[: len(free)], self.stock[len(free) :]
            intents = self._safely(lambda: sending.intend(going, answered=self.answered), lost=going) or []
            if len(intents) < len(going):
                self.go_at = time.monotonic() + LOOK_S
                self.is_dry = False  # what was let go is there to be taken again
            for poster, intent in zip(free, intents, strict=False):
                del self.warm[poster]
                self.under_way[poster] = intent
                poster.jobs.put(Job(self.provider, intent))
            made = len(intents)
            self.requests += made
        self._warm_up(min(room, len(self.stock) + 1) - len(self.warm) - len(self.opening))
        return made == GROUP and bool(self.warm and self.stock) and made < room

    def _warm_up(self, wanted: int) -> None:
        """Have `wanted` more threads open their connection."""
        if wanted <= 0 or not self.stock:
            return
        known = {*self.warm, *self.opening, *self.under_way}
        cold = [each for each in self.posters if each not in known]
        while len(cold) < wanted and len(self.posters) < self.threads:
            cold.append(Poster(self.news))
            self.posters.append(cold[-1])
            cold[-1].start()
        for poster in cold[:wanted]:
            self.opening.add(poster)
            poster.jobs.put(Job(self.provider))

    def _hear(self, seconds: float) -> list[outcomes.Done]:
        """What the threads have to tell, waited for at most `seconds`."""
        done: list[outcomes.Done] = []
        try:
            told = self.news.get(timeout=seconds)
            while True:
                if isinstance(told, Stocked):
                    self._stocked(told.taken)
                elif isinstance(told, Written):
                    self.is_writing = False
                    for chunk in told.chunks:
                        self.answered.pop(chunk, None)
                elif told.intent is not None and told.decision is not None:
                    del self.under_way[told.poster]
                    self.opening.add(told.poster)  # it goes on to open the connection for its next request
                    self.answered[told.intent.held.pk] = outcomes.is_smooth(told.decision)
                    done.append((told.intent, told.decision))
                else:
                    self.opening.discard(told.poster)
                    if told.failure is None:
                        self.warm[told.poster] = time.monotonic()
                    else:
                        self._unreachable(told.failure)
                if len(done) == GROUP:
                    return done
                told = self.news.get_nowait()
        except Empty:
            return done

    def _unreachable(self, failure: ProviderError) -> None:
        """Nothing was intended yet, so nothing can be unknown: decide as for a refusal."""
        self._safely(lambda: standing.note(self.account, decide(failure, 1)))
        self._give_back()

    def _write_down(self, done: list[outcomes.Done]) -> None:
        """Have outcomes written: those that come in while others are being written share the next transaction."""
        self.unwritten += done
        if self.is_writing or not self.unwritten:
            return
        group, self.unwritten = self.unwritten[:BEHIND], self.unwritten[BEHIND:]
        self.is_writing = True

        def write() -> None:
            try:
                self._record(group)
            finally:
                self.news.put(Written({intent.held.pk for intent, _ in group}))

        self.clerk.do(write)

    def _record(self, done: list[outcomes.Done]) -> None:
        """Together, or else by themselves, so that one that cannot be written leaves the others alone.

        While the database is away it is tried as long as the leases last: only here is known what was answered.
        """
        until = min(intent.leased_at for intent, _ in done) + lease_s()
        while True:
            try:
                sending.write_down(done)
                return
            except AWAY:
                if time.monotonic() > until:
                    log.exception("The outcomes of %s requests are lost; the sweeper finds them", len(done))
                    return
                time.sleep(PAUSE_S)
            except Exception:
                log.exception("The outcomes of %s requests could not be written", len(done))
                for each in done if len(done) > 1 else ():
                    self._record([each])
                return

    def _finish_batches(self) -> None:
        at_work = {intent.batch.pk for intent in self.under_way.values()} | {each.batch.pk for each in self.stock}
        for batch in sorted(self.batches - at_work):
            self._safely(lambda batch=batch: outcomes.finish_if_done(batch))  # type: ignore[misc]
            self.batches.discard(batch)

    def _finish(self) -> None:
        """Nothing new any more: write down what is under way, give back what is not, and let the threads go."""
        while self.under_way or self.unwritten or self.is_writing:
            self._write_down(self._hear(TICK_S))
        self.clerk.finish()
        while not self.news.empty():
            self._hear(0)
        self._give_back()
        self._finish_batches()
        for poster in self.posters:
            poster.jobs.put(None)

    # --- when the database is away ----------------------------------------------------------------------------------
    def _give_back(self) -> None:
        stock, self.stock = self.stock, []
        if stock:
            self._safely(lambda: sending.give_back(stock))

    def _safely(self, do: Callable[[], T], lost: list[Taken] | None = None) -> T | None:
        """What `do` gives, or None when the database is away: nothing is due then, and it is asked again a little later.

        `lost`: chunks whose intents may have been committed although their commit was not answered. None of them was
        handed over, so they are given back under their fences.
        """
        try:
            return do()
        except AWAY as gone:
            log.warning("The database did not answer a driver: %s", gone)
            connection.close()
            time.sleep(PAUSE_S)
        for _ in range(GIVE_BACK_TRIES if lost else 0):
            try:
                sending.give_back(lost or [])
                break
            except AWAY:
                connection.close()
                time.sleep(PAUSE_S)
        return None
