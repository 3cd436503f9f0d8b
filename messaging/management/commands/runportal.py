"""`manage.py runportal`: the whole portal on one machine, web and worker (and twins) under one parent that stops all."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from django.urls import reverse

from messaging import addresses
from smsportal import processes
from smsportal.accounts.models import ProviderAccount, User
from smsportal.processes import Broken, Crew

BEHIND_A_PROXY: Final = "127.0.0.1:8000"


class Command(BaseCommand):
    help = "Migrate, take the accounts from the environment, then serve the portal and do its work until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--bind",
            help="address and port of the web server; without it those of PUBLIC_URL where that names this machine, "
            f"else {BEHIND_A_PROXY}",
        )

    def handle(self, *args: Any, bind: str | None, **options: Any) -> None:
        bind = bind or listens_at(settings.PUBLIC_URL)
        port = int(bind.rpartition(":")[2])
        if processes.is_taken(port):
            raise CommandError(f"Port {port} is taken: stop what runs there, or choose another with --bind.")
        call_command("migrate", verbosity=0)
        call_command("sync_accounts")
        try:
            with Crew() as crew:
                self.start(crew, bind, port)
                self.keep_up(crew)
        except Broken as broken:
            raise CommandError(str(broken)) from broken
        except KeyboardInterrupt:
            self.stdout.write("\nStopped.")

    def start(self, crew: Crew, bind: str, port: int) -> None:
        if _sandboxes().exists():
            self.start_twins(crew)
        crew.start("portal", processes.web(bind))
        crew.start("worker", processes.manage("runworker"))
        crew.wait_until(lambda: processes.is_taken(port), f"The portal at {bind}")
        self.stdout.write(f"The portal is open at {settings.PUBLIC_URL}{reverse('admin:index')} until Ctrl-C.")
        if bind != listens_at(settings.PUBLIC_URL):
            self.stdout.write(f"It listens at {bind}: what comes to that address must be passed on to it.")
        if not User.objects.filter(is_superuser=True, is_active=True).exists():
            self.stdout.write("Nobody can sign in yet: .venv/bin/python manage.py createsuperuser")

    def start_twins(self, crew: Crew) -> None:
        port = urlsplit(settings.SANDBOX_URL).port or 80
        if processes.is_taken(port):
            raise Broken(f"Port {port}, where the twins would be, is taken: stop what runs there, or set SANDBOX_URL.")
        crew.start("twins", processes.twins(port, settings.PUBLIC_URL))
        tell_twins(crew)
        self.stdout.write(f"No real text is sent: the twins are at {settings.SANDBOX_URL}/.")

    def keep_up(self, crew: Crew) -> None:
        """Start again what ends by itself."""
        while True:
            for child in crew.ended():
                self.stderr.write(f"{child.name}: ended with code {child.running.returncode}, started again.")
                crew.restart(child)
                if child.name == "twins":
                    tell_twins(crew)
            time.sleep(1)


def listens_at(public_url: str) -> str:
    """Where the web server listens: at PUBLIC_URL itself where nothing can stand before it, else where a proxy finds it."""
    asked = urlsplit(public_url)
    is_here = asked.scheme == "http" and asked.hostname in {"127.0.0.1", "localhost"}
    return f"127.0.0.1:{asked.port}" if is_here and asked.port else BEHIND_A_PROXY


def _sandboxes() -> QuerySet[ProviderAccount]:
    return ProviderAccount.objects.filter(is_sandbox=True, is_active=True)


def tell_twins(crew: Crew) -> None:
    """Tell the twins where to report; they forget it when they stop."""
    crew.wait_for(f"{settings.SANDBOX_URL}/_sandbox/state")
    for account in _sandboxes():
        told = urllib.request.Request(  # noqa: S310 - our own twin
            f"{settings.SANDBOX_URL}/_sandbox/webhooks",
            data=json.dumps({"all": addresses.new_endpoint(account, rotate=True)}).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(told, timeout=10).close()  # noqa: S310
