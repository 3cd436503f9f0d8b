"""The closed schema of every body we send to Ocelot: a request that breaks it is stopped before it leaves.

Stricter than the documents where Ocelot would take it amiss: blank values are left out, a
field of a list's own may not be called like a default one, every contact has a number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import chain
from typing import Any, Final

import fastjsonschema

from smsportal.providers.errors import Invalid

MAX_TEXTS: Final = 100  # Texting API, "Send 1:1 SMS": "<= 100 items"
MAX_TEXT: Final = 2000  # Texting API, PlainMessage: "<= 2000"
MAX_TAG: Final = 50  # Contact List API, ContactList.tag: "items <= 50 characters"
DEFAULT_NAMES: Final = ("Phone_Number", "Email_Address", "First_Name", "Last_Name")

Schema = dict[str, Any]

# 312-555-0100, the usual spelling of those _PHONE allows, becomes 000-000-0000.
_DIGITS: Final = str.maketrans("123456789", "0" * 9)
_WORD: Final[Schema] = {"type": "string", "minLength": 1}
_PHONE: Final[Schema] = {"type": "string", "pattern": r"^(\d{3}-\d{3}-\d{4}|\+[1-9]\d{7,14})$"}
_EMAIL: Final[Schema] = {"type": "string", "format": "email"}


def _closed(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _many(items: Schema, **limits: Any) -> Schema:
    return {"type": "array", "items": items, **limits}


_FLAG: Final[Schema] = {"type": "boolean"}
_FIELD = _closed(
    {
        "type": _WORD,
        "name": {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9_]*$", "not": {"enum": list(DEFAULT_NAMES)}},
        "displayName": _WORD,
        "required": _FLAG,
        "unique": _FLAG,
    }
)
_VALUE = _closed({"type": _WORD, "name": _WORD, "value": _WORD})
_NUMBER = {"properties": {"type": {"const": "PhoneNumber"}, "value": _PHONE}}
_MESSAGE = _closed(
    {"to": _PHONE, "message": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}, "customerMessageId": _WORD},
    {"customerContactId": _WORD},
)
_PAGE: Final[dict[str, Schema]] = {
    "skip": {"type": "integer", "minimum": 0},
    "limit": {"type": "integer", "minimum": 1},
    "order": {"enum": ["ASC", "DESC"]},
}
SCHEMAS: Final[dict[str, Schema]] = {
    "list": _closed(
        {
            "name": _WORD,
            "tags": _many({"type": "string", "minLength": 1, "maxLength": MAX_TAG}),
            "meta": {"type": "object"},
            "additionalContactFields": _many(_FIELD),
        }
    ),
    "contacts": _closed({"contacts": _many(_closed({"fields": _many(_VALUE, contains=_NUMBER)}), minItems=1)}),
    "send": _closed(
        {"from": _PHONE, "operator": _EMAIL, "messages": _many(_MESSAGE, minItems=1, maxItems=MAX_TEXTS)},
        {"smsWebhookUri": {"type": "string", "pattern": r"^https?://[^\s]+$"}},
    ),
    "phone numbers": _closed(
        {"operator": _EMAIL},
        {**_PAGE, "orderBy": {"enum": ["chatbotId", "campusId", "officeId", "label", "description"]}},
    ),
    "transcripts": _closed(
        {"operator": _EMAIL, "phoneNumber": _PHONE},
        {**_PAGE, "orderBy": {"enum": ["from", "to", "senderType", "timestamp"]}},
    ),
}


@cache
def _compiled(kind: str) -> Callable[[object], object]:
    """Compiling takes milliseconds and a process rarely needs all kinds: done on first use."""
    check: Callable[[object], object] = fastjsonschema.compile(SCHEMAS[kind])
    return check


def checked(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """`body` itself when it fits the schema `kind`; raises Invalid with what is wrong when it does not."""
    try:
        _compiled(kind)(_with_one_message(body) if kind == "send" else body)
    except fastjsonschema.JsonSchemaValueException as wrong:
        where = ".".join(str(part) for part in wrong.path[1:])
        raise Invalid(f"The request for Ocelot was stopped before it left: {where or 'it'} {_rule(wrong)}.") from wrong
    return body


def _with_one_message(body: dict[str, Any]) -> dict[str, Any]:
    """`body` with the first of its messages alone, when all of them surely fit: looking at a hundred takes long."""
    messages = body.get("messages")
    if isinstance(messages, list) and 0 < len(messages) <= MAX_TEXTS and _surely_fit(messages):
        return {**body, "messages": messages[:1]}
    return body


def _surely_fit(messages: list[Any]) -> bool:
    """Whether all messages fit `_MESSAGE`, told at once in a fraction of the time; those that do not may fit all the same."""
    if set(map(type, messages)) != {dict} or not {3, 4}.issuperset(map(len, messages)):
        return False
    try:
        numbers, texts, words = ([message[name] for message in messages] for name in _MESSAGE["required"])
        words += [message["customerContactId"] for message in messages if len(message) == 4]
        digits = "\n".join(numbers).translate(_DIGITS)
        "".join(chain(texts, words))
    except (KeyError, TypeError):  # another name, or no text
        return False
    usual = digits == "\n".join(["000-000-0000"] * len(numbers))
    return usual and all(words) and all(texts) and max(map(len, texts)) <= MAX_TEXT


def _rule(wrong: fastjsonschema.JsonSchemaValueException) -> str:
    """Which rule is broken, without the value: it may be a person's number or text."""
    return str(wrong.message).removeprefix(str(wrong.name)).strip() or "does not fit its schema"
