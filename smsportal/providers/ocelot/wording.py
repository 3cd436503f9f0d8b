"""Our records in Ocelot's words and back: numbers, contacts, lists and sends, as the documents write them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from smsportal.providers.base import (
    Envelope,
    Outgoing,
    RemoteContact,
    RemoteField,
    RemoteList,
    RemoteSender,
    RemoteTurn,
)
from smsportal.providers.ocelot.reading import moment
from smsportal.text import clean

PHONE_TYPE: Final = "PhoneNumber"


def to_ocelot(number: str, number_format: str) -> str:
    """An E.164 number as Ocelot's samples write it, 123-456-7890 (A3); unchanged with the format "e164"."""
    if number_format == "dashes" and len(number) == 12 and number[:2] == "+1" and number[2:].isdecimal():
        return f"{number[2:5]}-{number[5:8]}-{number[8:]}"
    return number


def digits(number: str) -> str:
    """What two spellings of one number have in common: its digits, without the 1 of the country."""
    found = re.sub(r"\D", "", number)
    return found[1:] if len(found) == 11 and found.startswith("1") else found


def from_ocelot(number: str) -> str:
    """A number as Ocelot writes it in E.164, whatever its punctuation; unchanged when it is no US number."""
    found = digits(number)
    if len(found) == 10 and not re.search(r"[A-Za-z]", number):
        return f"+1{found}"
    return number.strip()


def list_body(wanted: RemoteList) -> dict[str, Any]:
    """Contact List API, "Creates a contact list"; the same body replaces one."""
    return {
        "name": wanted.name,
        "tags": list(wanted.tags),
        "meta": dict(wanted.meta),
        "additionalContactFields": [
            {
                "type": each.type,
                "name": each.name,
                "displayName": each.display_name,
                "required": each.required,
                "unique": each.unique,
            }
            for each in wanted.fields
        ],
    }


def contacts_body(contacts: Sequence[RemoteContact], number_format: str) -> dict[str, Any]:
    """Contact List API, "Creates contacts". Blank values are left out: two blank e-mails would not be unique."""
    return {"contacts": [{"fields": _values(each, number_format)} for each in contacts]}


def _values(contact: RemoteContact, number_format: str) -> list[dict[str, str]]:
    return [
        {"type": kind, "name": name, "value": to_ocelot(value, number_format) if kind == PHONE_TYPE else value}
        for name, (kind, value) in contact.fields.items()
        if value
    ]


def send_body(envelope: Envelope, texts: Sequence[Outgoing], number_format: str) -> dict[str, Any]:
    """Texting API, "Send 1:1 SMS". `customerMessageId` is our reference, so receipts need no id of theirs."""
    messages = []
    for to, text, reference, contact in texts:
        message = {"to": to_ocelot(to, number_format), "message": text, "customerMessageId": reference}
        if contact:
            message["customerContactId"] = contact
        messages.append(message)
    body: dict[str, Any] = {
        "from": to_ocelot(envelope.sender, number_format),
        "operator": envelope.operator,
        "messages": messages,
    }
    if envelope.callback_url:
        body["smsWebhookUri"] = envelope.callback_url
    return body


def contact_from(row: Mapping[str, Any]) -> RemoteContact:
    """A contact of Ocelot's; its number in E.164. Fields without a name are passed over."""
    fields: dict[str, tuple[str, str]] = {}
    for each in row.get("fields") or ():
        if isinstance(each, dict) and each.get("name"):
            kind, value = clean(each.get("type")), clean(each.get("value"))
            fields[clean(each["name"])] = (kind, from_ocelot(value) if kind == PHONE_TYPE else value)
    return RemoteContact(fields=fields, active=row.get("active") is not False)


def number_of(contact: RemoteContact) -> str:
    """The digits of a contact's number, which identifies it within a list; "" when it has none."""
    return next((digits(value) for kind, value in contact.fields.values() if kind == PHONE_TYPE), "")


def list_from(record: Mapping[str, Any]) -> RemoteList:
    """A ContactList of Ocelot's. Its fields are not echoed in any documented sample, so they are mostly empty."""
    tags = record.get("tags")
    meta = record.get("meta")
    return RemoteList(
        name=clean(record.get("name")),
        tags=tuple(clean(tag) for tag in tags) if isinstance(tags, list) else (),
        meta=meta if isinstance(meta, dict) else {},
        fields=tuple(_fields_from(record.get("additionalContactFields"))),
        remote_id=clean(record.get("id") or record.get("_id"), 120),
        raw=record,
    )


def _fields_from(rows: object) -> list[RemoteField]:
    return [
        RemoteField(
            type=clean(row.get("type")),
            name=clean(row.get("name")),
            display_name=clean(row.get("displayName")),
            required=row.get("required") is True,
            unique=row.get("unique") is True,
        )
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
    ]


def sender_from(row: Mapping[str, Any]) -> RemoteSender:
    """Texting API, "Get 1:1 phone numbers": one of the 1:1 phone numbers."""
    campaigns = row.get("campaignIds")
    return RemoteSender(
        address=from_ocelot(clean(row["phoneNumber"], 32)),
        label=clean(row.get("label"), 200),
        description=clean(row.get("description"), 500),
        campaign_ids=tuple(clean(each) for each in campaigns) if isinstance(campaigns, list) else (),
        raw=row,
    )


def turn_from(row: Mapping[str, Any]) -> RemoteTurn:
    """Texting API, "Get transcripts": one turn; `senderType` is an open set, `ai` its only documented word."""
    return RemoteTurn(
        sender=from_ocelot(clean(row.get("from"), 64)),
        recipient=from_ocelot(clean(row.get("to"), 64)),
        sender_type=clean(row.get("senderType"), 40),
        text=clean(row.get("message")),
        at=moment(row),
    )
