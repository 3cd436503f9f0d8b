"""The fault switch: what goes wrong with which requests, how often, and how an answer is spoiled by it."""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from smsportal.sandbox.exchange import Answer, Refusal

# Kinds of requests a fault can be limited to; "*" is all of them.
ROUTES = ("*", "send", "lists", "contacts", "lookups")

# name → what happens, as the page shows it. Those in BEFORE hit a request that is then not accepted.
BEFORE: dict[str, str] = {
    "400": "refused: 400",
    "401": "refused: 401, as with a wrong key",
    "403": "refused: 403",
    "404": "refused: 404",
    "413": "refused: 413, too large",
    "429": "refused: 429, with Retry-After if given",
    "500": "fails: 500, not accepted",
    "502": "fails: 502 with a proxy's HTML page, not accepted",
    "503": "fails: 503, with Retry-After if given, not accepted",
    "504": "fails: 504, not accepted",
    "redirect": "307 to another address, not accepted",
    "reset_before": "the connection is reset, not accepted",
    "hang_before": "no answer ever comes, not accepted",
}
AFTER: dict[str, str] = {
    "latency": "only slow: answered after latency_ms",
    "accept_500": "accepted, then answered 500",
    "accept_502": "accepted, then answered 502 with a proxy's HTML page",
    "accept_503": "accepted, then answered 503",
    "accept_504": "accepted, then answered 504",
    "reset_after": "accepted, then the connection is reset",
    "hang": "accepted, but no answer ever comes",
    "torn": "accepted, but only half of the answer comes",
    "drip": "accepted; the answer comes a byte at a time",
    "garbled": "accepted, then answered 200 with an HTML page",
    "empty": "accepted, then answered 200 with an empty body",
    "bomb": "accepted, then answered with a small body that inflates to 64 MB",
    "receipts_first": "accepted; the callbacks arrive before the answer does",
}
KINDS = BEFORE | AFTER

_HTML = b"<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>"
_BOMB_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule: `kind` befalls requests of route `on`, the next `times` of them (None: all), or a random `share`."""

    kind: str
    on: str = "*"
    times: int | None = None
    share: float = 1.0
    latency_ms: int = 0
    retry_after: str = ""  # as sent in the header: seconds or an HTTP date

    def before(self) -> Answer | None:
        """The answer to a request that is not accepted; None when this fault lets it be accepted."""
        if self.kind not in BEFORE:
            return None
        if self.kind == "redirect":
            return Answer(307, {"Location": "/elsewhere"})
        if not self.kind.isdigit():
            return Answer(0, mishap="hang" if self.kind == "hang_before" else self.kind)
        return self._error(int(self.kind))

    def after(self, answer: Answer) -> Answer:
        """`answer` to an accepted request, spoiled."""
        if self.kind in ("reset_after", "hang", "torn", "drip", "receipts_first"):
            return replace(answer, mishap=self.kind)
        if self.kind.startswith("accept_"):
            return self._error(int(self.kind.removeprefix("accept_")))
        if self.kind == "garbled":
            return Answer(200, {"Content-Type": "text/html"}, _HTML)
        if self.kind == "empty":
            return Answer(200)
        if self.kind == "bomb":
            return Answer(answer.status, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, _bomb())
        return answer

    def _error(self, status: int) -> Answer:
        if status == 502:
            return Answer(status, {"Content-Type": "text/html"}, _HTML)
        message = {
            401: "Invalid authentication credentials",
            413: "request entity too large",
            429: "ThrottlerException: Too Many Requests",
        }.get(status, "The sandbox was told to fail")
        answer = Refusal(status, message).answer()
        if self.retry_after:
            answer.headers["Retry-After"] = self.retry_after
        return answer


def _bomb() -> bytes:
    packer = zlib.compressobj(wbits=31)
    chunk = b" " * 1024 * 1024
    return b"".join([packer.compress(chunk) for _ in range(_BOMB_BYTES // len(chunk))]) + packer.flush()


class Faults:
    """The faults in force. Not thread-safe by itself: the sandbox calls it under its lock."""

    def __init__(self, seed: int = 0) -> None:
        self.rules: list[Fault] = []
        self._random = random.Random(seed)

    def add(
        self,
        kind: str,
        *,
        on: str = "*",
        times: int | None = None,
        share: float = 1.0,
        latency_ms: int = 0,
        retry_after: str = "",
    ) -> None:
        """Put a fault in force; ValueError with a sentence when there is no such kind or route."""
        if kind not in KINDS:
            raise ValueError(f"There is no fault {kind!r}; there are {', '.join(KINDS)}.")
        if on not in ROUTES:
            raise ValueError(f"There is no route {on!r}; there are {', '.join(ROUTES)}.")
        if not 0 <= share <= 1 or latency_ms < 0 or (times is not None and times < 1):
            raise ValueError("share lies between 0 and 1, latency_ms is not negative, times is at least 1.")
        self.rules.append(Fault(kind, on, times, share, latency_ms, retry_after))

    def add_json(self, given: Mapping[str, Any]) -> None:
        """As `add`, from a decoded JSON object or a form: {"kind": "429", "on": "send", "times": 2, …}."""
        unknown = set(given) - set(Fault.__dataclass_fields__)
        if unknown or "kind" not in given:
            raise ValueError(
                f"A fault has a kind and may have on, times, share, latency_ms, retry_after; not {unknown}."
            )
        self.add(
            str(given["kind"]),
            on=str(given.get("on", "*")),
            times=int(given["times"]) if given.get("times") is not None else None,
            share=float(given.get("share", 1)),
            latency_ms=int(given.get("latency_ms", 0)),
            retry_after=str(given.get("retry_after", "")),
        )

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.rules.clear()

    def pick(self, route: str) -> Fault | None:
        """The fault that befalls this request, counted down; None when it goes well."""
        for place, rule in enumerate(self.rules):
            if rule.on not in ("*", route) or (rule.share < 1 and self._random.random() >= rule.share):
                continue
            if rule.times is not None:
                left = rule.times - 1
                self.rules[place : place + 1] = [replace(rule, times=left)] if left else []
            return rule
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """The rules in force, as the control answers them."""
        return [asdict(rule) for rule in self.rules]
