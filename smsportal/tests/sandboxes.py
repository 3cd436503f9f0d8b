"""A sandbox to question without a network, and makers of what it is asked."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

from smsportal.sandbox.app import Answer, Request, Twins
from smsportal.sandbox.ocelot import BASE

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
CHATBOT = "964783cd-c648-4628-8262-55dac3831d8f"
HOOK = "http://portal.test/hooks/ocelot/abc/"
OPERATOR = "jon.smith@example.edu"


class World:
    """A sandbox whose calls to the portal end in `calls`, with a clock that stands still."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.statuses: list[int] = []  # what the portal answers, one per call; 200 when it runs out
        self.now = START
        self.twins = Twins(self._take, lambda: self.now)
        self.ocelot = self.twins.ocelot
        self.ocelot.webhooks.update(dict.fromkeys(self.ocelot.webhooks, HOOK))

    def _take(self, url: str, headers: dict[str, str], body: bytes) -> int:
        self.calls.append((url, json.loads(body)))
        return self.statuses.pop(0) if self.statuses else 200

    def ask(
        self, method: str, path: str, body: Any = None, *, key: str = "sandbox-key", user: str = CHATBOT, **query: str
    ) -> Answer:
        headers = {"authorization": "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()}
        headers["content-type"] = "application/json"
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.twins.handle(Request(method, BASE + path, query, headers, raw))

    def told(self) -> list[Any]:
        """What the portal was told so far, calls flattened to events."""
        return [e for _, payload in self.calls for e in (payload if isinstance(payload, list) else [payload])]


def read(answer: Answer) -> Any:
    return json.loads(answer.body)


def phone(number: str) -> dict[str, Any]:
    return {"fields": [{"type": "PhoneNumber", "name": "Phone_Number", "value": number}]}


def person(number: str, **values: str) -> dict[str, Any]:
    kinds = {"Email_Address": "Email", "First_Name": "FirstName", "Last_Name": "LastName"}
    more = [{"type": kinds.get(name, "Text"), "name": name, "value": value} for name, value in values.items()]
    return {"fields": [*phone(number)["fields"], *more]}


def batch(*numbers: str, text: str = "Hello", **more: Any) -> dict[str, Any]:
    messages = [{"to": to, "message": text, "customerMessageId": f"m{n}.1"} for n, to in enumerate(numbers)]
    return {"from": "312-555-0190", "operator": OPERATOR, "messages": messages, **more}


def make_list(world: World, **more: Any) -> str:
    return str(read(world.ask("POST", "/contact-list", {"name": "University N1", **more}))["id"])
