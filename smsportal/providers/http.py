"""The one HTTP client, and the one place that decides what a failed call means: may it be tried again, was it sent?

Measured with requests 2.34: a refused, a reset, a closed and a torn connection all arrive as
`requests.ConnectionError`, whether or not the provider has read the whole request. So the exception's type decides
nothing by itself: a call counts as not sent only if not one byte of it was handed to the socket.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, Final, NoReturn
from urllib.parse import urlencode, urlsplit

import requests
import urllib3
from django.conf import settings
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.connectionpool import ConnectionPool

from smsportal.providers import payload
from smsportal.providers.connections import Pool, TlsPool, call
from smsportal.providers.errors import Garbled, Misconfigured, ProviderError, Throttled, Uncertain, Unreachable
from smsportal.providers.masking import mask
from smsportal.providers.pacing import wait_for_turn
from smsportal.providers.verdicts import cause, verdict

log = logging.getLogger(__name__)

MAX_ANSWER: Final = 1024 * 1024  # bytes
SHOWN: Final = 2000  # characters of an answer that are kept
PAUSES_S: Final = (0.5, 1.5)  # before the second and third try of a call that may be repeated
PATIENCE_S: Final = 5.0  # how long such a call waits when it is asked to; longer waits are the caller's to plan


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a call may take, in seconds: to connect, between two bytes, and as a whole."""

    connect_s: float = 5.0
    read_s: float = 30.0
    total_s: float = 45.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the 2xx kind. `shown` is its text for the records: masked, at most 2,000 characters."""

    status: int
    body: bytes
    shown: str

    def json(self) -> object:
        """The decoded body, None when it is blank. Raises Garbled when it is neither blank nor JSON."""
        if not self.body.strip():
            return None
        try:
            return payload.read(self.body)
        except Garbled as wrong:
            raise Garbled(f"The answer cannot be read. {wrong.text}", status=self.status, body=self.shown) from None


# --- one session per thread, over connections of our own -------------------------------------------------------------
class _Adapter(HTTPAdapter):
    """requests' transport without retries, over connections that keep the deadline. Always verifies, never by a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": TlsPool}
        self._pools: dict[str, ConnectionPool] = {}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        call.left = False
        return super().send(request, *args, **kwargs)

    def open(self, url: str, timeout_s: float) -> None:
        """Connect to the host of `url`, TLS included. Raises what urllib3, ssl and the system raise."""
        pool = self._pool(url, None)
        self.cert_verify(pool, url, verify=True, cert=None)  # type: ignore[no-untyped-call]  # the stubs forgot it
        if isinstance(pool, Pool):
            pool.open(timeout_s)

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> ConnectionPool:
        return self._pool(str(request.url), request)

    def request_url(self, request: requests.PreparedRequest, *args: Any) -> str:
        return str(request.path_url)

    def _pool(self, url: str, request: requests.PreparedRequest | None) -> ConnectionPool:
        """The connections to the host of `url`. Finding them anew takes 0.1 ms, a tenth of a whole send."""
        host = "/".join(url.split("/", 3)[:3])  # with scheme and port
        if host not in self._pools:
            request = request or requests.Request("POST", url).prepare()
            self._pools[host] = super().get_connection_with_tls_context(request, verify=True)
        return self._pools[host]


_mounted: dict[str, BaseAdapter] = {}


class _Session(requests.Session):
    """Without cookies, and without proxies or .netrc from the environment: what leaves is what we wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.headers.clear()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.mount("https://", _Adapter())
        self.mount("http://", _Adapter())

    def get_adapter(self, url: str) -> BaseAdapter:
        prefix = max((each for each in _mounted if url.startswith(each)), key=len, default="")
        return _mounted[prefix] if prefix else super().get_adapter(url)


class _Thread(threading.local):
    session: _Session | None = None


_thread = _Thread()


def _forget() -> None:
    """A forked process must not talk over its parent's connections."""
    _thread.session = None


os.register_at_fork(after_in_child=_forget)


def _session() -> _Session:
    if _thread.session is None:
        _thread.session = _Session()
    return _thread.session


@contextmanager
def mounted(prefix: str, adapter: BaseAdapter) -> Iterator[None]:
    """Within this block every session, of any thread, hands calls to addresses beginning with `prefix` to `adapter`."""
    _mounted[prefix] = adapter
    try:
        yield
    finally:
        del _mounted[prefix]


# --- the client ------------------------------------------------------------------------------------------------------
class Http:
    """Calls one provider account. Holds no state of a call, so threads may share it.

    `headers` go with every call, `secrets` are blanked in everything that is logged or kept. `per_second` is the pace
    of all calls of this process to `base_url`; None: as fast as they come.
    """

    def __init__(
        self,
        base_url: str,
        *,
        title: str,
        headers: Mapping[str, str],
        secrets: tuple[str, ...] = (),
        per_second: float | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.title = title
        self.deadlines = deadlines or Deadlines()
        self.per_second = per_second
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "smsportal"}
        self._headers.update(headers)
        self._secrets = {*secrets, *headers.values()}
        self._enough = SHOWN + 2 * max(map(len, self._secrets), default=0) + 100  # bytes, see `_shown`
        self._sends: dict[str, dict[str, Any]] = {}  # by address: what all requests to it have in common

    def open(self) -> None:
        """Connect ahead of a send, after waiting for this call's turn. Raises Unreachable or Misconfigured: not sent."""
        self._check_address()
        wait_for_turn(self.base_url, self.per_second)
        adapter = _session().get_adapter(self.base_url)
        try:
            if isinstance(adapter, _Adapter):
                adapter.open(self.base_url, self.deadlines.connect_s)
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as wrong:
            raise Misconfigured(f"The address of {self.title} is malformed; correct it in the account.") from wrong
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as gone:
            raise Unreachable(self._unreachable(gone)) from gone

    def send(self, path: str, body: object) -> Reply:
        """POST `body` once, never again. Any 2xx is a Reply; everything else raises with what is known of the sending."""
        return self._once("POST", path, body, None, sending=True)

    def ask(
        self, method: str, path: str, *, body: object = None, query: Mapping[str, str | int] | None = None
    ) -> Reply:
        """A call that sends no text. Up to three tries while it certainly was not carried out; a GET also after errors."""
        for pause_s in PAUSES_S:
            try:
                return self._once(method, path, body, query, sending=False)
            except (Unreachable, Throttled, Uncertain) as failed:
                wait_s = pause_s if failed.retry_after_s is None else failed.retry_after_s
                if wait_s > PATIENCE_S or (isinstance(failed, Uncertain) and method != "GET"):
                    raise
                time.sleep(wait_s)
        return self._once(method, path, body, query, sending=False)

    def mask(self, text: str) -> str:
        """`text` without this account's secrets, Authorization headers and webhook tokens."""
        return mask(text, self._secrets)

    def _once(
        self, method: str, path: str, body: object, query: Mapping[str, str | int] | None, *, sending: bool
    ) -> Reply:
        self._check_address()
        if not sending:  # a send took its turn in `open`
            wait_for_turn(self.base_url, self.per_second)
        url = f"{self.base_url}{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else payload.write(body)
        started = time.monotonic()
        call.begin(self.deadlines.total_s, self.deadlines.read_s)
        status: int | None = None
        try:
            response = _session().send(
                self._sending(url, data) if sending and data else self._prepared(method, url, data),
                timeout=(self.deadlines.connect_s, self.deadlines.read_s),
                allow_redirects=False,
                stream=True,
                proxies={},
            )
            with closing(response):
                status = response.status_code
                content, problem = _content(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as gone:
            self._lost(gone)
        finally:
            spent_ms = (time.monotonic() - started) * 1000
            level = logging.DEBUG if status and status < 300 else logging.INFO
            if log.isEnabledFor(level):
                log.log(level, "%s %s → %s in %.0f ms", method, self.mask(url), status or "no answer", spent_ms)
        if not 200 <= status < 300:
            said, shown = self.mask(payload.words(content)), self._shown(content)
            raise verdict(status, response.headers, title=self.title, said=said, shown=shown, sending=sending)
        if problem is not None:
            raise type(problem)(problem.text, status=status, body=self._shown(content))
        return Reply(status, content, self._shown(content))

    def _prepared(self, method: str, url: str, data: bytes | None) -> requests.PreparedRequest:
        headers = self._headers if data is None else {**self._headers, "Content-Type": "application/json"}
        return _session().prepare_request(requests.Request(method, url, data=data, headers=headers))

    def _sending(self, url: str, data: bytes) -> requests.PreparedRequest:
        """A POST of `data`. Address and headers are checked once: every send of an account has the same."""
        if url not in self._sends:
            once = self._prepared("POST", url, b"{}")
            self._sends[url] = {**vars(once), "headers": dict(once.headers)}  # a plain one is read in half the time
        known, length = self._sends[url], {"Content-Length": str(len(data))}
        request = requests.PreparedRequest()
        vars(request).update(known, headers={**known["headers"], **length}, body=data)
        return request

    def _check_address(self) -> None:
        """Credentials never travel in the clear: plain http only to this machine, the sandbox or a mounted twin."""
        parts = urlsplit(self.base_url)
        if parts.scheme == "https" and parts.hostname:
            return
        near = self.base_url.startswith((settings.SANDBOX_URL, *_mounted)) or _is_this_machine(parts.hostname or "")
        if parts.scheme != "http" or not near:
            raise Misconfigured(f"The address of {self.title} must begin with https://; correct it in the account.")

    def _lost(self, gone: Exception) -> NoReturn:
        """No answer came. Only what never left is known not to have been sent."""
        ours = isinstance(gone, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader)
        if ours and not call.left:  # once it has left, the header that is wrong is one of the answer's
            raise Misconfigured(f"The address or the keys of {self.title} are malformed.") from gone
        reason = gone.args[0] if gone.args else None
        unconnected = isinstance(getattr(reason, "reason", None), urllib3.exceptions.NewConnectionError)
        if call.left is False or unconnected or isinstance(gone, requests.ConnectTimeout):
            raise Unreachable(self._unreachable(gone)) from gone
        raise Uncertain(
            f"The connection to {self.title} failed after the request had left ({cause(gone)}); "
            "it may have been accepted."
        ) from gone

    def _unreachable(self, gone: Exception) -> str:
        return f"{self.title} cannot be reached: {cause(gone)}. Nothing was sent."

    def _shown(self, content: bytes) -> str:
        """What is kept of an answer. Where its beginning has nothing to mask, the rest cannot reach what is kept.

        The beginning holds whole every secret that begins in what is kept; only blanks after a "Basic" may be longer.
        """
        start = content[: self._enough]
        text = start.decode("utf-8", "replace")
        if start.isascii() and not start[SHOWN + 10 : -10].isspace() and self.mask(text) == text:
            return text[:SHOWN]
        return self.mask(content[:16_000].decode("utf-8", "replace"))[:SHOWN]


def _content(response: requests.Response) -> tuple[bytes, ProviderError | None]:
    """The body as far as we read it, and what is wrong with it. A bad status stands even when its body is torn."""
    if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        return b"", Garbled("The answer is compressed, which we did not ask for.")
    content = bytearray()
    try:
        for part in response.raw.stream(64 * 1024, decode_content=False):
            content += part
            if len(content) > MAX_ANSWER:
                return bytes(content[:MAX_ANSWER]), Garbled("The answer is larger than 1 MB.")
    except (urllib3.exceptions.HTTPError, OSError) as torn:
        return bytes(content), Uncertain(f"The answer broke off ({cause(torn)}); the request may have been accepted.")
    return bytes(content), None


@lru_cache(maxsize=64)
def _is_this_machine(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"
