"""Reads stored webhook calls again with the code of today and prints what that changed."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from messaging import events
from messaging.models import CallState, WebhookCall


class Command(BaseCommand):
    help = "Read stored webhook calls again. Repeating it is safe: everything counts once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--call", metavar="ID", default="", help="one call, by its id")
        parser.add_argument("--account", default="", help="only calls of this account (slug)")
        parser.add_argument(
            "--state", choices=[*CallState.values, "all"], default=CallState.PARKED, help="default: parked"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        # Chosen before anything is read: reading changes the state they are chosen by.
        chosen = list(self._calls(options).values_list("pk", flat=True))
        calls = (WebhookCall.objects.defer("body").get(pk=pk) for pk in chosen)
        told = events.replay(calls, dry_run=options["dry_run"])
        would = "would change" if options["dry_run"] else "changed"
        self.stdout.write(f"{told.calls} calls read again, {told.busy} busy, {told.failed} failed.")
        for change, count in sorted(told.changes.items()):
            self.stdout.write(f"{would} {count:6,} × {change}")
        if not told.changes:
            self.stdout.write(f"Nothing {would}.")
        if told.failed:
            raise CommandError("Some calls could not be read; the log says why.")

    def _calls(self, options: dict[str, Any]) -> QuerySet[WebhookCall]:
        calls = WebhookCall.objects.order_by("id")
        if options["account"]:
            calls = calls.filter(account__slug=options["account"])
        if not options["call"]:
            return calls if options["state"] == "all" else calls.filter(state=options["state"])
        try:
            one = calls.filter(uuid=options["call"])
        except ValidationError:
            raise CommandError("--call takes the id of a call, a UUID.") from None
        if not one.exists():
            raise CommandError("There is no such call.")
        return one
