"""Log lines without credentials and without whole phone numbers: what a log says, many people and machines may read."""

from __future__ import annotations

import logging
import re
from typing import Final

# Each pattern with what stands in its place. The order matters: what is masked first is not looked at again.
_MASKS: Final[list[tuple[re.Pattern[str], str]]] = [
    (re.compile(r"smsp_[0-9A-Za-z]+"), "smsp_***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+(?!smsp_)[\w.~+/=-]{4,}"), r"\1 ***"),
    # The address of a webhook is its password.
    (re.compile(r"(/hooks/[\w-]+/)[^/\s?\"']+"), r"\1***"),
    (
        re.compile(
            r"(?i)\b((?:[\w-]*[_-])?(?:api[_-]?key|api[_-]?token|access[_-]?token|password|passwd|secret)s?)"
            r"([\"']?\s*[:=]\s*)(?:[bu]?\"[^\"]*\"|[bu]?'[^']*'|[^\s\"',;&}\])]+)"
        ),
        r"\1\2***",
    ),
    (re.compile(r"(?:\+|%2[Bb])\d{3,11}(\d{4})(?!\d)"), r"***\1"),
    # North American numbers as people write them; ten digits in a row may be something else and are masked as well.
    (
        re.compile(r"(?<![A-Za-z0-9.])(?:\+?1[-. ]?)?\(?\d{3}\)?[-. ]{0,2}\d{3}[-. ]?(\d{4})(?![A-Za-z0-9])"),
        r"***\1",
    ),
]


def mask(text: str) -> str:
    """`text` with tokens, keys and passwords gone, and of phone numbers the last four digits left."""
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return text


class Mask(logging.Filter):
    """Masks the message, the traceback and the stack of a record before any handler writes them."""

    _plain = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = mask(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = self._plain.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = mask(record.exc_text)
        if record.stack_info:
            record.stack_info = mask(record.stack_info)
        return True
