"""The answers to a send: its code and JSON are missing from the documents, so every shape they allow can be switched on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from smsportal.sandbox.exchange import Answer, as_json

# One accepted message: messageUuid, to, and the two customer ids where they were given.
Item = dict[str, Any]


def _renamed(item: Item) -> Item:
    names = {
        "messageUuid": "uuid",
        "customerMessageId": "customer_message_id",
        "customerContactId": "customer_contact_id",
    }
    return {names.get(name, name): value for name, value in item.items()}


def _bare(item: Item) -> Item:
    return {"messageUuid": item["messageUuid"], "to": item["to"]}


# "Data in success response includes unique identifiers for the current SMS batch and every message in it" (SMS guide).
SHAPES: dict[str, Callable[[str, list[Item]], Answer]] = {
    "object": lambda batch, items: as_json(201, {"batchUuid": batch, "messages": items}),
    "array": lambda batch, items: as_json(201, [{"batchUuid": batch, **item} for item in items]),
    "empty": lambda batch, items: Answer(202),
    "renamed": lambda batch, items: as_json(200, {"id": batch, "items": [_renamed(item) for item in items]}),
    "nested": lambda batch, items: as_json(200, {"data": {"batch": {"uuid": batch}, "messages": items}}),
    "missing_items": lambda batch, items: as_json(201, {"batchUuid": batch, "messages": items[1::2]}),
    "extra_items": lambda batch, items: as_json(
        201, {"batchUuid": batch, "messages": [*items, {"messageUuid": str(uuid4()), "customerMessageId": "not-yours"}]}
    ),
    "doubled_items": lambda batch, items: as_json(201, {"batchUuid": batch, "messages": [*items, *items]}),
    "shuffled": lambda batch, items: as_json(201, {"batchUuid": batch, "messages": items[::-1]}),
    "no_reference": lambda batch, items: as_json(
        201, {"batchUuid": batch, "messages": [_bare(item) for item in items]}
    ),
    "item_errors": lambda batch, items: as_json(201, {"batchUuid": batch, "messages": items}),
}
