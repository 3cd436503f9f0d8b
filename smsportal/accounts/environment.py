"""Turns the environment's provider credentials into accounts; without any, an account at the provider's twin."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from smsportal import providers
from smsportal.accounts.models import ProviderAccount
from smsportal.problems import Wrong
from smsportal.providers.base import Provider

SANDBOX_KEY = "sandbox-key"  # what the twins take
SANDBOX_OPERATOR = "advising@example.edu"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of one provider's account. `change` is created, updated or unchanged; `note` says what was kept."""

    slug: str
    title: str
    change: str
    is_sandbox: bool
    base_url: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """What the environment says of one provider, blanks left out. `options` are all variables that are nothing else."""

    base_url: str
    secrets: Mapping[str, str]
    options: Mapping[str, str]
    operator: str


def sync_accounts() -> list[Synced]:
    """One account per registered provider, from settings.PROVIDER_ENVIRONMENT: <NAME>_BASE_URL, <NAME>_OPERATOR, one
    variable per secret the provider declares, and <NAME>_<OPTION> for anything else.

    What the environment leaves blank never overwrites what is stored, and a second run changes nothing. An account at
    a twin never becomes a real one, because batches may still be waiting in it: it is put aside under another slug.
    The credentials of all accounts are encrypted anew with the first of FIELD_KEYS, so that the others can be dropped.
    Raises Wrong, naming the variable, before anything is written when credentials are half set.
    """
    given = {name: _given(providers.get(name)) for name in providers.PROVIDERS}
    with transaction.atomic():
        done = [_sync(providers.get(name), wanted) for name, wanted in given.items()]
        for account in ProviderAccount.objects.select_for_update().only("pk"):
            with suppress(ImproperlyConfigured):  # what no key opens stays as it is
                _ = account.secrets  # read before: an error within `save` would undo the whole transaction
                account.save(update_fields=["secrets"])
    return done


def _given(provider: type[Provider]) -> Given | None:
    """What the environment says of `provider`; None when it says nothing of its credentials."""
    prefix = f"{provider.name.upper()}_"
    said = {
        name.removeprefix(prefix).lower(): value.strip()
        for name, value in settings.PROVIDER_ENVIRONMENT.items()
        if name.startswith(prefix) and value.strip()
    }
    base_url, operator = said.pop("base_url", ""), said.pop("operator", "")
    secrets = {secret.key: said.pop(secret.key) for secret in provider.secrets if secret.key in said}
    if not secrets and not base_url:
        return None if not (operator or said) else Given("", {}, said, operator)
    for secret in provider.secrets:
        if secret.key not in secrets:
            raise Wrong(
                f"{prefix}{secret.key.upper()} is not set, but other settings of {provider.title} are. "
                f"Set it, or leave {provider.title}'s settings all blank to use the sandbox."
            )
    base_url = (base_url or provider.address).rstrip("/")
    _check_address(f"{prefix}BASE_URL", base_url)
    return Given(base_url, secrets, said, operator)


def _check_address(variable: str, base_url: str) -> None:
    parts = urlsplit(base_url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or parts.hostname not in LOOPBACK:  # credentials must not cross a network readable
        raise Wrong(f"{variable} must be an address that begins with https://.")


def _sync(provider: type[Provider], given: Given | None) -> Synced:
    stored = ProviderAccount.objects.select_for_update().defer("secrets").filter(slug=provider.name).first()
    if stored:
        _mend_secrets(provider, stored, given)
    if given and given.secrets:
        return _sync_real(provider, given, stored)
    if stored and not stored.is_sandbox:
        return _store(provider, stored, _more(stored, given), note="The environment has no credentials; kept.")
    sandbox = {"base_url": f"{settings.SANDBOX_URL}/{provider.name}/api/v1", "is_sandbox": True}
    if stored:
        return _store(provider, stored, {**sandbox, **_more(stored, given)})
    made = ProviderAccount(slug=provider.name, provider=provider.name, name=f"{provider.title} (sandbox)")
    made.secrets = _sandbox_secrets(provider)
    return _store(provider, made, {"operator": SANDBOX_OPERATOR, **sandbox, **_more(made, given)})


def _mend_secrets(provider: type[Provider], stored: ProviderAccount, given: Given | None) -> None:
    """After a field key was lost: replace credentials no key opens, where it is known what they must be."""
    try:
        _ = stored.secrets
    except ImproperlyConfigured:
        if given and given.secrets:
            stored.secrets = {}  # all of them come from the environment
        elif stored.is_sandbox:
            stored.secrets = _sandbox_secrets(provider)
        else:
            raise
        stored.save(update_fields=["secrets"])


def _sync_real(provider: type[Provider], given: Given, stored: ProviderAccount | None) -> Synced:
    at_twin = given.base_url.startswith(f"{settings.SANDBOX_URL}/")
    note = ""
    if stored and stored.is_sandbox and not at_twin:
        note = f"The sandbox's account, with its lists and batches, is now {_put_aside(stored)} and switched off."
        stored = None
    account = stored or ProviderAccount(slug=provider.name, provider=provider.name, name=provider.title)
    changes = {**_more(account, given), "base_url": given.base_url, "is_sandbox": at_twin}
    secrets = {**account.secrets, **given.secrets}
    if secrets != account.secrets:
        # New keys deserve a new try: a circuit that 401s opened is closed.
        changes |= {"secrets": secrets, "circuit_open": False, "circuit_reason": "", "bad_answers": 0}
    return _store(provider, account, changes, note=note)


def _more(account: ProviderAccount, given: Given | None) -> dict[str, Any]:
    """The changes of everything but address and credentials: only what the environment does say."""
    changes: dict[str, Any] = {}
    if given and given.options:
        changes["options"] = {**account.options, **given.options}
    if given and given.operator:
        changes["operator"] = given.operator
    return changes


def _store(provider: type[Provider], account: ProviderAccount, changes: Mapping[str, Any], *, note: str = "") -> Synced:
    differing = {name: value for name, value in changes.items() if getattr(account, name) != value}
    change = "created" if account._state.adding else "updated" if differing else "unchanged"
    for name, value in differing.items():
        setattr(account, name, value)
    if change != "unchanged":
        account.save()
    return Synced(account.slug, provider.title, change, account.is_sandbox, account.base_url, note)


def _put_aside(sandbox: ProviderAccount) -> str:
    """Give the slug free. The rows that hang on the account keep hanging on it."""
    slug, number = f"{sandbox.slug}-sandbox", 1
    while ProviderAccount.objects.filter(slug=slug).exists():
        number += 1
        slug = f"{sandbox.slug}-sandbox-{number}"
    sandbox.slug, sandbox.is_active = slug, False
    sandbox.save(update_fields=["slug", "is_active", "updated_at"])
    return slug


def _sandbox_secrets(provider: type[Provider]) -> dict[str, str]:
    any_uuid = str(uuid.uuid5(uuid.NAMESPACE_URL, SANDBOX_KEY))
    return {each.key: any_uuid if each.key.endswith("uuid") else SANDBOX_KEY for each in provider.secrets}
