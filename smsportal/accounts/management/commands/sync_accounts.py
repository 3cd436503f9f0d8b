"""`manage.py sync_accounts`: makes the provider accounts the environment describes, and says what it did."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from smsportal.accounts.environment import sync_accounts
from smsportal.problems import Problem


class Command(BaseCommand):
    help = "Turn the providers' settings into accounts; a provider without credentials gets one at its sandbox."

    def handle(self, *args: Any, verbosity: int, **options: Any) -> None:
        try:
            done = sync_accounts()
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        for each in done if verbosity else ():
            where = "sandbox, no real text is sent" if each.is_sandbox else "REAL texts"
            self.stdout.write(f"{each.slug}: {each.change} ({where}) at {each.base_url}")
            if each.note:
                self.stdout.write(f"  {each.note}")
