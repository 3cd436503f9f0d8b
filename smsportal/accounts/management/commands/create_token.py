"""`manage.py create_token USER --name N --scope S …`: makes a bearer token and prints it, once and never again."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from smsportal.accounts.models import ApiToken, User
from smsportal.api.rights import SCOPES

_LONGEST: Final = 365  # days


class Command(BaseCommand):
    help = "Make an API token of a user and print it. It is stored as a hash only, so it cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="User name of the person or program the token acts for.")
        parser.add_argument("--name", required=True, help="What the token is for.")
        parser.add_argument(
            "--scope", action="append", required=True, help=f"One of {', '.join(SCOPES)}; may be repeated."
        )
        parser.add_argument("--days", type=int, default=_LONGEST, help="How long it is valid, 1 to 365.")

    def handle(self, *args: Any, user: str, name: str, scope: list[str], days: int, **options: Any) -> None:
        owner = User.objects.filter(username=user, is_active=True).first()
        if owner is None:
            raise CommandError(f"There is no active user called {user}.")
        if unknown := sorted(set(scope) - set(SCOPES)):
            raise CommandError(f"There is no scope {', '.join(unknown)}. Scopes are {', '.join(SCOPES)}.")
        if not 1 <= days <= _LONGEST:
            raise CommandError(f"--days takes 1 to {_LONGEST}.")
        scopes = [each for each in SCOPES if each in scope]
        made = ApiToken.objects.create(  # type: ignore[no-untyped-call]
            owner, expiry=timedelta(days=days), name=name[:120], scopes=scopes
        )
        token: str = made[1]
        self.stdout.write(token)
