"""The threads of a driver that make requests and do nothing else: they never ask the database."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from messaging import sending
from messaging.sending.answers import Decision
from messaging.sending.intents import Intent
from smsportal.providers.base import Provider
from smsportal.providers.errors import ProviderError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """What a posting thread is asked for: have a connection ready. With `intent`: and before that, make the request."""

    provider: Provider
    intent: Intent | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What a posting thread tells: a decision on its intent, or that its connection is ready, or why there is none."""

    poster: Poster
    intent: Intent | None = None
    decision: Decision | None = None
    failure: ProviderError | None = None


class Poster(threading.Thread):
    """Does the jobs it is given, one after the other, and tells of each."""

    def __init__(self, news: SimpleQueue[Any]) -> None:
        super().__init__(name="poster", daemon=True)
        self.jobs: SimpleQueue[Job | None] = SimpleQueue()
        self.news = news  # takes News

    def run(self) -> None:
        while (job := self.jobs.get()) is not None:
            if job.intent is not None:
                self.news.put(News(self, job.intent, sending.hand_over(job.provider, job.intent)))
            try:
                # Ahead of the next intent, so that a failure here is known not to have sent anything.
                job.provider.connect()
            except ProviderError as failure:
                self.news.put(News(self, failure=failure))
            except Exception as failure:
                log.exception("A connection could not be opened by the portal itself")
                self.news.put(News(self, failure=ProviderError(f"The portal failed: {failure!r}")))
            else:
                self.news.put(News(self))
