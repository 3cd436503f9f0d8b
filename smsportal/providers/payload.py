"""Reads JSON that strangers wrote (webhook bodies, answers), guarded, cleaned, never trusted to be well-formed; writes ours."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any, Final, NoReturn

import orjson

from smsportal.providers.errors import Garbled, Invalid
from smsportal.text import clean_json

MAX_DEPTH: Final = 32
MAX_ELEMENTS: Final = 10_000  # of one array or object
MAX_DIGITS: Final = 18  # longer integers become text: no database column holds them
# The member that names the keys an object repeats with different values. Such an object means two things at once.
REPEATED: Final = "(repeated keys)"
_ONLY_JSON: Final = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


def read(body: bytes) -> object:
    """The JSON value in `body`, safe to store on both databases (see `smsportal.text.clean_json`).

    Integers of more than 18 digits become text; an object that repeats a key with another value keeps the last one
    and names the key under "(repeated keys)". Raises Garbled with the reason when the body is not UTF-8 (a byte
    order mark is skipped), not JSON, nested deeper than 32, longer than 10,000 members in one array or object, or
    holds NaN or an infinite number.
    """
    with suppress(orjson.JSONDecodeError, orjson.JSONEncodeError):
        quick = orjson.loads(body)
        if orjson.dumps(quick, option=orjson.OPT_STRICT_INTEGER) == body:
            _guard(quick)
            return quick if _is_clean(body.decode()) else clean_json(quick)
    return _read_closely(body)


def _read_closely(body: bytes) -> object:
    """What `read` gives, at three times its cost: for whatever JSON.stringify would not have written.

    Whitespace, repeated keys, integers above 53 bits, infinite numbers, a byte order mark, and all that is wrong.
    """
    try:
        text = body.decode("utf-8-sig")
        value = json.loads(
            text,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_refuse,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError:
        raise Garbled("It is not UTF-8 text.") from None
    except RecursionError:
        raise Garbled(f"It is nested deeper than {MAX_DEPTH} levels.") from None
    except ValueError as wrong:
        raise Garbled(f"It is not JSON: {wrong}.") from None
    _guard(value)
    return value if _is_clean(text) else clean_json(value)


def write(body: object) -> bytes:
    """`body` as JSON in UTF-8. Raises Invalid for what JSON cannot hold.

    orjson takes a fifth of the time of `json`, which decides wherever the two differ.
    """
    with suppress(orjson.JSONEncodeError):
        quick = orjson.dumps(body, option=_ONLY_JSON)
        if b"null" not in quick:  # what NaN becomes
            return quick
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as wrong:
        raise Invalid(f"The request cannot be written as JSON: {wrong}") from wrong


def elements(payload: object) -> list[object]:
    """The events in a webhook's payload: the members of an array, of `{"events": […]}`, or the one object itself."""
    if isinstance(payload, list):
        return payload
    if isinstance(payload, dict) and isinstance(payload.get("events"), list):
        return list(payload["events"])
    return [payload]


def words(body: bytes) -> str:
    """What an error answer says, for staff: its message as plain text, or "" when it says nothing readable.

    Knows NestJS's `{statusCode, message, error}` with a text or a list as message and the
    nested forms of others. A page of HTML says nothing to staff.
    """
    try:
        value = read(body)
    except Garbled:
        text = body[:2000].decode("utf-8", "replace").strip()
        return "" if "<" in text or "\ufffd" in text else " ".join(text.split())[:300]
    return words_of(value)


def words_of(value: object) -> str:
    """What a decoded error, or the part of an answer that tells of one, says: plain text on one line, or ""."""
    return " ".join(_message(value, 0).split())[:1000]


def _message(value: object, depth: int) -> str:
    if depth > 3 or value is None or isinstance(value, bool):
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_message(each, depth + 1) for each in value[:10])))
    if not isinstance(value, dict):
        return str(value)
    named = (_message(value.get(key), depth + 1) for key in ("message", "errors", "error", "detail", "title"))
    inner = (_message(each, depth + 1) for each in list(value.values())[:10] if isinstance(each, dict | list))
    return next(filter(None, named), "") or "; ".join(filter(None, inner))


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_DIGITS else digits


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        _refuse(digits)
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant[:20]} is not a number JSON knows")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        repeated = sorted({key for key, value in pairs if found[key] != value})
        if repeated:
            found[REPEATED] = repeated
    return found


def _is_clean(text: str) -> bool:
    """Whether every text in this JSON is clean as it stands: NUL and half characters can only come as escapes."""
    return text.isascii() and "\\" not in text


def _guard(value: object) -> None:
    """Refuse what is too deep or too wide, without recursion of our own."""
    level: list[Any] = [value] if isinstance(value, list | dict) else []
    for _ in range(MAX_DEPTH):
        _guard_width(level)
        level = [
            inner
            for each in level
            for inner in (each.values() if type(each) is dict else each)
            if type(inner) is dict or type(inner) is list  # in half the time of isinstance
        ]
        if not level:
            return
    _guard_width(level)
    if any(level):
        raise Garbled(f"It is nested deeper than {MAX_DEPTH} levels.")


def _guard_width(level: list[Any]) -> None:
    if max(map(len, level), default=0) > MAX_ELEMENTS:
        raise Garbled(f"It holds more than {MAX_ELEMENTS:,} elements.")
