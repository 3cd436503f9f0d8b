"""What an HTTP status other than 2xx means, for a send and for any other call; one table for all providers."""

from __future__ import annotations

import math
import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import urllib3.exceptions

from smsportal import clock
from smsportal.providers.errors import (
    Misconfigured,
    Missing,
    ProviderError,
    Refused,
    Throttled,
    TooLarge,
    Uncertain,
)

MAX_WAIT_S: Final = 15 * 60.0  # the longest Retry-After we believe

# What a status means for every call; then where a send and another call differ.
_ALWAYS: Final[dict[int, type[ProviderError]]] = {
    400: Refused,
    401: Misconfigured,
    403: Misconfigured,
    405: Misconfigured,
    408: Uncertain,
    413: TooLarge,
    422: Refused,
    425: Throttled,
    429: Throttled,
}
_SENDING: Final[dict[int, type[ProviderError]]] = {404: Misconfigured, 409: Uncertain, 410: Misconfigured}
_ASKING: Final[dict[int, type[ProviderError]]] = {404: Missing, 409: Refused, 410: Missing}
_SENTENCES: Final[dict[type[ProviderError], str]] = {
    Refused: "{title} refused the request",
    TooLarge: "The request was too large for {title}",
    Throttled: "{title} asks us to wait",
    Missing: "{title} does not have this record",
    Misconfigured: "{title} does not offer this at the account's address; check the address",
    Uncertain: "{title} failed while working on the request; it may have been accepted",
}


_CREDENTIALS: Final = "{title} does not accept the account's keys; enter them again"
_REDIRECT: Final = "{title} has moved to another address; correct the account's address"
# Why no answer came, in words for staff; the first kind found in the chain of exceptions counts.
_CAUSES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (urllib3.exceptions.NameResolutionError, "the name of its server is not known"),
    (urllib3.exceptions.SSLError, "the secure connection failed"),
    (ssl.SSLError, "the secure connection failed"),
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionError, "the connection was cut"),
    (urllib3.exceptions.IncompleteRead, "the connection was cut"),
    (TimeoutError, "no answer in time"),
    (urllib3.exceptions.TimeoutError, "no answer in time"),
)


def cause(gone: Exception) -> str:
    """Why a call got no answer, in a few words for staff."""
    chain: list[BaseException] = []
    waiting: list[object] = [gone]
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseException) and each not in chain:
            chain.append(each)
            waiting += [each.__cause__, getattr(each, "reason", None), *each.args]
    for kind, words in _CAUSES:
        if any(isinstance(each, kind) for each in chain):
            return words
    return type(gone).__name__


def verdict(
    status: int, headers: Mapping[str, str], *, title: str, said: str, shown: str, sending: bool
) -> ProviderError:
    """The error to raise for an answer with `status`; `said` is its message as text, `shown` its body for the records."""
    kind = _kind(status, sending=sending)
    sentence = _SENTENCES[kind]
    if status in (401, 403):
        sentence = _CREDENTIALS
    elif 300 <= status < 400:
        sentence = _REDIRECT
    text = f"{sentence.format(title=title)} (HTTP {status}{f': {said}' if said else ''})."
    return kind(text, status=status, retry_after_s=retry_after(headers), body=shown)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header, written as a number or as a date; at most 15 minutes."""
    given = headers.get("Retry-After", "").strip()
    try:
        seconds = float(given)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(given).timestamp() - clock.now().timestamp()
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), MAX_WAIT_S)


def _kind(status: int, *, sending: bool) -> type[ProviderError]:
    """One that no table lists is ours to look at, not "probably fine"."""
    if status >= 500 or status < 200:
        return Uncertain
    listed = {**_ALWAYS, **(_SENDING if sending else _ASKING)}
    return listed.get(status, Misconfigured if sending or status < 400 else Refused)
