"""Checks who is calling: path tokens, Basic authentication and HMAC signatures, in constant time, several secrets at once.

While a secret is rotated both the old and the new one are given, and either is accepted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from django.conf import settings
from django.utils.crypto import salted_hmac

MAC_LENGTH: Final = 22  # of base64url: 132 bits
_MACS: Final = "smsportal.webhook.mac"


def same_as_any(given: str, secrets: Iterable[str]) -> bool:
    """Whether `given` is one of `secrets`. Takes as long whichever it is, and a blank secret matches nothing."""
    found = False
    for secret in secrets:
        found |= bool(secret) & hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())
    return found


def token_hash(token: str) -> str:
    """The 64 hex digits under which a webhook token is stored and found; the token itself is kept nowhere.

    A plain hash, because a token is 256 random bits: no key can be lost or rotated under the providers' addresses.
    """
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def mac(text: str, *, key: str | None = None) -> str:
    """22 URL-safe characters that only we (or who has `key`) can compute for `text`, so that nobody can guess them."""
    digest = salted_hmac(_MACS, text, secret=key, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest).decode("ascii")[:MAC_LENGTH]


def mac_matches(text: str, given: str) -> bool:
    """Whether `given` is the mac of `text` under SECRET_KEY or one of SECRET_KEY_FALLBACKS."""
    return same_as_any(given, [mac(text, key=key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def basic(user: str, password: str) -> str:
    """The Authorization header of Basic authentication, in UTF-8 (requests itself would write Latin-1)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def basic_matches(header: str, pairs: Iterable[tuple[str, str]]) -> bool:
    """Whether an Authorization header names one of the (user, password) pairs."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    return same_as_any(given, [f"{user}:{password}" for user, password in pairs if user or password])


def signature_matches(message: bytes, given: str, secrets: Iterable[str]) -> bool:
    """Whether `given` is the HMAC-SHA256 of `message` under one of `secrets`, written in base64 or in hex."""
    found = False
    for secret in secrets:
        digest = hmac.new(secret.encode(), message, hashlib.sha256).digest()
        right = (base64.b64encode(digest).decode("ascii"), digest.hex())
        found |= bool(secret) & same_as_any(given, right)
    return found
