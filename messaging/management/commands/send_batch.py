"""`manage.py send_batch LIST… --text … --sender …`: shows what a batch would do and, with --yes, submits and starts it."""

from __future__ import annotations

import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from contacts.management.choosing import choose_list
from messaging import composing, controls
from messaging.admin.words import waterfall
from messaging.management import choosing
from messaging.management.following import follow
from messaging.models import Batch
from messaging.serializers.previews import PreviewSerializer, parts_of
from messaging.statuses import BatchState
from smsportal import doorbell, phones
from smsportal.accounts.models import User
from smsportal.problems import Problem

ADD, VIEW, SEND = "messaging.add_batch", "messaging.view_batch", "messaging.send_batch"
EXAMPLES = """
  send_batch "Fall freshmen" --template Welcome --sender +13125550190
  send_batch "Fall freshmen" Transfers --segment "Fall freshmen: From Erie" --sender "(312) 555-0190" \\
      --text "Hi {{First_Name|there}}, … Reply STOP to opt out." --send-at 2026-09-01T09:05 --not-after 2026-09-01T20:00
  fortune | send_batch Staff --text - --sender Campus --yes --wait
"""


class Command(BaseCommand):
    help = (
        "Writes a draft for the contacts of lists and segments and previews it; with --yes it is submitted and started. "
        "Exit code 1 when something is wrong; with --wait also when it did not finish, or a text was refused or is unknown."
    )
    stealth_options = ("stdin",)
    say: Callable[[str], None]  # tells what is not the preview

    def create_parser(self, prog_name: str, subcommand: str, **more: Any) -> Any:
        shown = {"epilog": f"examples:{EXAMPLES}", "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **{**shown, **more})

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("lists", nargs="*", metavar="LIST", help="name or id of a contact list")
        parser.add_argument("--segment", action="append", default=[], help="name or id of a segment; may be repeated")
        words = parser.add_mutually_exclusive_group(required=True)
        words.add_argument(
            "--text", help="the text, with placeholders such as {{First_Name|there}}; - reads it from stdin"
        )
        words.add_argument("--template", help="name or id of a template; its newest version is pinned")
        parser.add_argument(
            "--sender", required=True, help="the number it comes from, however written, or its name or label"
        )
        parser.add_argument("--operator", default="", help="e-mail address of who gets the answers")
        parser.add_argument("--account", help="slug of the provider account (default: the first list's)")
        parser.add_argument("--name", help="what staff will see (default: the names of the lists)")
        parser.add_argument("--user", help="who sends it: a user name; only what that person may do is done")
        parser.add_argument("--send-at", help="when, in your unit's zone or with an offset (default: now)")
        parser.add_argument("--not-after", help="what has not left by then is not sent")
        parser.add_argument("--test-to", metavar="NUMBER", help="first send the text to this number, marked as a test")
        parser.add_argument("--yes", action="store_true", help="submit and start it after the preview")
        parser.add_argument("--wait", action="store_true", help="with --yes: follow it to its end and print a table")
        parser.add_argument(
            "--json",
            action="store_true",
            help="print the preview as JSON, as the API answers it; stdout has nothing else",
        )

    def handle(self, **given: Any) -> None:
        if given["wait"] and not given["yes"]:
            raise CommandError("--wait follows a batch that was started; add --yes.")
        self.say = self._beside if given["json"] else self.stdout.write
        try:
            batch = self._draft(given)
            self._show(batch, as_json=given["json"])
            if given["test_to"]:
                self._test(batch, given["test_to"])
            if given["yes"]:
                self._send(batch)
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        self.say(f"{batch.uuid} {batch.name}: {BatchState(batch.state).label}")
        if given["wait"]:
            self._wait(batch)

    def _beside(self, line: str) -> None:
        """Write to stderr, in the colours of what is no error."""
        self.stderr.write(line, style_func=str)

    def _draft(self, given: dict[str, Any]) -> Batch:
        actor = _actor(given)
        lists = list({each.pk: each for each in (choose_list(name, actor) for name in given["lists"])}.values())
        segments = [choosing.choose_segment(each, lists, actor) for each in given["segment"]]
        if not lists and not segments:
            raise CommandError("Name at least one list or --segment to write to.")
        first = lists[0] if lists else segments[0].contact_list
        unit = first.unit
        account = choosing.choose_account(given["account"]) if given["account"] else first.account
        text = choosing.read_text(given["text"], given.get("stdin"))
        return controls.create(
            actor=actor,
            unit=unit,
            account=account,
            sender=choosing.choose_sender(account, given["sender"]),
            operator=given["operator"],
            name=given["name"] or ", ".join(map(str, [*lists, *segments]))[:200],
            lists=lists,
            segments=segments,
            text=text,
            template=choosing.choose_template(given["template"], unit) if given["template"] else None,
            send_at=choosing.choose_moment("--send-at", given["send_at"], unit),
            expires_at=choosing.choose_moment("--not-after", given["not_after"], unit),
        )

    def _show(self, batch: Batch, *, as_json: bool) -> None:
        seen = composing.preview(batch)
        if as_json:
            shown = PreviewSerializer(parts_of(seen)).data
            self.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False))
            return
        fall: dict[str, int] = dict(seen.waterfall)  # type: ignore[arg-type]
        for key, said in waterfall(batch):
            if fall[key] or key in {"audience", "will_send"}:
                self.stdout.write(f"{said:<64}{fall[key]:>10,}")
        for reason, number in seen.invalid.items():
            if number:
                self.stdout.write(f"  of these {reason:<53}{number:>10,}")
        self.stdout.write(f"{'Segments in all':<64}{seen.segments['total']:>10,}")
        for sample in seen.samples:
            self.stdout.write(f"\n{sample.note}: {sample.name or 'no name'} {phones.display(sample.to)}")
            self.stdout.write(f"  {sample.text or '(no text)'}")
        for warning in seen.warnings:
            self.stdout.write(f"\nLook at this: {warning}")
        for what, at in (("Sent at", batch.send_at), ("Not after", batch.expires_at)):
            if at:
                self.stdout.write(f"\n{what} {at.isoformat(timespec='minutes')}")

    def _test(self, batch: Batch, number: str) -> None:
        message = controls.test_send(batch, actor=batch.author, to=number)
        doorbell.ring("sending")
        self.say(f"\nA test is on its way to {phones.display(message.number.e164)}.")

    def _send(self, batch: Batch) -> None:
        controls.submit(batch, actor=batch.author)
        if batch.state == BatchState.APPROVED:
            controls.start(batch, actor=batch.author)
            doorbell.ring("composing")

    def _wait(self, batch: Batch) -> None:
        try:
            well = follow(batch, self.say)
        except KeyboardInterrupt:
            raise CommandError(f"Not waited for any longer; “{batch}” goes on by itself.") from None
        if not well:
            raise CommandError("Not everything went well; the table says what did not.")


def _actor(given: dict[str, Any]) -> User | None:
    """Who sends it, with the rights every page on the way asks for; None: whoever has the console may do all."""
    if not given["user"]:
        return None
    sends = given["yes"] or given["test_to"]
    return choosing.choose_user(given["user"], ADD, VIEW, *([SEND] if sends else []))
