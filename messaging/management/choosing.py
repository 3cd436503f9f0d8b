"""How commands are told which segments, template, account, person and moment are meant."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TextIO, TypeVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db.models import Model, Q, QuerySet
from django.utils.dateparse import parse_datetime

from contacts.models import ContactList, Segment
from messaging.forms.times import moment
from messaging.models import Template
from smsportal.accounts.models import ProviderAccount, Unit, User
from smsportal.problems import Wrong

M = TypeVar("M", bound=Model)


def choose_segment(named: str, lists: Sequence[ContactList], actor: User | None) -> Segment:
    """The segment with this id or name, or “list: name”, of those `actor` may see; of all for None.

    Raises Wrong when there is none, or several have the name.
    """
    seen = Segment.objects.visible_to(actor) if actor else Segment.objects.all()
    segments = seen.select_related("contact_list", "unit")
    owner, colon, name = named.partition(": ")
    match = Q(name=named) | (Q(contact_list__name=owner, name=name) if colon else Q(pk=None))
    found: list[Segment]
    if lists:  # the same name in several lists: of those that are written to
        found = _by_id(segments, named) or list(segments.filter(match, contact_list__in=lists)[:2])
    else:
        found = _by_id(segments, named)
    found = found or list(segments.filter(match)[:2])
    if len(found) == 1:
        return found[0]
    known = ", ".join(str(each) for each in segments.order_by("contact_list__name", "name")[:20]) or "none yet"
    which = "Several segments are" if found else "No segment is"
    raise Wrong(f"{which} called “{named}”; give the id or one of these: {known}.")


def choose_template(named: str, unit: Unit) -> Template:
    """The template of `unit` with this id or name. Raises Wrong when there is none."""
    templates = Template.objects.filter(unit=unit)
    found: list[Template] = _by_id(templates, named) or list(templates.filter(name=named))
    if found:
        return found[0]
    known = ", ".join(templates.values_list("name", flat=True)[:20]) or "none yet"
    raise Wrong(f"{unit} has no template “{named}”; give the id or one of these names: {known}.")


def choose_account(slug: str) -> ProviderAccount:
    found: ProviderAccount = _one(ProviderAccount.objects.filter(slug=slug), "account", slug)
    return found


def choose_sender(account: ProviderAccount, named: str) -> str:
    """The address of the sender of `account` that staff see under this label; else `named`, which is one itself.

    Raises Wrong when several have the label.
    """
    told = named.strip().casefold()
    senders = list(account.senders.order_by("address"))
    found = [each for each in senders if told in {each.label.casefold(), str(each).casefold()} and told]
    if len(found) > 1:
        these = ", ".join(map(str, found))
        raise Wrong(f"Several senders of {account} are called “{named}”; give the number of one of these: {these}.")
    return found[0].address if found else named


def choose_user(username: str, *permissions: str) -> User:
    """The person of this name. Raises CommandError when there is none, or their account lacks one of `permissions`."""
    found: User = _one(User.objects.filter(username=username), "user", username)
    if lacks := [each for each in permissions if not found.has_perm(each)]:
        raise CommandError(f"“{username}” may not do this: the account lacks the permission {' and '.join(lacks)}.")
    return found


def choose_moment(option: str, given: str | None, unit: Unit) -> datetime | None:
    """A time as it was typed; without an offset it is on the clocks of `unit`. Raises CommandError for what is none."""
    if not given:
        return None
    try:
        found = parse_datetime(given)
        if found is None:
            raise ValueError
        return found if found.tzinfo else moment(found, unit.time_zone)
    except ValidationError as no_such_minute:
        raise CommandError(f"{option}: {no_such_minute.messages[0]}") from None
    except ValueError:
        example = "2026-09-01T09:00 (in your unit's zone) or 2026-09-01T09:00:00-04:00"
        raise CommandError(f"{option} is not a time; write it like {example}.") from None


def read_text(given: str | None, stdin: TextIO | None) -> str:
    """`given`, or everything from standard input for “-”."""
    return (stdin or sys.stdin).read().rstrip("\r\n") if given == "-" else given or ""


def _by_id(rows: QuerySet[M], named: str) -> list[M]:
    try:
        return list(rows.filter(uuid=UUID(named)))
    except ValueError:
        return []


def _one(rows: QuerySet[Any], what: str, named: str) -> Any:
    if (found := rows.first()) is None:
        raise CommandError(f"There is no {what} “{named}”.")
    return found
