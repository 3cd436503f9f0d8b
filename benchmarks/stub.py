"""A provider that only takes texts, as fast as it can: one process, every text answered by its own echo and counted.

The twin checks, keeps and calls back; measured against it, the twin would be measured. This one reads a call, notes
whose text it was, and answers in the shape of Ocelot's guide, after a latency that holds up no other call.

    python -m benchmarks.stub --port 8101
    GET /state                 {"texts": …, "different": …, "calls": …, "most_at_once": …}
    GET /reset?latency_ms=200  forget what was counted, and answer that late from now on
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Counts:
    """What was taken since the last reset. A text is known by its reference without the attempt."""

    def __init__(self, latency_s: float = 0.0) -> None:
        self.latency_s = latency_s
        self.texts = self.calls = self.now = self.most_at_once = 0
        self.seen: set[str] = set()

    def shown(self) -> dict[str, int]:
        return {
            "texts": self.texts,
            "different": len(self.seen),
            "calls": self.calls,
            "most_at_once": self.most_at_once,
        }


class Stub(asyncio.Protocol):
    """One kept connection: whole requests out of the bytes, one answer for each."""

    counts = Counts()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.got = b""

    def data_received(self, data: bytes) -> None:
        self.got += data
        while (end := self.got.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self.got, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self.got) < whole:
                return
            target, body = self.got[: self.got.find(b"\r\n")].split(b" ")[1], self.got[end + 4 : whole]
            self.got = self.got[whole:]
            if body:
                self._take(body)
            else:
                self._write(_answer(b"200 OK", json.dumps(_told(target.decode())).encode()))

    def _take(self, body: bytes) -> None:
        counts = Stub.counts
        messages = json.loads(body)["messages"]
        counts.calls += 1
        counts.texts += len(messages)
        counts.seen.update(message["customerMessageId"][:36] for message in messages)
        counts.now += 1
        counts.most_at_once = max(counts.most_at_once, counts.now)
        answer = _answer(b"201 Created", _echo(messages))
        if counts.latency_s:
            asyncio.get_running_loop().call_later(counts.latency_s, self._done, counts, answer)
        else:
            self._done(counts, answer)

    def _done(self, counts: Counts, answer: bytes) -> None:
        counts.now -= 1
        self._write(answer)

    def _write(self, answer: bytes) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        self.transport.write(answer)


def _told(target: str) -> dict[str, int]:
    parts = urlsplit(target)
    if parts.path == "/reset":
        Stub.counts = Counts(float(parse_qs(parts.query).get("latency_ms", ["0"])[0]) / 1000)
    return Stub.counts.shown()


def _echo(messages: list[dict[str, str]]) -> bytes:
    """The answer "includes unique identifiers for the current SMS batch and every message in it" (SMS guide)."""
    batch = str(uuid4())
    items = ",".join(
        f'{{"messageUuid":"{batch[:24]}{place:012x}","to":"{each["to"]}",'
        f'"customerMessageId":"{each["customerMessageId"]}"}}'
        for place, each in enumerate(messages)
    )
    return f'{{"batchUuid":"{batch}","messages":[{items}]}}'.encode()


def _answer(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
    return head + body


async def serve(port: int) -> None:
    """Take texts on the loopback until SIGTERM."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    server = await loop.create_server(Stub, "127.0.0.1", port, backlog=1024)
    await done.wait()
    server.close()


def main() -> None:
    words = argparse.ArgumentParser(description="a provider that only takes texts, as fast as it can")
    words.add_argument("--port", type=int, required=True)
    asyncio.run(serve(words.parse_args().port))


if __name__ == "__main__":
    main()
