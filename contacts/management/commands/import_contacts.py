"""`manage.py import_contacts LIST FILE`: check a CSV file against a list, and apply it when asked to."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from contacts import importing
from contacts.management.choosing import choose_list
from contacts.models import Import, ImportState
from contacts.tasks import work_imports
from smsportal.problems import Problem

SHOWN = ("new", "changed", "same", "refused", "duplicates")


class Command(BaseCommand):
    """Prints the import as the API gives it, as JSON. Exit code 1 when it is refused or nothing could be applied."""

    help = "Check a CSV file against a contact list; --apply puts the good rows into it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("list", help="name or id of the contact list")
        parser.add_argument("file", type=Path)
        parser.add_argument("--apply", choices=importing.ACCEPT, help="apply the good rows, or only if all are good")
        parser.add_argument("--mapping", default="{}", help='JSON, column to field, as in {"Mobile": "Phone_Number"}')

    def handle(self, *_: Any, **given: Any) -> None:
        try:
            content = given["file"].read_bytes()
            mapping = json.loads(given["mapping"])
            upload = importing.receive(
                choose_list(given["list"]), file_name=given["file"].name, content=content, mapping=mapping
            )
            _work_until_idle(upload)
            if given["apply"] and upload.state == ImportState.CHECKED:
                importing.start_applying(upload, accept=given["apply"], actor=None)
                _work_until_idle(upload)
        except (OSError, ValueError) as wrong:
            raise CommandError(str(wrong)) from wrong
        except Problem as refused:
            raise CommandError(refused.detail) from refused
        self.stdout.write(json.dumps(_shown(upload), indent=2))
        if upload.problem or upload.state == ImportState.FAILED:
            raise CommandError(upload.problem)


def _work_until_idle(upload: Import) -> None:
    """Check or apply here and now, or wait for the worker that is at it already."""
    while upload.state in (ImportState.CHECKING, ImportState.APPLYING):
        if not work_imports():
            time.sleep(0.2)
        upload.refresh_from_db()


def _shown(upload: Import) -> dict[str, Any]:
    counts = {name: getattr(upload, name) for name in SHOWN}
    first = upload.checked_rows.filter(state__in=["refused", "duplicate"])[:10]
    return {
        "id": str(upload.uuid),
        "state": upload.state,
        "file_name": upload.file_name,
        "mapping": upload.mapping,
        "rows": upload.rows,
        **counts,
        "errors_by_code": upload.errors_by_code,
        "first_errors": {str(row.number): [error["message"] for error in row.errors] for row in first},
    }
