"""The demo told from beginning to end: people and lists, import, mirror, one batch, receipts, the table."""

from __future__ import annotations

import time
from dataclasses import dataclass
from io import StringIO

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import call_command

from contacts import consent, importing, keeping, sync
from contacts.models import (
    ConsentSource,
    ContactList,
    FieldType,
    Import,
    ImportState,
    PhoneNumber,
    SyncRun,
    SyncRunState,
)
from messaging import addresses, controls, senders, templating
from messaging.demo import students, table
from messaging.demo.stage import say, twin, wait
from messaging.models import Batch, CallState, WebhookCall
from messaging.roles import GROUPS
from messaging.statuses import BatchState, MessageState
from smsportal.accounts.models import ProviderAccount, Unit, User
from smsportal.processes import Broken, Crew
from smsportal.providers.base import RemoteField

SENDER = "+13125550190"  # one of the numbers Ocelot's twin may send from
TEXT = "Hi {{First_Name|there}}, {{Adviser}} can see you {{Appointment}}. Reply STOP to opt out."
FIELDS = (
    RemoteField(FieldType.TEXT, "Student_ID", "Student ID", unique=True),
    RemoteField(FieldType.TEXT, "Adviser", "Adviser"),
    RemoteField(FieldType.TEXT, "Appointment", "Appointment"),
)
MAPPING = {
    "Student ID": "Student_ID",
    "First name": "First_Name",
    "Last name": "Last_Name",
    "Cell phone": "Phone_Number",
    "E-mail": "Email_Address",
    "Adviser": "Adviser",
    "Appointment": "Appointment",
}
RECEIPTS_S = 60


@dataclass(frozen=True, slots=True)
class Staff:
    """The people of the demo, by group, with the password they share, and the token of a program."""

    by_group: dict[str, User]
    password: str
    token: str


def tell(crew: Crew, staff: Staff, unit: Unit) -> bool:
    """Play the whole story with the workers of `crew`, print the table, and say whether everything in it is right."""
    sample = students.sample()
    account = _account()
    _settle_webhooks(account)
    senders.refresh(account)  # so that staff have a number to write from
    freshmen, housing = (
        keeping.create_list(unit=unit, account=account, name=name, tags=("demo",), fields=FIELDS)
        for name in ("Fall freshmen", "Residence halls")
    )
    number = PhoneNumber.objects.get(pk=consent.numbers_for([sample.opted_out])[sample.opted_out])
    consent.opt_out(
        number, source=ConsentSource.STAFF, actor=staff.by_group["List manager"], reason="Asked at the desk"
    )

    manager = staff.by_group["List manager"]
    uploads = [
        _import(crew, manager, contact_list, file)
        for contact_list, file in ((freshmen, sample.freshmen), (freshmen, sample.transfers), (housing, sample.housing))
    ]
    for contact_list in (freshmen, housing):
        _mirror(crew, manager, contact_list)
    batch = _send(crew, staff, unit, account, [freshmen, housing])
    return _report(uploads, batch, sample)


def staff(unit: Unit, password: str) -> Staff:
    """One person for each group, named after it, and a token for a program that may do everything its user may."""
    people: dict[str, User] = {}
    for group in GROUPS:
        name = group.lower().replace(" ", "-")
        person = User.objects.create_user(name, f"{name}@example.edu", password, is_staff=True)
        person.units.add(unit)
        person.groups.add(_group(group))
        people[group] = person
    said = StringIO()
    call_command("create_token", people["Sender"].username, "--name", "demo", "--scope", "all", stdout=said)
    token = next(word for word in said.getvalue().split() if word.startswith("smsp_"))
    return Staff(people, password, token)


def _group(name: str) -> Group:
    return Group.objects.get(name=name)


def _account() -> ProviderAccount:
    """Ocelot's account, which must be the twin: the demo would otherwise text real people."""
    account = ProviderAccount.objects.get(slug="ocelot")
    if not account.is_sandbox or not account.base_url.startswith(settings.SANDBOX_URL):
        raise Broken("The account does not point at the twin. Nothing was sent.")
    return account


def _settle_webhooks(account: ProviderAccount) -> None:
    """Tell the twin where to report, as staff would enter the address in Ocelot's portal."""
    twin("webhooks", {"all": addresses.new_endpoint(account)})


def _import(crew: Crew, actor: User, contact_list: ContactList, file: students.File) -> Import:
    began = time.monotonic()
    upload = importing.receive(contact_list, file_name=file.name, content=file.content, mapping=MAPPING, actor=actor)
    wait(crew, f"checking {file.name}", lambda: _left(upload, ImportState.CHECKING))
    if upload.state == ImportState.FAILED:
        raise Broken(f"{file.name} cannot be read: {upload.problem}")
    importing.start_applying(upload, accept="good", actor=actor)
    wait(crew, f"applying {file.name}", lambda: _left(upload, ImportState.APPLYING))
    say(f"imported {file.name}: {upload.rows:,} rows", began)
    return upload


def _left(row: Import | SyncRun, state: str) -> bool:
    row.refresh_from_db()
    return row.state != state


def _mirror(crew: Crew, actor: User, contact_list: ContactList) -> None:
    began = time.monotonic()
    run = sync.plan(contact_list, actor=actor)
    sync.confirm(run, plan_hash=run.plan_hash, actor=actor)
    wait(crew, f"mirroring {contact_list}", lambda: _left(run, SyncRunState.RUNNING))
    if run.state != SyncRunState.FINISHED:
        raise Broken(f"The sync of {contact_list} ended {run.state}: {run.problem}")
    say(f"mirrored the list “{contact_list}” to Ocelot", began)


def _send(crew: Crew, staff: Staff, unit: Unit, account: ProviderAccount, lists: list[ContactList]) -> Batch:
    began = time.monotonic()
    author, approver = staff.by_group["Sender"], staff.by_group["Approver"]
    template = templating.create_template(actor=author, unit=unit, name="Advising appointment", text=TEXT)
    batch = controls.create(
        actor=author,
        unit=unit,
        account=account,
        sender=SENDER,
        operator=account.operator,
        name="Advising appointments",
        lists=lists,
        template=template,
    )
    batch = controls.submit(batch, actor=author)
    if batch.state == BatchState.PENDING_APPROVAL:
        batch = controls.approve(batch, actor=approver)
    # Two answers get lost on the way, so that the table shows what the portal makes of it; a third would pause the account.
    twin("faults", {"kind": "reset_after", "on": "send", "times": 2})
    batch = controls.start(batch, actor=author)
    wait(crew, "sending", lambda: _has_ended(batch), progress=lambda: _progress(batch))
    wait(crew, "waiting for receipts", _is_quiet, seconds=RECEIPTS_S, progress=lambda: _progress(batch))
    batch.refresh_from_db()
    say(f"sent the batch “{batch}”", began)
    return batch


def _has_ended(batch: Batch) -> bool:
    batch.refresh_from_db()
    return batch.state in (BatchState.FINISHED, BatchState.CANCELLED)


def _is_quiet() -> bool:
    """Whether the twin owes no call any more and every call is read."""
    return twin("state")["owed"] == 0 and not WebhookCall.objects.filter(state=CallState.NEW).exists()


def _progress(batch: Batch) -> str:
    counts = batch.counts()
    done = sum(
        counts[state] for state in MessageState.values if state not in ("held", "ready", "claimed", "submitting")
    )
    return f"{done:,} of {batch.recipients:,} handed over, {twin('state')['owed']:,} receipts to come"


def _report(uploads: list[Import], batch: Batch, sample: students.Sample) -> bool:
    rows = table.lines(uploads, batch)
    received = twin("log?limit=1000000")["sent"]
    complaints = table.complaints(batch, received, never=[sample.opted_out])
    print()
    for line in rows:
        print(line)
    print(f"\nOcelot's own log: {len(received):,} texts to {len({each['to'] for each in received}):,} numbers", end="")
    print(", nobody twice, nobody who had opted out.  ✓" if not complaints else ".  ✗")
    for complaint in complaints:
        print(f"  ✗ {complaint}")
    return all(line.sums for line in rows) and not complaints
