"""What a request body must be: of a length that is said, JSON that both databases can store, known fields only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from rest_framework import serializers
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

from smsportal.problems import Problem

_DEPTH: Final = 30


class NoLength(Problem):
    """A body, or what may be one, whose length is not said: 411."""

    status = 411
    title = "The length of the body is missing"


def length_of(request: Request) -> int:
    """The length of the body, 0 where there is none. Raises NoLength when the body would not be read or not as a whole."""
    said = request.META.get("CONTENT_LENGTH") or ""
    # Django takes a body without a Content-Length for an empty one: the call would be carried out without it.
    in_chunks = "HTTP_TRANSFER_ENCODING" in request.META
    if in_chunks or (not said.isdecimal() if said else request.read(1)):
        raise NoLength("Send a Content-Length, and no Transfer-Encoding. Nothing was done.")
    return int(said or 0)


class StrictJSONParser(JSONParser):
    """JSON without NUL, half characters or infinite numbers (no database stores them), nested no deeper than needed."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            parsed = super().parse(stream, media_type, parser_context)
        except RecursionError as deep:
            raise ParseError("The JSON is nested too deeply.") from deep
        _refuse_unstorable(parsed, _DEPTH)
        return parsed


def _refuse_unstorable(value: object, depth: int) -> None:
    if depth == 0:
        raise ParseError("The JSON is nested too deeply.")
    if isinstance(value, str):
        _refuse_unstorable_text(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ParseError("The JSON contains a number too large for anything.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_unstorable_text(key)
            _refuse_unstorable(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _refuse_unstorable(item, depth - 1)


def _refuse_unstorable_text(text: str) -> None:
    if text.isascii():
        if "\0" in text:
            raise ParseError("The JSON contains a NUL character (\\u0000), which cannot be stored.")
        return
    try:
        text.encode()
    except UnicodeEncodeError as half:
        raise ParseError("The JSON contains half of a surrogate pair, which is no character.") from half
    if "\0" in text:
        raise ParseError("The JSON contains a NUL character (\\u0000), which cannot be stored.")


class StrictSerializer(serializers.Serializer[Any]):
    """A body in which every field is known and writable; others are refused by name instead of being ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            fields = self.fields
            wrong = {
                name: ["The portal sets this field; leave it out." if name in fields else "There is no such field."]
                for name in data
                if name not in fields or fields[name].read_only
            }
            if wrong:
                raise ValidationError(wrong)
        return super().to_internal_value(data)
