"""A server on this machine that answers, or fails to, in every way the network knows; for tests of the HTTP client."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass
class Seen:
    """One request as it was read off the socket."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Faulty:
    """Does what the request's path says. `seen` are the requests read to their end, `connections` those opened."""

    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Faulty:
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *gone: object) -> None:
        self._over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as incoming:
            try:
                if incoming.peek(1)[:1] == b"\x16":  # a TLS handshake: this server speaks plain HTTP
                    return connection.sendall(answer(400))
                while line := incoming.readline().decode("latin-1").strip():
                    path = line.split()[1]
                    if path == "/reset-before":
                        return _reset(connection)
                    headers = {}
                    while given := incoming.readline().decode("latin-1").strip():
                        name, _, value = given.partition(":")
                        headers[name.lower()] = value.strip()
                    self.seen.append(Seen(line, headers, incoming.read(int(headers.get("content-length", 0)))))
                    if not self._answer(connection, path):
                        return None
            except OSError:
                return None
        return None

    def _answer(self, connection: socket.socket, path: str) -> bool:
        """Whether the connection stays open."""
        if path in FAULTS:
            FAULTS[path](self, connection)
            return False
        connection.sendall(ANSWERS.get(path) or answer(200, b'{"ok":true}'))
        return True

    def drip(self, connection: socket.socket, text: bytes) -> None:
        """A byte every 50 ms, for ever."""
        while not self._over.wait(0.05):
            connection.sendall(text)


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _drip_head(server: Faulty, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    server.drip(connection, b"X: y\r\n")


def _drip_body(server: Faulty, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    server.drip(connection, b"x")


FAULTS: dict[str, Callable[[Faulty, socket.socket], object]] = {
    "/reset-after": lambda server, connection: _reset(connection),
    "/close-after": lambda server, connection: None,
    "/hang": lambda server, connection: server._over.wait(3),
    "/drip-head": _drip_head,
    "/drip-body": _drip_body,
    "/torn": lambda server, connection: connection.sendall(answer(200, b'{"batchUuid":"x"}')[:-8]),
    "/torn-400": lambda server, connection: connection.sendall(answer(400, b'{"message":"no such number"}')[:-8]),
    "/garbage": lambda server, connection: connection.sendall(b"\x00\xff what is this\r\n\r\n"),
}
ANSWERS: dict[str, bytes] = {
    "/307": answer(307, b"", "Location: /elsewhere"),
    "/302": answer(302, b"", "Location: /elsewhere"),
    "/gzip": answer(200, gzip.compress(b'{"ok":true}'), "Content-Encoding: gzip"),
    "/huge": answer(200, b'"' + b"x" * 2_000_000 + b'"'),
    "/huge-400": answer(400, b'{"message":"' + b"x" * 2_000_000 + b'"}'),
    "/empty": answer(202),
    "/html": answer(502, b"<html><h1>Bad Gateway</h1></html>", "Content-Type: text/html"),
    "/triple": answer(400, b'{"statusCode":400,"message":["from must be a string","to is wrong"],"error":"Bad"}'),
    "/cookie": answer(200, b"{}", "Set-Cookie: session=abc; Path=/"),
    "/echo-secret": answer(400, b'{"message":"key sandbox-secret and /hooks/ocelot/tok3n/a/1.x/ are wrong"}'),
    "/two-lengths": answer(200, b"{}", "Content-Length: 5"),
    "/429": answer(429, b"{}", "Retry-After: 7"),
    "/429-soon": answer(429, b"{}", "Retry-After: 0"),
    "/503": answer(503, b"{}"),
}
