"""The sandbox over HTTP: a small server of the standard library that also carries out mishaps on the real connection."""

from __future__ import annotations

import http.client
import os
import select
import socket
import struct
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from smsportal.sandbox.app import Twins
from smsportal.sandbox.exchange import Answer, Refusal, Request

LARGEST_BODY = 32 * 1024 * 1024  # bytes; more is refused unread
DELIVER_TIMEOUT_S = 10
TICK_S = 0.1
DRIP_S = 0.08
HANG_S = 120
IDLE_S = 60


def deliver(url: str, headers: dict[str, str], body: bytes) -> int:
    """POST `body` to `url` and give the status. No redirect is followed. OSError or HTTPException when it fails."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=DELIVER_TIMEOUT_S)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, {**headers, "User-Agent": "smsportal-sandbox"})
        return connection.getresponse().status
    finally:
        connection.close()


class Server(ThreadingHTTPServer):
    """Serves one `Twins` and makes its due calls in a thread of its own, until `shutdown`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], *, seed: int = 0, portal: str = "") -> None:
        super().__init__(address, Handler)
        self.twins = Twins(deliver, lambda: datetime.now(UTC), seed=seed, portal=portal)
        self.stopping = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="sandbox-callbacks", daemon=True)

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def serve_forever(self, poll_interval: float = 0.2) -> None:
        self._ticker.start()
        super().serve_forever(poll_interval)

    def shutdown(self) -> None:
        """Stop taking requests and making calls. Must be called from another thread than `serve_forever`'s."""
        self.stopping.set()
        super().shutdown()
        self._ticker.join(timeout=DELIVER_TIMEOUT_S)

    def _tick(self) -> None:
        while not self.stopping.wait(TICK_S):
            self.twins.run_due()


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive between requests."""

    protocol_version = "HTTP/1.1"
    server: Server
    timeout = IDLE_S
    disable_nagle_algorithm = True  # else a kept-alive answer waits for the client's delayed acknowledgement

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not length.isdecimal():
            self._refuse(Refusal(411, "The length of the body must be given"))
        elif int(length) > LARGEST_BODY:
            self._refuse(Refusal(413, "request entity too large"))
        else:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            body = self.rfile.read(int(length))
            self._give(self.server.twins.handle(Request(self.command, parts.path, query, headers, body)))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815  names http.server looks up

    def _refuse(self, refusal: Refusal) -> None:
        self.close_connection = True  # the body was not read, so the next request cannot be found
        self._give(refusal.answer())

    def _give(self, answer: Answer) -> None:
        mishaps: dict[str, Callable[[Answer], None]] = {
            "reset_before": self._reset,
            "reset_after": self._reset,
            "hang": self._hang,
            "torn": self._torn,
            "drip": self._drip,
        }
        try:
            mishaps.get(answer.mishap, self._whole)(answer)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client gave up

    def _head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _whole(self, answer: Answer) -> None:
        self._head(answer)
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _reset(self, answer: Answer) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())  # with no lingering, closing sends a reset instead of an orderly end

    def _hang(self, answer: Answer) -> None:
        self.close_connection = True
        for _ in range(int(HANG_S / TICK_S)):
            gone, _, _ = select.select([self.connection], [], [], TICK_S)
            if gone or self.server.stopping.is_set():
                return

    def _torn(self, answer: Answer) -> None:
        self.close_connection = True
        body = answer.body or b"{}"
        self._head(Answer(answer.status, answer.headers, body))
        self.wfile.write(body[: len(body) // 2])

    def _drip(self, answer: Answer) -> None:
        self._head(answer)
        for place in range(len(answer.body)):
            self.wfile.write(answer.body[place : place + 1])
            if self.server.stopping.wait(DRIP_S):
                return

    def version_string(self) -> str:
        return "smsportal-sandbox"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name http.server gives it
        """Say nothing: the page shows what arrived, and a request line may hold a token."""
