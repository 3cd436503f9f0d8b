"""What the Ocelot twin takes: the documented shape of every request body, with a sentence for each way to break it.

The documents list the fields, types and limits but show no 400 body; the sentences are those of the framework whose
error triple the documented 401 has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from smsportal.sandbox.exchange import Refusal, Request, refuse_if

FIELD_TYPES = ("PhoneNumber", "Email", "FirstName", "LastName", "Text")
DEFAULT_NAMES = ("Phone_Number", "Email_Address", "First_Name", "Last_Name")
MAX_MESSAGES = 100
MAX_TEXT = 2000
MAX_TAG = 50
DEFAULT_LIMIT = 50

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
# "123-456-7890" in every sample; dashes, dots, parentheses or nothing (A3).
_PHONE = re.compile(r"\(?\d{3}\)?[-. ]?\d{3}[-. ]?\d{4}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def is_email(value: object) -> bool:
    return isinstance(value, str) and bool(_EMAIL.fullmatch(value))


def is_phone(value: object, *, plus_one: bool) -> bool:
    """Whether `value` is a US number the documents' samples allow; "+1" before it only when `plus_one`."""
    if not isinstance(value, str):
        return False
    return bool(_PHONE.fullmatch(value.removeprefix("+1") if plus_one else value))


def object_of(request: Request) -> dict[str, Any]:
    """The request's body, a JSON object; Refusal 400 when it is something else."""
    body = request.json()
    if not isinstance(body, dict):
        raise Refusal(400, ["the body must be an object"])
    return body


def _unknown(given: dict[str, Any], known: Iterable[str], at: str = "") -> Iterator[str]:
    yield from (f"{at}property {name} should not exist" for name in given if name not in known)


def _texts(given: dict[str, Any], names: Iterable[str], at: str = "", *, needed: bool = True) -> Iterator[str]:
    for name in names:
        if not isinstance(given.get(name, None if needed else ""), str):
            yield f"{at}{name} must be a string"


def _objects(value: object, name: str, check: Callable[[dict[str, Any], str], Iterable[str]]) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{name} must be an array"
        return
    for place, item in enumerate(value):
        if isinstance(item, dict):
            yield from check(item, f"{name}.{place}.")
        else:
            yield f"{name}.{place} must be an object"


# --- sending (Texting API, "Send 1:1 SMS") ---------------------------------------------------------------------------
def check_send(body: dict[str, Any], *, plus_one: bool) -> None:
    """Refusal 400 unless `body` is a send as documented."""
    refuse_if(_send_complaints(body, plus_one))


def _send_complaints(body: dict[str, Any], plus_one: bool) -> Iterator[str]:
    yield from _unknown(body, ("from", "operator", "messages", "smsWebhookUri"))
    yield from _texts(body, ("from",))
    if not is_email(body.get("operator")):
        yield "operator must be an email"
    yield from _texts(body, ("smsWebhookUri",), needed=False)
    if not str(body.get("smsWebhookUri", "https://")).startswith(("http://", "https://")):
        yield "smsWebhookUri must be a URL address"
    messages = body.get("messages")
    if isinstance(messages, list) and not 1 <= len(messages) <= MAX_MESSAGES:
        yield f"messages must contain at least 1 and no more than {MAX_MESSAGES} elements"
    yield from _objects(messages, "messages", lambda item, at: _message_complaints(item, at, plus_one))


def _message_complaints(message: dict[str, Any], at: str, plus_one: bool) -> Iterator[str]:
    yield from _unknown(message, ("to", "message", "customerContactId", "customerMessageId"), at)
    yield from _texts(message, ("customerContactId", "customerMessageId"), at, needed=False)
    if not is_phone(message.get("to"), plus_one=plus_one):
        yield f"{at}to must be a valid phone number"
    text = message.get("message")
    if not isinstance(text, str) or not text:
        yield f"{at}message must be a string that is not empty"
    elif len(text) > MAX_TEXT:
        yield f"{at}message must be shorter than or equal to {MAX_TEXT} characters"


# --- contact lists (Contact List API) --------------------------------------------------------------------------------
def check_list(body: dict[str, Any]) -> None:
    """Refusal 400 unless `body` is a contact list as documented for creating and replacing."""
    refuse_if(_list_complaints(body))


def _list_complaints(body: dict[str, Any]) -> Iterator[str]:
    yield from _unknown(body, ("name", "tags", "meta", "additionalContactFields"))
    name = body.get("name")
    if not isinstance(name, str) or not name.strip():
        yield "name must be a string that is not empty"
    tags = body.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        yield "each value in tags must be a string"
    elif any(len(tag) > MAX_TAG for tag in tags):
        yield f"each value in tags must be shorter than or equal to {MAX_TAG} characters"
    if not isinstance(body.get("meta", {}), dict):
        yield "meta must be an object"
    fields = body.get("additionalContactFields", [])
    yield from _objects(fields, "additionalContactFields", _field_complaints)
    yield from _names_twice(fields)


def _field_complaints(field: dict[str, Any], at: str) -> Iterator[str]:
    yield from _unknown(field, ("type", "name", "displayName", "required", "unique"), at)
    if field.get("type") not in FIELD_TYPES:
        yield f"{at}type must be one of the following values: {', '.join(FIELD_TYPES)}"
    if not isinstance(field.get("name"), str) or not _NAME.fullmatch(field["name"]):
        yield f"{at}name must be a name of letters, digits and underscores"
    yield from _texts(field, ("displayName",), at)
    for flag in ("required", "unique"):
        if not isinstance(field.get(flag, False), bool):
            yield f"{at}{flag} must be a boolean value"


def _names_twice(fields: object) -> Iterator[str]:
    seen = set(DEFAULT_NAMES)
    for field in fields if isinstance(fields, list) else ():
        name = str(field.get("name")) if isinstance(field, dict) else ""
        if name in seen:
            yield f"additionalContactFields: {name} is already a field of the list"
        seen.add(name)


def check_contacts(body: dict[str, Any]) -> None:
    """Refusal 400 unless `body` has the shape of a call that creates contacts. Values are judged one by one later."""
    refuse_if(_contacts_complaints(body))


def _contacts_complaints(body: dict[str, Any]) -> Iterator[str]:
    yield from _unknown(body, ("contacts",))
    yield from _objects(body.get("contacts"), "contacts", _contact_complaints)


def _contact_complaints(contact: dict[str, Any], at: str) -> Iterator[str]:
    yield from _unknown(contact, ("fields",), at)
    for complaint in _objects(contact.get("fields"), "fields", _value_complaints):
        yield at + complaint


def _value_complaints(value: dict[str, Any], at: str) -> Iterator[str]:
    yield from _unknown(value, ("type", "name", "value"), at)
    yield from _texts(value, ("type", "name", "value"), at)


# --- paging ----------------------------------------------------------------------------------------------------------
def page_of(query: dict[str, str], *, columns: Iterable[str]) -> tuple[int, int, str, bool]:
    """limit, skip, orderBy and whether descending, from the query (Contact List API, "Query Parameters")."""
    limit, skip = query.get("limit", str(DEFAULT_LIMIT)), query.get("skip", "0")
    refuse_if(_page_complaints(limit, skip, query, columns))
    return int(limit), int(skip), query.get("orderBy", ""), query.get("order") == "DESC"


def _page_complaints(limit: str, skip: str, query: dict[str, str], columns: Iterable[str]) -> Iterator[str]:
    if not limit.isdecimal() or int(limit) < 1:
        yield "limit must be an integer number not less than 1"
    if not skip.isdecimal():
        yield "skip must be an integer number not less than 0"
    if query.get("order", "ASC") not in ("ASC", "DESC"):
        yield "order must be one of the following values: ASC, DESC"
    if query.get("orderBy") and query["orderBy"] not in columns:
        yield f"orderBy must be one of the following values: {', '.join(columns)}"


def check_lookup(body: dict[str, Any], *, needs: Iterable[str], columns: Iterable[str]) -> tuple[int, int, str, bool]:
    """limit, skip, orderBy and whether descending of a Texting API lookup; Refusal 400 unless it is as documented."""
    refuse_if(_lookup_complaints(body, needs))
    paging: dict[str, str] = {name: str(body[name]) for name in ("limit", "skip", "orderBy", "order") if name in body}
    return page_of(paging, columns=tuple(columns))


def _lookup_complaints(body: dict[str, Any], needs: Iterable[str]) -> Iterator[str]:
    yield from _unknown(body, (*needs, "skip", "limit", "orderBy", "order"))
    if not is_email(body.get("operator")):
        yield "operator must be an email"
    yield from _texts(body, (name for name in needs if name != "operator"))
    for name in ("skip", "limit"):
        if not isinstance(body.get(name, 0), int) or isinstance(body.get(name), bool):
            yield f"{name} must be a number"
