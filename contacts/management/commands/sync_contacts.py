"""`manage.py sync_contacts LIST`: say what a sync of a list would do, and do it with --apply."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from contacts import sync
from contacts.management.choosing import choose_list
from contacts.models import SyncRun, SyncRunState
from contacts.tasks import work_syncs
from smsportal.problems import Problem


class Command(BaseCommand):
    """Prints the run as the API gives it, as JSON. Exit code 1 when it is refused or fails."""

    help = "Compare a contact list with the provider (--plan, the default) or bring both into step (--apply)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("list", help="name or id of the contact list")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--plan", action="store_true", help="only say what would be done")
        what.add_argument("--apply", action="store_true", help="do it")
        parser.add_argument(
            "--confirm", action="store_true", help="also if the list there must be emptied and refilled"
        )

    def handle(self, *_: Any, **given: Any) -> None:
        try:
            run = sync.plan(choose_list(given["list"]))
            if given["apply"] and run.state == SyncRunState.PLANNED:
                sync.confirm(run, plan_hash=run.plan_hash, confirm=given["confirm"])
                while run.state == SyncRunState.RUNNING and work_syncs():
                    run.refresh_from_db()
        except Problem as refused:
            raise CommandError(refused.detail) from refused
        run.refresh_from_db()
        self.stdout.write(json.dumps(_shown(run), indent=2))
        if run.problem:
            raise CommandError(run.problem)


def _shown(run: SyncRun) -> dict[str, Any]:
    return {"id": str(run.uuid), "state": run.state, "plan": run.plan, "report": run.report}
