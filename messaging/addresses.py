"""The secret addresses given to providers: up to two per account, and one per attempt that dies after a month.

A provider without signatures is known only by the address it calls (Ocelot describes none, Texting API "Webhook"),
so an address is a secret: the portal keeps hashes, never the tokens.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction

from messaging.models import Attempt, WebhookEndpoint
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.problems import Conflict
from smsportal.providers import signing

ATTEMPT_LIVES: Final = timedelta(days=30)
LONGEST_TOKEN: Final = 200
LIVE_TOKENS: Final = 2  # the one in use, and the one it is being replaced by


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose address was called; `attempt_id` when it was the address of one attempt."""

    account_id: int
    attempt_id: int | None = None


def new_endpoint(account: ProviderAccount, *, rotate: bool = False) -> str:
    """A new address for all webhooks of `account`; the only time it can be seen.

    With `rotate` it joins the one in use, so that the provider can be moved over without losing a call; the oldest
    of more than two stops working. Without, Conflict when there is one already.
    """
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        ProviderAccount.objects.select_for_update().only("pk").get(pk=account.pk)
        live = WebhookEndpoint.objects.filter(account=account, retired_at=None)
        if live.exists() and not rotate:
            raise Conflict(
                "This account has an address already. It is kept only as a hash and cannot be shown again; "
                "rotate to make a second one, and enter that at the provider."
            )
        WebhookEndpoint.objects.create(account=account, token_hash=signing.token_hash(token), hint=token[:6])
        kept = live.order_by("-pk").values_list("pk", flat=True)[:LIVE_TOKENS]
        live.exclude(pk__in=list(kept)).update(retired_at=clock.now())
    return _url(account.provider, token)


def attempt_url(provider: str, attempt_uuid: uuid.UUID) -> str:
    """The address at which `provider` reports on one attempt, and on nothing else, for thirty days. Asks no database."""
    return _url(provider, f"a.{attempt_uuid.hex}.{signing.mac(_named(attempt_uuid.hex))}")


def whose(provider: str, token: str) -> Caller | None:
    """Whose address `token` is, or None. A wrong token costs one hash and one query, like a right one."""
    if len(token) > LONGEST_TOKEN:
        return None
    if token.startswith("a."):
        return _of_attempt(provider, token)
    account_id = (
        WebhookEndpoint.objects.filter(
            token_hash=signing.token_hash(token), retired_at=None, account__provider=provider
        )
        .values_list("account_id", flat=True)
        .first()
    )
    return None if account_id is None else Caller(account_id)


def _of_attempt(provider: str, token: str) -> Caller | None:
    name, _, mac = token[2:].partition(".")
    genuine = signing.mac_matches(_named(name), mac)
    try:
        attempt_uuid = uuid.UUID(hex=name)
    except ValueError:
        attempt_uuid = uuid.UUID(int=0)
    found = (
        Attempt.objects.filter(
            uuid=attempt_uuid, created_at__gt=clock.now() - ATTEMPT_LIVES, chunk__batch__account__provider=provider
        )
        .values_list("chunk__batch__account_id", "pk")
        .first()
    )
    return Caller(*found) if genuine and found else None


def _named(name: str) -> str:
    """What is signed: an attempt's name and nothing else that is ever signed."""
    return f"attempt {name}"


def _url(provider: str, token: str) -> str:
    return f"{settings.PUBLIC_URL}/hooks/{provider}/{token}/"
