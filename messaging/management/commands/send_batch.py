"""`manage.py send_batch LIST --text … --sender …`: shows what a batch would do and, with --yes, submits and starts it."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model
from django.utils.dateparse import parse_datetime

from contacts.management.choosing import choose_list
from messaging import composing, controls
from messaging.models import Batch
from messaging.statuses import BatchState
from smsportal import doorbell
from smsportal.accounts.models import ProviderAccount, User
from smsportal.problems import Problem

M = TypeVar("M", bound=Model)


class Command(BaseCommand):
    help = "Writes a draft for the contacts of a list and previews it; with --yes it is submitted and started."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("list", help="name or id of the contact list")
        parser.add_argument("--text", required=True, help="the text, with placeholders such as {{First_Name}}")
        parser.add_argument("--sender", required=True, help="the number or name it comes from")
        parser.add_argument("--operator", default="", help="e-mail address of who gets the answers")
        parser.add_argument("--account", help="slug of the provider account (default: the list's)")
        parser.add_argument("--name", help="what staff will see (default: the list's name)")
        parser.add_argument("--user", help="who sends it: a user name")
        parser.add_argument("--send-at", help="when, such as 2026-09-01T09:00:00-04:00 (default: now)")
        parser.add_argument("--yes", action="store_true", help="submit and start it after the preview")

    def handle(self, **given: Any) -> None:
        try:
            batch = self._draft(given)
            self._show(asdict(composing.preview(batch)))
            if given["yes"]:
                self._send(batch)
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        self.stdout.write(f"{batch.uuid} {batch.name}: {BatchState(batch.state).label}")

    def _draft(self, given: dict[str, Any]) -> Batch:
        contact_list = choose_list(given["list"])
        account = contact_list.account
        if given["account"]:
            account = _one(ProviderAccount, "account", slug=given["account"])
        send_at = parse_datetime(given["send_at"]) if given["send_at"] else None
        if given["send_at"] and send_at is None:
            raise CommandError("--send-at is not a time; write it like 2026-09-01T09:00:00-04:00.")
        return controls.create(
            actor=_one(User, "user", username=given["user"]) if given["user"] else None,
            unit=contact_list.unit,
            account=account,
            sender=given["sender"],
            operator=given["operator"],
            name=given["name"] or contact_list.name,
            lists=[contact_list],
            text=given["text"],
            send_at=send_at,
        )

    def _send(self, batch: Batch) -> None:
        controls.submit(batch, actor=batch.author)
        if batch.state == BatchState.APPROVED:
            controls.start(batch, actor=batch.author)
            doorbell.ring("composing")

    def _show(self, found: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(found, indent=2, ensure_ascii=False))


def _one(model: type[M], what: str, **where: str) -> M:
    found = model._default_manager.filter(**where).first()
    if found is None:
        raise CommandError(f"There is no {what} “{', '.join(where.values())}”.")
    return found
