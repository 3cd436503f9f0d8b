"""The twin of the proofs: the served sandbox, which also writes down each request that came and each text it accepted.

The ledger is the truth the portal is measured against. One line each, written before the answer leaves:
`post <attempt> <time>` for a request, also one that is then refused; `took <reference> <number> <time>` for a text.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from smsportal.sandbox.exchange import Answer, Request
from smsportal.sandbox.ocelot.fates import Fate, digits
from smsportal.sandbox.ocelot.texts import Texts
from smsportal.sandbox.server import Server

UNNAMED = "-"  # the attempt of a request that names none
ATTEMPT = re.compile(r"/a\.([0-9a-f]{32})\.")


@dataclass(slots=True)
class Ledger:
    """What a ledger says: how often each request came, and when each text was taken, by reference."""

    posts: Counter[str] = field(default_factory=Counter)
    taken: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    numbers: dict[str, str] = field(default_factory=dict)


def read(path: Path, since: int = 0) -> Ledger:
    """The ledger at `path`, as far as it is written, from its byte `since` on."""
    ledger = Ledger()
    with path.open() as lines:
        lines.seek(since)
        for line in lines:
            match line.split():
                case ["post", attempt, _]:
                    ledger.posts[attempt] += 1
                case ["took", reference, number, at]:
                    ledger.taken[reference].append(float(at))
                    ledger.numbers[reference] = number
    return ledger


class WrittenTexts(Texts):
    """Texts of the twin with a ledger, an index for look-ups among very many, and receipts for only some areas."""

    ledger: TextIO
    silent: frozenset[str] = frozenset()  # area codes whose texts get no receipt

    def send(self, chatbot: str, request: Request) -> Answer:
        answer = super().send(chatbot, request)
        self.ledger.flush()
        return answer

    def _fate(self, number: str) -> Fate:
        fate = super()._fate(number)
        return replace(fate, steps=(), replies=()) if digits(number)[:3] in self.silent else fate

    def _note(self, body: dict[str, Any], message: dict[str, Any], batch: str, own_id: str, fate: Fate) -> None:
        super()._note(body, message, batch, own_id, fate)
        text = self.sent[-1]
        self.by_number[digits(text["to"])].append(text)
        self.ledger.write(f"took {text['customerMessageId']} {text['e164']} {time.time()}\n")

    def _turns(self, number: str) -> list[dict[str, str]]:
        everything, self.sent = self.sent, list(self.by_number[number])
        try:
            return super()._turns(number)
        finally:
            self.sent = everything

    by_number: defaultdict[str, deque[Any]]


def _recent() -> deque[Any]:
    """The latest texts to one number: a look-up needs no older ones."""
    return deque(maxlen=4)


class WrittenServer(Server):
    """The sandbox's server with a ledger."""

    def __init__(self, port: int, ledger: Path, *, seed: int, silent: frozenset[str]) -> None:
        super().__init__(("127.0.0.1", port), seed=seed)
        self.ledger = ledger.open("a")
        ocelot = self.twins.ocelot
        texts = WrittenTexts(self.twins.clock, ocelot.switches, ocelot.hooks)
        texts.ledger, texts.silent, texts.by_number = self.ledger, silent, defaultdict(_recent)
        ocelot._texts = texts
        handle = self.twins.handle

        def written(request: Request) -> Answer:
            if request.path.rstrip("/").endswith("/sms/send"):
                self._note(request.body)
            return handle(request)

        self.twins.handle = written  # type: ignore[method-assign]

    def _note(self, body: bytes) -> None:
        try:
            attempt = ATTEMPT.search(json.loads(body).get("smsWebhookUri", ""))
        except ValueError:
            return  # the request broke off: nobody could have read it
        with self.twins.lock:
            self.ledger.write(f"post {attempt[1] if attempt else UNNAMED} {time.time()}\n")
            self.ledger.flush()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in the middle of a request is what the proofs are about."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main(given: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--silent", default="", help="area codes whose texts get no receipt, separated by commas")
    options = parser.parse_args(given)
    silent = frozenset(filter(None, options.silent.split(",")))
    server = WrittenServer(options.port, options.ledger, seed=options.seed, silent=silent)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    with server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
