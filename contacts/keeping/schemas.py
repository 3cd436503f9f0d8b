"""What a list itself is made of, checked and stored: its name, tags, meta and own fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from contacts.models import DEFAULT_FIELDS, Contact, ContactList, FieldType, SchemaField, Tag
from smsportal.accounts.models import ProviderAccount
from smsportal.problems import Conflict, Wrong
from smsportal.providers.base import RemoteField
from smsportal.text import clean, clean_json, plural

MAX_NAME = 200
MAX_TAG = 50  # Contact List API, request body: "items <= 50 characters"
MAX_FIELDS = 50
MAX_META = 10_000  # characters of JSON
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")

Given = RemoteField | Mapping[str, Any]


def check_list(account: ProviderAccount, *, but: ContactList | None = None, **given: Any) -> dict[str, Any]:
    """The given ones of `name`, `tags`, `meta` and `fields`, cleaned. Raises Wrong that names all that is wrong.

    `but` is the list being changed: it may keep its own name. `fields` come back as RemoteField.
    """
    checks = {
        "name": lambda value: _check_name(account, value, but),
        "tags": _check_tags,
        "meta": _check_meta,
        "fields": _check_fields,
    }
    good: dict[str, Any] = {}
    errors: dict[str, list[str]] = {name: ["A list has no such part."] for name in given if name not in checks}
    for name, check in checks.items():
        if name in given:
            try:
                good[name] = check(given[name])
            except ValueError as wrong:
                errors[name] = [str(wrong)]
    if errors:
        raise Wrong("The list cannot be stored like that.", errors=errors)
    return good


def _check_name(account: ProviderAccount, value: object, but: ContactList | None) -> str:
    name = " ".join(clean(value).split())
    if not name:
        raise ValueError("Give the list a name.")
    if len(name) > MAX_NAME:
        raise ValueError(f"The name is {len(name)} characters long; shorten it to {MAX_NAME}.")
    others = ContactList.objects.filter(account=account, name=name).exclude(pk=but.pk if but else None)
    if others.exists():
        raise ValueError("Another list of this account has this name; choose another one.")
    return name


def _check_tags(value: Sequence[object]) -> list[str]:
    tags = list(dict.fromkeys(tag for each in value if (tag := clean(each).strip())))
    for tag in tags:
        if len(tag) > MAX_TAG:
            raise ValueError(f"The tag “{tag[:20]}…” is {len(tag)} characters long; the provider takes {MAX_TAG}.")
    return tags


def _check_meta(value: object) -> object:
    if not isinstance(value, Mapping):
        raise ValueError("Meta is an object: names with values.")
    if len(json.dumps(value, default=str)) > MAX_META:
        raise ValueError(f"Meta is longer than {MAX_META:,} characters.")
    return clean_json(dict(value))


def _check_fields(value: Sequence[Given]) -> list[RemoteField]:
    if len(value) > MAX_FIELDS:
        raise ValueError(f"A list has at most {MAX_FIELDS} fields of its own.")
    fields = [_check_field(each) for each in value]
    seen = {field.name.lower() for field in DEFAULT_FIELDS}
    for field in fields:
        if field.name.lower() in seen:
            raise ValueError(
                f"The name “{field.name}” is taken; every list has the default fields, and each name once."
            )
        seen.add(field.name.lower())
    return fields


def _check_field(given: Given) -> RemoteField:
    if isinstance(given, RemoteField):
        field = given
    else:
        field = RemoteField(
            clean(given.get("type")) or FieldType.TEXT,
            clean(given.get("name")).strip(),
            clean(given.get("display_name"), 100).strip(),
            bool(given.get("required", False)),
            bool(given.get("unique", False)),
        )
    if field.type != FieldType.TEXT:
        raise ValueError(f"A field beyond the default four is of type Text, not “{field.type[:20]}”.")
    if not _NAME.fullmatch(field.name):
        raise ValueError(
            f"“{field.name[:60]}” cannot be a field's name: it is what templates put between braces. "
            "Use up to 60 letters, digits and _, beginning with a letter."
        )
    title = field.display_name or field.name.replace("_", " ")
    return RemoteField(field.type, field.name, title[:100], field.required, field.unique)


def store_tags(contact_list: ContactList, tags: Sequence[str]) -> None:
    """File the list under exactly these tags."""
    Tag.objects.bulk_create([Tag(name=tag) for tag in tags], ignore_conflicts=True)
    contact_list.tags.set(Tag.objects.filter(name__in=tags))


def store_fields(contact_list: ContactList, fields: Sequence[RemoteField]) -> None:
    """Make these the list's own fields, in this order. Raises Conflict when one would go that is filled in somewhere."""
    wanted = {field.name for field in fields}
    for gone in contact_list.own_fields.exclude(name__in=wanted):
        filled = Contact.objects.filter(contact_list=contact_list, extra__has_key=gone.name, removed_at=None).count()
        if filled:
            raise Conflict(
                f"{plural(filled, 'contact has', 'contacts have')} “{gone}” filled in; clear it there before you remove the field."
            )
        gone.delete()
    for position, field in enumerate(fields):
        SchemaField.objects.update_or_create(
            contact_list=contact_list,
            name=field.name,
            defaults={
                "type": field.type,
                "display_name": field.display_name,
                "required": field.required,
                "unique": field.unique,
                "position": position,
            },
        )
