"""What can go wrong at a provider, as few kinds as decisions: may it be tried again, and may it have been sent?"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Sent(StrEnum):
    """What we know of a request that failed."""

    NO = "no"  # it was not accepted: sending it again cannot double anything
    MAYBE = "maybe"  # it may have been accepted: only evidence or a person may decide


class ProviderError(Exception):
    """A call that did not give what was asked.

    `text` is a sentence for staff (the provider's own words where it gave any), `status` the HTTP status or None,
    `retry_after_s` how long the provider asked us to wait, `body` the first 2,000 characters of its answer.
    """

    sent: ClassVar[Sent] = Sent.NO

    def __init__(
        self, text: str, *, status: int | None = None, retry_after_s: float | None = None, body: str = ""
    ) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.retry_after_s = retry_after_s
        self.body = body


class Unreachable(ProviderError):
    """No connection was made (refused, DNS, TLS, connect timeout). Not sent; try again later."""


class Throttled(ProviderError):
    """429: asked to wait `retry_after_s`. Not sent."""


class Refused(ProviderError):
    """400 or 422: the request was read and refused. Not sent; the same request will be refused again."""


class TooLarge(ProviderError):
    """413: too much in one request. Not sent; send less at a time."""


class Missing(ProviderError):
    """404 on a read or a delete: the record is not there."""


class Misconfigured(ProviderError):
    """401, 403, a redirect, or 404 on a send: credentials or address are wrong. Not sent; a person must act."""


class Uncertain(ProviderError):
    """Timeout, reset, or an error answer after the request left. It may have been accepted."""

    sent = Sent.MAYBE


class Garbled(ProviderError):
    """An answer arrived that cannot be read. It may have been accepted."""

    sent = Sent.MAYBE


class Unable(ProviderError):
    """The provider has no such ability, or its address for it is not known. Nothing was sent."""


class Invalid(ProviderError):
    """Our own request breaks the provider's documented schema; it was stopped before it left. A mistake of ours."""
