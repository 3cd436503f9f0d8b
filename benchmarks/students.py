"""Whom the measurements write to: made-up students written straight into the tables, and batches composed for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import uuid4

from django.core.management import call_command
from django.db import connection, models, transaction

from contacts.models import Contact, ContactList, PhoneNumber
from messaging import composing
from messaging.models import Batch
from messaging.statuses import BatchState
from smsportal import clock
from smsportal.accounts.models import ProviderAccount, Unit
from smsportal.sql import insert_each

# About 130 characters and four values for each, as in the figures the goals were drawn from.
TEXT = (
    "Hi {{First_Name}}, {{Course}} with {{Advisor}} has moved to {{Room}} from Monday on. "
    "Please be there ten minutes early. Reply STOP to opt out. Registrar"
)
SENDER = "+13125550190"

_FIRST = (
    "Ada",
    "Bo",
    "Chloé",
    "Dmitri",
    "Elena",
    "Fatima",
    "George",
    "Hana",
    "Ismael",
    "Jo",
    "Keiko",
    "Liam",
    "Mary Ann",
)
_LAST = ("Park", "Lee", "Ångström", "Nguyen", "O'Neill", "Garcia", "Smith-Jones", "Kim", "Okafor", "Weiß", "Brown")
_COURSE = ("MATH 101", "CHEM 210", "HIST 330", "PHYS 121", "ENGL 404")
_ADVISOR = ("Dr. Kim", "Prof. Ruiz", "Ms. Hall", "Mr. Abernathy")
_ROOM = ("Room 12", "Hall B", "Library 204", "Science Center 1010")
# Twenty area codes over all zones of the country; the exchange 555 belongs to nobody's phone.
_AREAS = (212, 213, 312, 415, 503, 512, 602, 617, 702, 713, 801, 808, 901, 907, 919, 972, 303, 305, 404, 414)
PER_AREA = 10_000
# Beyond these, the same area codes with the exchanges 556 and on: only the stub is ever written to.
PER_EXCHANGE = len(_AREAS) * PER_AREA


def migrate() -> None:
    """Make the tables."""
    call_command("migrate", verbosity=0)


def number(place: int) -> str:
    """A different number for every place, in E.164."""
    exchange, rest = divmod(place, PER_EXCHANGE)
    area, line = rest % len(_AREAS), rest // len(_AREAS)
    return f"+1{_AREAS[area]}{555 + exchange}{line:04}"


def make_account(stub: str) -> ProviderAccount:
    """An account whose provider is the stub at `stub`."""
    return ProviderAccount.objects.create(
        slug="stub",
        provider="ocelot",
        name="Stub",
        base_url=f"{stub}/api/v1",
        secrets={"chatbot_uuid": "964783cd-c648-4628-8262-55dac3831d8f", "api_key": "sandbox-key"},
        operator="advising@example.edu",
        is_sandbox=True,
    )


def make_list(account: ProviderAccount, people: int, name: str = "Students") -> ContactList:
    """A list of `people` contacts, the first of all students: two lists of one size hold the same people."""
    unit, _ = Unit.objects.get_or_create(name="Registrar")
    made = ContactList.objects.create(name=name, account=account, unit=unit)
    for place, field in enumerate(("Course", "Advisor", "Room")):
        made.own_fields.create(name=field, display_name=field, position=place)
    known = PhoneNumber.objects.count()
    with transaction.atomic():
        _insert(PhoneNumber, ("e164",), ((number(place),) for place in range(known, people)))
        ids = dict(PhoneNumber.objects.values_list("e164", "pk").iterator(10_000))
        columns = ("number", "email", "first_name", "last_name", "extra")
        _insert(Contact, columns, _people(people, ids), contact_list=made.pk)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # a database that has been in use for a while knows its sizes
    return made


def fields(place: int) -> dict[str, str]:
    """What is filled in for the student at `place`: names as they are, some with accents, one in a hundred with emoji."""
    first = "Zoë 🎓" if place % 100 == 99 else _FIRST[place % len(_FIRST)]
    return {
        "First_Name": first,
        "Last_Name": _LAST[place % len(_LAST)],
        "Course": _COURSE[place % len(_COURSE)],
        "Advisor": _ADVISOR[place % len(_ADVISOR)],
        "Room": _ROOM[place % len(_ROOM)],
    }


def _people(people: int, ids: dict[str, int]) -> Iterator[Sequence[Any]]:
    for place in range(people):
        own = fields(place)
        first, last = own.pop("First_Name"), own.pop("Last_Name")
        yield ids[number(place)], f"student{place}@example.edu", first, last, own


def _insert(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]], **same: Any) -> None:
    """Insert rows in portions; every column nobody names has its default, UUIDs are new and times are now."""
    usual = {
        field.name: clock.now() if field.name in {"created_at", "updated_at"} else field.get_default()
        for field in model._meta.concrete_fields
        if not field.primary_key and field.name not in {*columns, *same, "uuid"}
    }
    portion: list[Sequence[Any]] = []
    for row in rows:
        portion.append((uuid4(), *row))
        if len(portion) == 10_000:
            insert_each(model, ("uuid", *columns), portion, {**usual, **same})
            portion = []
    insert_each(model, ("uuid", *columns), portion, {**usual, **same})


def make_batch(contact_list: ContactList) -> Batch:
    """A started batch for a list: what comes next is composing it."""
    batch = Batch.objects.create(
        unit=contact_list.unit,
        account=contact_list.account,
        name="Moved",
        sender=SENDER,
        operator="advising@example.edu",
        text=TEXT,
        state=BatchState.EXPANDING,
        started_at=clock.now(),
    )
    batch.lists.add(contact_list)
    return batch


def compose(batch: Batch) -> Batch:
    """The batch with all of its messages written, running: what comes next is sending it."""
    held = composing.next_batch()
    assert held is not None
    assert held.pk == batch.pk
    composing.expand(held)
    batch.refresh_from_db()
    return batch
