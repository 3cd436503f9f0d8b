"""`manage.py runportal`: the whole portal on one machine, web and worker (and twins) under one parent that stops all."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from messaging import addresses
from smsportal import processes
from smsportal.accounts.models import ProviderAccount, User
from smsportal.processes import Broken, Child, Crew

CALM_S = 60  # a child that ran this long may be started again at once
LONGEST_PAUSE_S = 30.0


class Command(BaseCommand):
    help = "Migrate, take the accounts from the environment, then serve the portal and do its work until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1:8000", help="address and port of the web server")

    def handle(self, *args: Any, bind: str, **options: Any) -> None:
        port = int(bind.rpartition(":")[2])
        if processes.is_taken(port):
            raise CommandError(f"Port {port} is taken: stop what runs there, or choose another with --bind.")
        call_command("migrate", verbosity=0)
        call_command("sync_accounts")
        try:
            with Crew() as crew:
                self.start(crew, bind)
                self.keep_up(crew)
        except Broken as broken:
            raise CommandError(str(broken)) from broken
        except KeyboardInterrupt:
            self.stdout.write("\nStopped.")

    def start(self, crew: Crew, bind: str) -> None:
        sandboxes = list(ProviderAccount.objects.filter(is_sandbox=True, is_active=True))
        if sandboxes:
            self.start_twins(crew, sandboxes)
        crew.start("portal", processes.web(bind))
        crew.start("worker", processes.manage("runworker"))
        crew.wait_for(f"http://{bind.replace('0.0.0.0', '127.0.0.1')}/health/live")
        self.stdout.write(f"The portal is open at {settings.PUBLIC_URL}{reverse('admin:index')} until Ctrl-C.")
        if not User.objects.filter(is_superuser=True, is_active=True).exists():
            self.stdout.write("Nobody can sign in yet: .venv/bin/python manage.py createsuperuser")

    def start_twins(self, crew: Crew, accounts: list[ProviderAccount]) -> None:
        """Serve the twins, and tell them where to report; they forget it when they stop."""
        port = urlsplit(settings.SANDBOX_URL).port or 8100
        if processes.is_taken(port):
            raise Broken(f"Port {port}, where the twins would be, is taken: stop what runs there, or set SANDBOX_URL.")
        crew.start("twins", processes.twins(port))
        crew.wait_for(f"{settings.SANDBOX_URL}/_sandbox/state")
        for account in accounts:
            tell = urllib.request.Request(  # noqa: S310 - our own twin
                f"{settings.SANDBOX_URL}/_sandbox/webhooks",
                data=json.dumps({"all": addresses.new_endpoint(account, rotate=True)}).encode(),
                headers={"Content-Type": "application/json"},
            )
            urllib.request.urlopen(tell, timeout=10).close()  # noqa: S310
        self.stdout.write(f"No real text is sent: the twins are at {settings.SANDBOX_URL}/.")

    def keep_up(self, crew: Crew) -> None:
        """Start again what ends by itself, after a pause that grows while it keeps ending."""
        pause_s: dict[str, float] = {}
        since: dict[str, float] = {}
        while True:
            for child in crew.ended():
                self.revive(crew, child, pause_s, since)
            time.sleep(1)

    def revive(self, crew: Crew, child: Child, pause_s: dict[str, float], since: dict[str, float]) -> None:
        calm = time.monotonic() - since.get(child.name, 0) > CALM_S
        pause_s[child.name] = 1.0 if calm else min(LONGEST_PAUSE_S, pause_s[child.name] * 2)
        code, wait_s = child.running.returncode, pause_s[child.name]
        self.stderr.write(f"The {child.name} ended with code {code}; it starts again in {wait_s:.0f} s.")
        time.sleep(wait_s)
        crew.restart(child)
        since[child.name] = time.monotonic()
