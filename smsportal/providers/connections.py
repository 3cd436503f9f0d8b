"""urllib3's connections, taught to keep one deadline for a whole call and to know whether any of it has left."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from typing import Any, Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

# A kept connection idle for longer is replaced before a send: Node's servers, Ocelot's among them, close after 5 s.
IDLE_S: Final = 2.0


class Call(threading.local):
    """The call this thread is making: until when it may take, and whether any byte of it has left (None: not known)."""

    until = 0.0
    read_s = 0.0
    left: bool | None = None

    def begin(self, total_s: float, read_s: float) -> None:
        """A call starts that may take `total_s` seconds, and `read_s` of them between two bytes."""
        self.until = time.monotonic() + total_s
        self.read_s = read_s
        self.left = None

    def seconds(self) -> float:
        """What the next socket operation may take. Raises TimeoutError when the time is up."""
        remaining = self.until - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("The total deadline has passed.")
        return min(self.read_s, remaining)


call = Call()


class _Within(io.RawIOBase):
    """A socket's reading end that gives every single read only what is left of the call's deadline.

    The library's timeouts are per read: an answer that drips one byte a second would hold a worker for hours.
    """

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock, self._raw = sock, raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(call.seconds())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Within(sock, self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _Response
    used_at = 0.0
    _waiting: list[bytes] | None = None  # the parts of a request that is being written

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Head and body leave together: one packet less, and half the system's work."""
        parts: list[bytes] = []
        self._waiting = parts
        try:
            super().request(*args, **kwargs)
        finally:
            self._waiting = None
        self.send(b"".join(parts))

    def send(self, data: Any) -> None:
        if self._waiting is not None:
            self._waiting.append(data)
            return
        if self.sock is None:
            self.connect()
        self.used_at = time.monotonic()
        self.sock.settimeout(call.seconds())
        call.left = True
        super().send(data)


class _TlsConnection(_Connection, HTTPSConnection):
    @property
    def is_connected(self) -> bool:
        """Whether the other side still listens.

        After a TLS 1.3 handshake the server's session tickets wait to be read. urllib3 takes any waiting byte for the
        end of the connection, and would give up every connection that was opened ahead of its request.
        """
        if self.sock is None or super().is_connected:
            return self.sock is not None
        self.sock.settimeout(0)
        try:
            self.sock.recv(1)  # reads the tickets; nothing else may come before we have asked
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False
        return False


class Pool(HTTPConnectionPool):
    ConnectionCls = _Connection

    def open(self, timeout_s: float) -> None:
        """Have one fresh, connected connection in the pool."""
        connection = self._get_conn()
        try:
            if time.monotonic() - getattr(connection, "used_at", 0.0) > IDLE_S:
                connection.close()
            if connection.is_closed:
                connection.timeout = timeout_s
                connection.connect()
                connection.used_at = time.monotonic()  # type: ignore[attr-defined]  # ours
        finally:
            self._put_conn(connection)


class TlsPool(Pool, HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
