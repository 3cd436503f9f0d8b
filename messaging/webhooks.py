"""⑦ Takes what a provider sends: authenticate, store the bytes, commit, answer 200. Reading them comes after.

Whatever an authentic body holds, the answer is 200 with an empty body, because repeating it could not mend it.
Only when the bytes could not be stored is the answer 503, so that the provider sends them again.

Next: messaging/events/__init__.py
"""

from __future__ import annotations

import hashlib
import logging
import threading
from contextlib import nullcontext
from typing import Any, Final, Protocol

from django.conf import settings
from django.db import Error, IntegrityError, connection, transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

from messaging.addresses import Caller, attempt_url, new_endpoint, whose
from messaging.models import CallState, WebhookCall
from smsportal import clock, doorbell
from smsportal.text import clean

__all__ = ["attempt_url", "new_endpoint", "receive"]

log = logging.getLogger(__name__)

KEPT_OF_TOO_LARGE: Final = 64 * 1024
SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie"})
RETRY_AFTER_S: Final = 30
# Threads that wait for SQLite's write lock sleep and miss their turn; here they are woken in time.
_turn: Final = threading.Lock()


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Unusable(Exception):
    """A request that is refused with `status` before its body counts."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@csrf_exempt
@transaction.non_atomic_requests
def receive(request: HttpRequest, provider: str, token: str) -> HttpResponse:
    """The one view for every provider and every kind of webhook.

    HEAD and GET answer 200 for the set-up pages of providers. An unknown address is 404, whatever is wrong with it.
    413 above WEBHOOK_MAX_BYTES, 415 when compressed, 400 when the body breaks off, 503 when it cannot be stored.
    """
    # Django logs the path of a refused request, and this one is a secret.
    request.path = request.path_info = "/hooks/***/"
    if request.method not in ("HEAD", "GET", "POST"):
        return HttpResponseNotAllowed(["HEAD", "GET", "POST"])
    try:
        caller = whose(provider, token)
        if caller is None:
            return HttpResponse(status=404)
        if request.method == "POST":
            status = _take(request, caller, token)
            doorbell.ring("hooks")
            return HttpResponse(status=status)
    except _Unusable as refused:
        return HttpResponse(status=refused.status)
    except Error:
        log.exception("A webhook call of %s could not be stored; the provider is asked to send it again", provider)
        return HttpResponse(status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
    return HttpResponse()


def _take(request: HttpRequest, caller: Caller, token: str) -> int:
    """Store the call and return the status to answer."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise _Unusable(415)
    limit = settings.WEBHOOK_MAX_BYTES
    declared = _declared_length(request)
    headers = _headers(request, token)
    if declared is not None and declared > limit:
        _store_part(caller, _read(request, KEPT_OF_TOO_LARGE), headers, declared)
        return 413
    body = _read(_stream(request, declared), limit + 1)
    if declared is not None and len(body) < declared:
        raise _Unusable(400)
    if len(body) > limit:
        _store_part(caller, body[:KEPT_OF_TOO_LARGE], headers, None)
        return 413
    _store(caller, hashlib.sha256(body).hexdigest(), body=body, headers=headers)
    return 200


def _declared_length(request: HttpRequest) -> int | None:
    """Content-Length, or None when the body is sent in chunks. A request with neither has no body (RFC 9112, 6.3)."""
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        return None
    try:
        return max(0, int(request.headers.get("Content-Length") or 0))
    except ValueError:
        raise _Unusable(400) from None


def _stream(request: HttpRequest, declared: int | None) -> _Stream:
    """Where to read the body from: Django takes a body without a length for an empty one."""
    environ: dict[str, Any] | None = getattr(request, "environ", None)
    if declared is not None or environ is None:
        return request
    if not environ.get("wsgi.input_terminated"):
        raise _Unusable(411)  # this server cannot tell where a chunked body ends
    stream: _Stream = environ["wsgi.input"]
    return stream


def _read(stream: _Stream, limit: int) -> bytes:
    """At most `limit` bytes."""
    body = bytearray()
    try:
        while len(body) < limit and (part := stream.read(min(64 * 1024, limit - len(body)))):
            body += part
    except OSError:
        raise _Unusable(400) from None
    return bytes(body)


def _headers(request: HttpRequest, token: str) -> dict[str, str]:
    """The headers worth keeping as evidence: no credentials, and nothing a proxy put the secret address into."""
    return {
        clean(name, 100): clean(value, 1000)
        for name, value in list(request.headers.items())[:100]
        if name.lower() not in SECRET_HEADERS and token not in value
    }


def _store_part(caller: Caller, part: bytes, headers: dict[str, str], length: int | None) -> None:
    """Keep the beginning of a call that is too large, so that the loss is seen."""
    size = "more" if length is None else f"{length:,} bytes"
    problem = (
        f"Lost: the call had {size}, WEBHOOK_MAX_BYTES allows {settings.WEBHOOK_MAX_BYTES:,}. "
        f"Only its first {len(part):,} bytes are kept."
    )
    log.error("Webhook call of account %s. %s", caller.account_id, problem)
    # Not the hash of what is kept: the body is thereby known not to be whole, and equals no whole one.
    digest = hashlib.sha256(b"part:" + str(length).encode() + b":" + part).hexdigest()
    _store(caller, digest, body=part, headers=headers, state=CallState.PARKED, problem=problem)


def _store(caller: Caller, digest: str, **columns: Any) -> None:
    """One row per account and body; the same body again is only counted, whatever became of the first."""
    try:
        with _turn if connection.vendor == "sqlite" else nullcontext(), transaction.atomic():
            WebhookCall.objects.create(
                account_id=caller.account_id, attempt_id=caller.attempt_id, sha256=digest, **columns
            )
    except IntegrityError:
        repeated = WebhookCall.objects.filter(account_id=caller.account_id, sha256=digest)
        if not repeated.update(deliveries=F("deliveries") + 1, updated_at=clock.now()):
            raise
