"""Plain makers for tests: one call makes one thing that works, with everything it needs; and the twins to talk to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from contacts.models import Contact, ContactList, PhoneNumber
from smsportal import clock
from smsportal.accounts.models import ProviderAccount, Unit, User
from smsportal.providers import http
from smsportal.sandbox.app import Twins


def make_unit(name: str = "Registrar") -> Unit:
    return Unit.objects.get_or_create(name=name)[0]


def make_user(
    username: str = "sam", *, units: list[Unit] | None = None, groups: tuple[str, ...] = (), **more: Any
) -> User:
    from django.contrib.auth.models import Group

    user = User.objects.create_user(
        username, f"{username}@example.edu", "a long password", **{"is_staff": True, **more}
    )
    user.units.set(units if units is not None else [make_unit()])
    user.groups.set(Group.objects.filter(name__in=groups))
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
