"""The registry of providers, and the only door to them: `open_account(account)` gives the provider to call."""

from __future__ import annotations

from django.utils.module_loading import import_string

from smsportal.providers.base import Account, Provider

# Adding a provider is its module and one line here.
PROVIDERS: dict[str, str] = {
    "ocelot": "smsportal.providers.ocelot.Ocelot",
}


def get(name: str) -> type[Provider]:
    """The provider called `name`; KeyError when there is none."""
    provider: type[Provider] = import_string(PROVIDERS[name])
    return provider


def open_account(account: Account) -> Provider:
    """The provider of `account`, ready to call. Opens no connection."""
    return get(account.provider)(account)


def choices() -> list[tuple[str, str]]:
    """Names and titles for forms, without importing any provider. A callable, so a new provider needs no migration."""
    return [(name, dotted.rpartition(".")[2]) for name, dotted in PROVIDERS.items()]
