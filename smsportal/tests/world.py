"""Plain makers for tests: one call makes one thing that works, with everything it needs; and the twins to talk to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.test import Client

from contacts.models import Contact, ContactList, PhoneNumber
from messaging.models import forget_holidays
from messaging.roles import write_groups
from smsportal import clock
from smsportal.accounts.models import ProviderAccount, Unit, User
from smsportal.providers import http
from smsportal.sandbox.app import Twins


@pytest.fixture(autouse=True)
def no_days_of_another_test() -> None:
    """Holidays are kept in the process for a minute."""
    forget_holidays()


def make_unit(name: str = "Registrar") -> Unit:
    return Unit.objects.get_or_create(name=name)[0]


@cache
def _password() -> str:
    """The hash of "a long password", made once: hashing is slow by design."""
    return make_password("a long password")


def make_user(
    username: str = "sam", *, units: list[Unit] | None = None, groups: tuple[str, ...] = (), **more: Any
) -> User:
    known = Group.objects.filter(name__in=groups)
    if len(known) < len(groups):  # a test that commits leaves the database without them
        write_groups(apps, "default")
    given = {"is_staff": True, "email": f"{username}@example.edu", "password": _password(), **more}
    user = User.objects.create(username=username, **given)
    user.units.set(units if units is not None else [make_unit()])
    user.groups.set(known.all())
    return user


def make_account(slug: str = "ocelot", **more: Any) -> ProviderAccount:
    given: dict[str, Any] = {
        "provider": "ocelot",
        "name": slug.title(),
        "base_url": "http://twins.test/ocelot/api/v1",
        "secrets": {"chatbot_uuid": "964783cd-c648-4628-8262-55dac3831d8f", "api_key": "sandbox-key"},
        "operator": "advising@example.edu",
        "is_sandbox": True,
        **more,
    }
    return ProviderAccount.objects.get_or_create(slug=slug, defaults=given)[0]


def make_list(name: str = "Fall freshmen", **more: Any) -> ContactList:
    account = more.pop("account", None) or make_account()
    unit = more.pop("unit", None) or make_unit()
    return ContactList.objects.create(name=name, account=account, unit=unit, **more)


def make_number(e164: str = "+13125550100", **more: Any) -> PhoneNumber:
    return PhoneNumber.objects.get_or_create(e164=e164, defaults=more)[0]


def make_contact(
    contact_list: ContactList, e164: str = "+13125550100", first: str = "Ada", last: str = "Park", **more: Any
) -> Contact:
    return Contact.objects.create(
        contact_list=contact_list, number=make_number(e164), first_name=first, last_name=last, **more
    )


def post_to_portal(url: str, headers: dict[str, str], body: bytes) -> int:
    """How the twins call the portal in tests: through Django's test client, so without a socket."""
    if not url.startswith(settings.PUBLIC_URL):
        raise ConnectionError(f"{url} is not an address of the portal")
    path = url.removeprefix(settings.PUBLIC_URL)
    return Client(raise_request_exception=False).post(path, body, content_type=headers["Content-Type"]).status_code


@pytest.fixture
def twin() -> Iterator[Twins]:
    """The twins at http://twins.test, where `make_account` points. `twin.settle()` makes the calls they owe."""
    from smsportal.tests.inprocess import TwinAdapter

    twins = Twins(post_to_portal, clock.now)
    with http.mounted("http://twins.test", TwinAdapter(twins)):
        yield twins


def make_batch(numbers: list[str], text: str = "Dear {{First_Name}}, class is moved. Registrar", **more: Any) -> Any:
    """A batch to `numbers` that was composed and is running: all that is left is to send its chunks."""
    from messaging import composing, controls
    from messaging.models import Batch

    contact_list = make_list(more.pop("list_name", "Fall freshmen"))
    for place, number in enumerate(numbers):
        make_contact(contact_list, number, first=f"Student {place}")
    batch = controls.create(
        actor=None,
        unit=contact_list.unit,
        account=contact_list.account,
        sender="+13125550190",
        operator="advising@example.edu",
        name="Class moved",
        lists=[contact_list],
        text=text,
        **more,
    )
    controls.start(controls.submit(batch, actor=None), actor=None)
    held = composing.next_batch()
    assert held is not None
    composing.expand(held)
    return Batch.objects.get(pk=batch.pk)


def fiction(count: int, start: int = 0) -> list[str]:
    """`count` different numbers reserved for fiction, none of them with a fate of its own in the sandbox."""
    areas = (212, 213, 312, 415, 503, 512, 602, 617, 702, 713, 801, 808, 901, 907, 919, 972, 303, 305, 404, 414)
    return [f"+1{areas[place // 50]}55501{place % 50:02}" for place in range(start, start + count)]
