"""One sweep by hand, or from cron where no worker runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from messaging import sweeping, tasks


class Command(BaseCommand):
    help = "Settle what was left behind: expired leases, finished batches, unmatched receipts, open circuits."

    def handle(self, *args: Any, **options: Any) -> None:
        tasks.beat("sweep")
        for name, count in asdict(sweeping.sweep()).items():
            self.stdout.write(f"{name:10} {count}")
