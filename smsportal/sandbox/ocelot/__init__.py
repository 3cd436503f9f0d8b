"""The Ocelot twin: which request is which operation, who may ask, and how large a request may be."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import datetime

from smsportal.sandbox.callbacks import Callbacks
from smsportal.sandbox.exchange import Answer, Refusal, Request
from smsportal.sandbox.faults import Faults
from smsportal.sandbox.ocelot.fates import FATES, OWN_NUMBERS, Fate
from smsportal.sandbox.ocelot.hooks import Hooks
from smsportal.sandbox.ocelot.lists import Lists, ListTwin
from smsportal.sandbox.ocelot.switches import Switches
from smsportal.sandbox.ocelot.texts import SentText, Texts

__all__ = ["API_KEY", "BASE", "FATES", "OWN_NUMBERS", "Fate", "Ocelot"]

BASE = "/ocelot/api/v1"
API_KEY = "sandbox-key"

Operation = Callable[[str, Request], Answer]


class Ocelot:
    """One Ocelot. Not thread-safe by itself: the sandbox calls it under its lock."""

    def __init__(self, callbacks: Callbacks, clock: Callable[[], datetime], faults: Faults) -> None:
        self.faults = faults  # those of the whole sandbox
        self.switches = Switches()
        self._lists = Lists(clock, self.switches)
        self.hooks = Hooks(callbacks, clock, self._lists, self.switches)
        self._texts = Texts(clock, self.switches, self.hooks)

    @property
    def sent(self) -> list[SentText]:
        """The append-only log of accepted texts, oldest first."""
        return self._texts.sent

    @property
    def lists(self) -> dict[str, ListTwin]:
        """The contact lists, by id."""
        return self._lists.by_id

    @property
    def webhooks(self) -> dict[str, str]:
        """The addresses that are called: sms, incoming, campaign, opt."""
        return self.hooks.urls

    @property
    def opted_out(self) -> set[str]:
        """The numbers (E.164) this Ocelot knows as opted out, beside the magic one."""
        return self.hooks.opted_out

    def kind_of(self, request: Request) -> str:
        """Which of faults.ROUTES the request belongs to."""
        match _parts(request.path):
            case ["sms", "send"]:
                return "send"
            case ["sms", *_]:
                return "lookups"
            case ["contact-list", _, "contacts"]:
                return "contacts"
        return "lists"

    def answer(self, request: Request) -> Answer:
        """What the documents say this request is answered with."""
        try:
            chatbot = self._authenticated(request)
            if len(request.body) > self.switches.body_limit:
                raise Refusal(413, "request entity too large")
            return self._operation(request)(chatbot, request)
        except Refusal as refusal:
            return refusal.answer()

    def _authenticated(self, request: Request) -> str:
        """The chatbot UUID of "Basic base64(UUID:key)"."""
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, key = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user, key = "", ""
        if scheme.lower() != "basic" or not user or key != API_KEY:
            raise Refusal(401, "Invalid authentication credentials")
        return user

    def _operation(self, request: Request) -> Operation:
        path = _parts(request.path)
        found = self._of_lists(request.method, path) or self._of_texts(request.method, path)
        if not found:
            raise Refusal(404, f"Cannot {request.method} {request.path.removeprefix('/ocelot')}")
        return found

    def _of_lists(self, method: str, path: list[str]) -> Operation | None:
        put = self.switches.replace_verb
        match path:
            case ["contact-list"]:
                return {put: self._lists.replace_by_name, "POST": self._lists.create}.get(method)
            case ["contact-list", list_id]:
                one = {put: self._lists.replace, "GET": self._lists.read, "DELETE": self._lists.delete}.get(method)
            case ["contact-list", list_id, "contacts"]:
                one = {"GET": self._lists.contacts, "POST": self._lists.add}.get(method)
            case _:
                return None
        return (lambda chatbot, request: one(chatbot, request, list_id)) if one else None

    def _of_texts(self, method: str, path: list[str]) -> Operation | None:
        lookup = method in self.switches.lookup_verbs.split()
        match path:
            case ["sms", "send"] if method == "POST":
                return self._texts.send
            case ["sms", "phone-numbers"] if lookup:
                return self._texts.phone_numbers
            case ["sms", "transcripts"] if lookup:
                return self._texts.transcripts
        return None


def _parts(path: str) -> list[str]:
    return [part for part in path.removeprefix(BASE).split("/") if part]
