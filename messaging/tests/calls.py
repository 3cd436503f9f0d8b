"""Makers for the tests of webhooks: texts that were sent, what Ocelot would report of them, and the worker that reads it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from messaging import events
from messaging.models import Attempt, Batch, Chunk, Message, WebhookCall, WebhookItem
from messaging.statuses import BatchState
from smsportal.accounts.models import ProviderAccount
from smsportal.tests.world import fiction, make_account, make_number, make_unit


def make_sent(count: int = 1, *, state: str = "accepted", attempt: int = 1, **more: Any) -> list[Message]:
    """`count` texts of one chunk that left in attempt `attempt`, with their Attempt row."""
    account = more.pop("account", None) or make_account()
    batch = Batch.objects.create(
        name="Advising week", unit=make_unit(), account=account, text="Hello", sender="+13125550190",
        state=BatchState.RUNNING, recipients=count,
    )  # fmt: skip
    chunk_state = more.pop("chunk_state", state)
    chunk = Chunk.objects.create(batch=batch, size=count, state=chunk_state)
    Attempt.objects.create(chunk=chunk, fence=1, texts=count, remote_id="fc04296f-170f-455b-bff8-c6d7a5e9f76f")
    for e164 in fiction(count, more.pop("start", 0)):
        Message.objects.create(
            batch=batch, chunk=chunk, number=make_number(e164), text="Hello", state=state, attempt=attempt, **more
        )
    return list(Message.objects.filter(batch=batch))


def status(
    message: Message, word: str, code: str | None = None, *, attempt: int | None = None, **more: Any
) -> dict[str, Any]:
    """A callback element as the Texting API documents it."""
    return {
        "batchUuid": "fc04296f-170f-455b-bff8-c6d7a5e9f76f",
        "messageUuid": f"{attempt or message.attempt}{str(message.uuid)[1:]}",
        "status": word,
        "errorCode": code,
        "customerContactId": "",
        "customerMessageId": f"{message.uuid}.{attempt or message.attempt}",
        **more,
    }  # fmt: skip


def reply(
    text: str, *, number: str = "+13125550100", event: str = "e1", at: str = "2025-09-01T15:00:00Z"
) -> dict[str, Any]:
    """An inbound text as the Webhook API documents it."""
    return {
        "name": "IncomingSms.received", "eventId": event, "to": "+13125550190", "from": number,
        "triggerType": "Inbound", "message": text, "dateTime": at,
    }  # fmt: skip


def opt(
    direction: str, *, number: str = "312-555-0100", event: str = "e9", at: str | None = "2025-09-01T15:00:00Z"
) -> dict[str, Any]:
    """A global opt event as the Texting API documents it; `direction` is In or Out."""
    told = {
        "eventId": event,
        "referenceField": {"type": "PhoneNumber", "name": "Phone_Number", "value": number},
        "name": f"PhoneNumber.opted{direction}",
    }
    return told | ({"dateTime": at} if at else {})


def store(payload: object, *, account: ProviderAccount | None = None, attempt: Attempt | None = None) -> WebhookCall:
    """The stored call of a body (bytes, or anything JSON can write), not read yet."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return WebhookCall.objects.create(
        account=account or make_account(), attempt=attempt, body=body, sha256=hashlib.sha256(body).hexdigest()
    )


def read_all() -> None:
    """What the worker of the lane does."""
    while held := events.next_call():
        events.read_call(held)


def tell(*payloads: object, **more: Any) -> list[WebhookItem]:
    """Store each payload as a call, read them in this order, and return the items."""
    pks = []
    for payload in payloads:
        pks.append(store(payload, **more).pk)
        read_all()
    return list(WebhookItem.objects.filter(call__in=pks).order_by("call_id", "position"))
