"""`manage.py demo`: a small university imports, mirrors and texts its students; prints a table; leaves the portal open."""

from __future__ import annotations

import argparse
import secrets
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from messaging.demo import stage, story
from smsportal.accounts.models import Unit
from smsportal.processes import Broken, Crew


class Command(BaseCommand):
    help = "Import, mirror and text 1,200 made-up students through the providers' twins, and print what became of them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="stop after the table; exit code 1 if a line is wrong")
        parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)  # started by itself, see enter()

    def handle(self, *args: Any, once: bool, inside: bool, **options: Any) -> None:
        try:
            if not inside:
                stage.enter(once)
            with Crew() as crew:
                self.play(crew, once)
        except Broken as broken:
            logs = f"\nLogs: {stage.folder(once)}" if inside else ""
            raise CommandError(f"{broken}{logs}") from broken
        except KeyboardInterrupt:
            self.stdout.write("\nStopped.")

    def play(self, crew: Crew, once: bool) -> None:
        stage.build(crew, once)
        unit = Unit.objects.create(name="Registrar")
        staff = story.staff(unit, secrets.token_hex(5))
        right = story.tell(crew, staff, unit)
        if once:
            if not right:
                raise CommandError("A line of the table is wrong.")
            return
        self.invite(staff)
        while True:
            crew.check()
            time.sleep(1)

    def invite(self, staff: story.Staff) -> None:
        names = ", ".join(person.username for person in staff.by_group.values())
        self.stdout.write(
            f"\nThe portal is open at {settings.PUBLIC_URL}/ until Ctrl-C. No real text is sent.\n"
            f"  people    {names}\n"
            f"  password  {staff.password}\n"
            f"  API       {settings.PUBLIC_URL}/api/docs/  Authorization: Bearer {staff.token}\n"
            f"  twins     {settings.SANDBOX_URL}/  (what they received; magic numbers; faults to switch on)"
        )
