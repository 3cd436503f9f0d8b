"""What goes in and out of a twin: a request, an answer, and a refusal that becomes an answer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it arrived. `headers` has lower-case keys; `body` is what was sent, undecoded."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The decoded body; Refusal 400 when it is not JSON or not declared as JSON."""
        if self.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise Refusal(400, "The request body must be JSON (Content-Type: application/json)")
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as wrong:
            raise Refusal(400, f"Unexpected token in JSON: {wrong}") from wrong

    def form(self) -> dict[str, str]:
        """The fields of an HTML form."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer.

    `mishap` is what happens to it on the way: `reset_before` and `reset_after` (the connection is reset; the request was
    not, or was accepted), `hang` (no answer ever comes), `torn` (half of the body), `drip` (a byte now and then).
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    mishap: str = ""


class Refusal(Exception):
    """The request is answered with an error. `message` is one sentence or a list of them, as NestJS does both."""

    def __init__(self, status: int, message: str | list[str]) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def answer(self) -> Answer:
        """The error triple of the documents' 401 sample (Contact List API): statusCode, message, error."""
        names = {413: "Payload Too Large"}  # its name in Python differs between versions
        error = names.get(self.status) or HTTPStatus(self.status).phrase
        return as_json(self.status, {"statusCode": self.status, "message": self.message, "error": error})


def as_json(status: int, value: object) -> Answer:
    """An answer whose body is `value` as JSON."""
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Answer(status, {"Content-Type": "application/json; charset=utf-8"}, body)


def as_html(status: int, text: str) -> Answer:
    """An answer that is a page."""
    return Answer(status, {"Content-Type": "text/html; charset=utf-8"}, text.encode())


def refuse_if(complaints: Iterable[str]) -> None:
    """Refusal 400 with every complaint; nothing when there is none."""
    if found := list(complaints):
        raise Refusal(400, found)
