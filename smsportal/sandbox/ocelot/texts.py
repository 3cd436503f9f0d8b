"""1:1 texts of the Ocelot twin: sending with the documented limits, the callbacks of each fate, and the two lookups.

Sources: Texting API document (1.0.0-beta2) and "Working with Ocelot SMS API".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypedDict
from uuid import uuid4

from smsportal.sandbox.exchange import Answer, Refusal, Request, as_json
from smsportal.sandbox.ocelot import checks
from smsportal.sandbox.ocelot.fates import FATES, OWN_NUMBERS, Fate, digits, e164, fate_of
from smsportal.sandbox.ocelot.hooks import Hooks
from smsportal.sandbox.ocelot.lists import stamp
from smsportal.sandbox.ocelot.shapes import SHAPES, Item
from smsportal.sandbox.ocelot.switches import Switches

KEPT_TEXTS = 100_000
REPLY_AFTER_S = 1.5

# One accepted text: what was given (`to` and `from` as written), the ids it was given, when, and its fate's title.
SentText = TypedDict(
    "SentText",
    {
        "to": str,
        "e164": str,
        "text": str,
        "from": str,
        "operator": str,
        "customerMessageId": str,
        "customerContactId": str,
        "batchUuid": str,
        "messageUuid": str,
        "at": str,
        "fate": str,
    },
)


class Texts:
    """Everything accepted, oldest first, and what is still owed for it."""

    def __init__(self, clock: Callable[[], datetime], switches: Switches, hooks: Hooks) -> None:
        self.clock = clock
        self.switches = switches
        self.hooks = hooks
        self.sent: list[SentText] = []

    def send(self, chatbot: str, request: Request) -> Answer:
        """Accept up to 100 texts as a whole, or refuse them as a whole; opt-outs are found out afterwards."""
        body = checks.object_of(request)
        checks.check_send(body, plus_one=self.switches.accept_e164)
        self._check_numbers(body)
        batch = str(uuid4())
        items: list[Item] = []
        fates: list[tuple[Item, Fate]] = []
        for message in body["messages"]:
            item = {"messageUuid": str(uuid4()), "to": message["to"]}
            item |= {key: message[key] for key in ("customerContactId", "customerMessageId") if key in message}
            fate = self._fate(message["to"])
            if self.switches.send_shape == "item_errors" and fate.opted_out:
                items.append({**item, "status": "rejected", "errorCode": "OptedOut"})
                continue
            items.append(item)
            fates.append((item, fate))
            self._note(body, message, batch, item["messageUuid"], fate)
        self._owe(str(body.get("smsWebhookUri", "")), batch, fates)
        for item, fate in fates:
            for place, reply in enumerate(fate.replies):
                self.hooks.reply(sender=item["to"], to=body["from"], text=reply, after_s=REPLY_AFTER_S + place)
        answer = SHAPES[self.switches.send_shape](batch, items)
        early = any(fate.receipts_first for _, fate in fates)
        return replace(answer, mishap="receipts_first") if early else answer

    def phone_numbers(self, chatbot: str, request: Request) -> Answer:
        """Numbers the operator may send from; here every operator may use all of them."""
        columns = ("chatbotId", "campusId", "officeId", "label", "description")
        rows = [
            {
                "phoneNumber": each.phone,
                "chatbotId": chatbot,
                "campusId": "main",
                "officeId": each.label.lower().replace(" ", "-"),
                "campaignIds": list(each.campaign_ids),
                "label": each.label,
                "description": f"Sandbox number of {each.label}",
            }
            for each in OWN_NUMBERS
        ]
        return self._page(request, rows, needs=("operator",), columns=columns)

    def transcripts(self, chatbot: str, request: Request) -> Answer:
        """Texts and replies with one number, "either campaign or contact", oldest first."""
        rows = self._turns(digits(str(checks.object_of(request).get("phoneNumber", ""))))
        columns = ("from", "to", "senderType", "timestamp")
        return self._page(request, rows, needs=("operator", "phoneNumber"), columns=columns)

    # --- within -----------------------------------------------------------------------------------------------------
    def _check_numbers(self, body: dict[str, Any]) -> None:
        if digits(body["from"]) not in {digits(each.phone) for each in OWN_NUMBERS}:
            raise Refusal(400, ["from must be a provisioned phone number"])
        for place, message in enumerate(body["messages"]):
            if fate_of(message["to"]).refuses_call:
                raise Refusal(400, [f"messages.{place}.to must be a valid phone number"])

    def _fate(self, number: str) -> Fate:
        return FATES["0157"] if e164(number) in self.hooks.opted_out else fate_of(number)

    def _note(self, body: dict[str, Any], message: dict[str, Any], batch: str, own_id: str, fate: Fate) -> None:
        self.sent.append(
            {
                "to": message["to"],
                "e164": e164(message["to"]),
                "text": message["message"],
                "from": body["from"],
                "operator": body["operator"],
                "customerMessageId": message.get("customerMessageId", ""),
                "customerContactId": message.get("customerContactId", ""),
                "batchUuid": batch,
                "messageUuid": own_id,
                "at": stamp(self.clock()),
                "fate": fate.title,
            }
        )
        if len(self.sent) > KEPT_TEXTS:
            del self.sent[: KEPT_TEXTS // 10]

    def _owe(self, url: str, batch: str, fates: list[tuple[Item, Fate]]) -> None:
        """Owe the callbacks of a batch: what several texts have to say at the same moment goes out in one call."""
        calls: dict[tuple[float, int, int], list[dict[str, Any]]] = {}
        for item, fate in fates:
            for place, step in enumerate(fate.steps):
                event = {"batchUuid": batch, "messageUuid": item["messageUuid"], "status": step.status}
                if step.error:
                    event["errorCode"] = step.error
                event |= {key: item[key] for key in ("customerContactId", "customerMessageId") if key in item}
                for again in range(step.times):
                    calls.setdefault((step.after_s, place, again), []).append(event)
        for (after_s, _, _), events in sorted(calls.items(), key=lambda each: each[0]):
            self.hooks.statuses(url, events, after_s=after_s)

    def _turns(self, number: str) -> list[dict[str, str]]:
        ours = [("operator", each["from"], each["to"], each["text"], each["at"]) for each in self.sent]
        theirs = [("contact", each["from"], each["to"], each["text"], each["at"]) for each in self.hooks.replies]
        turns = [
            {"from": sender, "to": to, "senderType": kind, "message": text, "timestamp": at}
            for kind, sender, to, text, at in (*ours, *theirs)
            if number in (digits(sender), digits(to))
        ]
        return sorted(turns, key=lambda turn: turn["timestamp"])

    def _page(
        self, request: Request, rows: list[dict[str, Any]], *, needs: tuple[str, ...], columns: tuple[str, ...]
    ) -> Answer:
        body = checks.object_of(request)
        limit, skip, order_by, down = checks.check_lookup(body, needs=needs, columns=columns)
        if order_by:
            rows = sorted(rows, key=lambda row: str(row[order_by]), reverse=down)
        data = rows[skip : skip + limit]
        return as_json(200, {"total": len(rows), "skip": skip, "limit": limit, "data": data})
