"""Prints the address to enter at a provider, so that it can tell us of receipts, replies and opt-outs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from messaging import addresses
from smsportal import providers
from smsportal.accounts.models import ProviderAccount
from smsportal.problems import Conflict


class Command(BaseCommand):
    help = "Print the webhook address to enter at PROVIDER. It is shown once; only its hash is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("provider", metavar="PROVIDER", help=f"one of: {', '.join(providers.PROVIDERS)}")
        parser.add_argument("--account", default="", help="slug, when the provider has several accounts")
        parser.add_argument("--rotate", action="store_true", help="make a second address; at most two stay alive")

    def handle(self, *args: Any, **options: Any) -> None:
        account = self._account(options["provider"], options["account"])
        try:
            url = addresses.new_endpoint(account, rotate=options["rotate"])
        except Conflict as refused:
            raise CommandError(f"{refused.detail} (--rotate)") from None
        self.stderr.write(f"Enter this at {account.name}. It is shown only now:")
        self.stdout.write(url)

    def _account(self, provider: str, slug: str) -> ProviderAccount:
        named = {"slug": slug} if slug else {}
        found = list(ProviderAccount.objects.filter(provider=provider, **named))
        if len(found) == 1:
            return found[0]
        if not found:
            raise CommandError("There is no such account; `manage.py sync_accounts` makes them from the settings.")
        slugs = ", ".join(account.slug for account in found)
        raise CommandError(f"This provider has several accounts; choose one with --account: {slugs}.")
