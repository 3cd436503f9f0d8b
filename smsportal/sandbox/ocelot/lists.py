"""Contact lists of the Ocelot twin: create, read, replace (which empties), delete, add contacts, page through them.

Source: the Contact List API document (Ocelot API 1.0.0-beta2). What it leaves open is said where it is decided.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from smsportal.sandbox.exchange import Answer, Refusal, Request, as_json
from smsportal.sandbox.ocelot import checks
from smsportal.sandbox.ocelot.fates import digits, fate_of
from smsportal.sandbox.ocelot.switches import Switches

Field = dict[str, Any]

DEFAULT_SCHEMA: tuple[Field, ...] = (  # "Default schema is"
    {"type": "PhoneNumber", "name": "Phone_Number", "displayName": "Phone Number", "required": True, "unique": True},
    {"type": "Email", "name": "Email_Address", "displayName": "Email Address", "required": False, "unique": True},
    {"type": "FirstName", "name": "First_Name", "displayName": "First Name", "required": False, "unique": False},
    {"type": "LastName", "name": "Last_Name", "displayName": "Last Name", "required": False, "unique": False},
)


@dataclass(slots=True)
class RemoteContact:
    """A stored contact: its fields as they were given, and when."""

    fields: list[dict[str, str]]
    created: str
    active: bool = True

    def value(self, name: str) -> str:
        return next((each["value"] for each in self.fields if each["name"] == name), "")

    def as_json(self) -> dict[str, Any]:
        return {"fields": self.fields, "active": self.active, "created": self.created}


@dataclass(slots=True)
class ListTwin:
    """A stored list. `taken` holds, for every unique field, the values that are in use."""

    id: str
    chatbot: str
    created: str
    updated: str
    name: str = ""
    tags: list[str] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Field] = field(default_factory=dict)
    contacts: list[RemoteContact] = field(default_factory=list)
    taken: dict[str, set[str]] = field(default_factory=dict)
    in_order: dict[tuple[str, bool], list[RemoteContact]] = field(default_factory=dict)  # sorted copies, until a change

    def reset(self, body: dict[str, Any], now: str) -> None:
        """Take the data of `body` and lose every contact ("also remove all contacts in the contact list")."""
        self.name, self.updated = body["name"], now
        self.tags, self.meta = list(body.get("tags", [])), dict(body.get("meta", {}))
        own = [{"required": False, "unique": False, **each} for each in body.get("additionalContactFields", [])]
        self.schema = {each["name"]: each for each in (*DEFAULT_SCHEMA, *own)}
        self.contacts, self.taken, self.in_order = [], {}, {}

    def as_json(self) -> dict[str, Any]:
        """As in every 200 and 201 sample, which do not show the schema."""
        return {
            "id": self.id,
            "name": self.name,
            "tags": self.tags,
            "meta": self.meta,
            "chatbotId": self.chatbot,
            "created": self.created,
            "updated": self.updated,
            "userId": "public_api",
        }


class Lists:
    """All lists, by id."""

    def __init__(self, clock: Callable[[], datetime], switches: Switches) -> None:
        self.clock = clock
        self.switches = switches
        self.by_id: dict[str, ListTwin] = {}

    def create(self, chatbot: str, request: Request) -> Answer:
        body = checks.object_of(request)
        checks.check_list(body)
        if self.switches.unique_names and self._named(chatbot, body["name"]):
            raise Refusal(400, [f"Contact list {body['name']} already exists"])
        now = self._now()
        made = ListTwin(secrets.token_hex(12), chatbot, now, now)
        made.reset(body, now)
        self.by_id[made.id] = made
        return as_json(201, made.as_json())

    def read(self, chatbot: str, request: Request, list_id: str) -> Answer:
        return as_json(200, self._find(chatbot, list_id).as_json())

    def replace(self, chatbot: str, request: Request, list_id: str) -> Answer:
        found = self._find(chatbot, list_id)
        body = checks.object_of(request)
        checks.check_list(body)
        found.reset(body, self._now())
        return as_json(200, found.as_json())

    def replace_by_name(self, chatbot: str, request: Request) -> Answer:
        """What happens when no list has the name is not documented: 404 here."""
        body = checks.object_of(request)
        checks.check_list(body)
        found = self._named(chatbot, body["name"])
        if not found:
            raise Refusal(404, "Contact list not found")
        found.reset(body, self._now())
        return as_json(200, found.as_json())

    def delete(self, chatbot: str, request: Request, list_id: str) -> Answer:
        """The body of the answer is not documented: empty here."""
        del self.by_id[self._find(chatbot, list_id).id]
        return Answer(200)

    def add(self, chatbot: str, request: Request, list_id: str) -> Answer:
        """Store the contacts that can be stored and say of the others why not: 201 all the same."""
        found = self._find(chatbot, list_id)
        body = checks.object_of(request)
        checks.check_contacts(body)
        now = self._now()
        rejected = []
        for contact in body["contacts"]:
            reason = next(self._complaints(found, contact["fields"]), "")
            if reason:
                rejected.append({"fields": contact["fields"], "error": reason})
            else:
                self._store(found, contact["fields"], now)
        found.in_order.clear()
        counts = (0, 0) if self.switches.zero_counts else (len(body["contacts"]), len(rejected))
        results = {"total": counts[0], "rejected": counts[1], "rejectedData": rejected}
        errors = list(dict.fromkeys(each["error"] for each in rejected))
        return as_json(201, [{"errors": errors, "results": results}])

    def contacts(self, chatbot: str, request: Request, list_id: str) -> Answer:
        found = self._find(chatbot, list_id)
        limit, skip, order_by, down = checks.page_of(request.query, columns=("created", *found.schema))
        limit = min(limit, self.switches.page_max)
        rows = self._ordered(found, order_by, down)
        data = [contact.as_json() for contact in rows[skip : skip + limit]]
        return as_json(200, {"results": {"limit": limit, "skip": skip, "total": len(rows), "data": data}})

    def fields_of(self, number: str) -> list[dict[str, str]]:
        """The fields of the contact with this number, from whichever list has it; only the number when none has."""
        for each in self.by_id.values():
            if digits(number) in each.taken.get("Phone_Number", ()):
                return next(c.fields for c in each.contacts if digits(c.value("Phone_Number")) == digits(number))
        return [{"type": "PhoneNumber", "name": "Phone_Number", "value": number}]

    # --- within -----------------------------------------------------------------------------------------------------
    def _now(self) -> str:
        return stamp(self.clock())

    def _find(self, chatbot: str, list_id: str) -> ListTwin:
        found = self.by_id.get(list_id)
        if not found or found.chatbot != chatbot:
            raise Refusal(404, "Contact list not found")
        return found

    def _named(self, chatbot: str, name: str) -> ListTwin | None:
        mine = (each for each in self.by_id.values() if each.chatbot == chatbot and each.name == name)
        return next(mine, None)

    def _complaints(self, found: ListTwin, fields: list[dict[str, str]]) -> Iterator[str]:
        """Why this contact is not stored. Documented is "Phone Number 123-456-7890 is not unique."; the others follow it."""
        values = {each["name"]: each["value"] for each in fields}
        for each in fields:
            column = found.schema.get(each["name"])
            if column is None:
                yield f"Field {each['name']} is not in the contact list."
            elif column["type"] != each["type"]:
                yield f"Field {each['name']} is not of type {each['type']}."
        for column in found.schema.values():
            value = values.get(column["name"])
            if value is None or (value == "" and column["required"]):
                if column["required"]:
                    yield f"{column['displayName']} is required."
            elif not self._valid(column["type"], value):
                yield f"{column['displayName']} {value} is not valid."
            elif column["unique"] and _key(column["type"], value) in found.taken.get(column["name"], ()):
                yield f"{column['displayName']} {value} is not unique."

    def _valid(self, kind: str, value: str) -> bool:
        if kind == "PhoneNumber":
            return checks.is_phone(value, plus_one=self.switches.accept_e164) and not fate_of(value).refused_on_upload
        return kind != "Email" or checks.is_email(value)

    def _store(self, found: ListTwin, fields: list[dict[str, str]], now: str) -> None:
        for each in fields:
            if found.schema[each["name"]]["unique"]:
                found.taken.setdefault(each["name"], set()).add(_key(each["type"], each["value"]))
        found.contacts.append(RemoteContact(fields, now))

    def _ordered(self, found: ListTwin, order_by: str, down: bool) -> list[RemoteContact]:
        if not order_by or order_by == "created":
            return found.contacts[::-1] if down else found.contacts
        if (order_by, down) not in found.in_order:
            found.in_order[order_by, down] = sorted(found.contacts, key=lambda c: c.value(order_by), reverse=down)
        return found.in_order[order_by, down]


def stamp(moment: datetime) -> str:
    """A moment as the samples write it: 2019-08-24T14:15:22.000Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _key(kind: str, value: str) -> str:
    return digits(value) if kind == "PhoneNumber" else value.casefold() if kind == "Email" else value
