"""Reads JSON that strangers wrote (webhook bodies, answers): guarded, cleaned, and never trusted to be well-formed."""

from __future__ import annotations

import json
import math
from typing import Final, NoReturn

from smsportal.providers.errors import Garbled
from smsportal.text import clean_json

MAX_DEPTH: Final = 32
MAX_ELEMENTS: Final = 10_000  # of one array or object
MAX_DIGITS: Final = 18  # longer integers become text: no database column holds them
# The member that names the keys an object repeats with different values. Such an object means two things at once.
REPEATED: Final = "(repeated keys)"


def read(body: bytes) -> object:
    """The JSON value in `body`, safe to store on both databases (see `smsportal.text.clean_json`).

    Integers of more than 18 digits become text; an object that repeats a key with another value keeps the last one
    and names the key under "(repeated keys)". Raises Garbled with the reason when the body is not UTF-8 (a byte
    order mark is skipped), not JSON, nested deeper than 32, longer than 10,000 members in one array or object, or
    holds NaN or an infinite number.
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
    return clean_json(value)


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


def _guard(value: object) -> None:
    """Refuse what is too deep or too wide, without recursion of our own."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[object] = []
        for each in level:
            if isinstance(each, list | dict):
                if len(each) > MAX_ELEMENTS:
                    raise Garbled(f"It holds more than {MAX_ELEMENTS:,} elements.")
                below.extend(each.values() if isinstance(each, dict) else each)
        if not below:
            return
        level = below
    raise Garbled(f"It is nested deeper than {MAX_DEPTH} levels.")
