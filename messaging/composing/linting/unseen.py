"""Characters of a text nobody sees: those that turn the direction of writing, and those that only take up room. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from messaging.channels.plain import name_of

# Unicode TR 9: overrides show a text otherwise than it is; the others belong into texts that run from right to left.
_OVERRIDES: Final = "\u202d\u202e"
_TURNING: Final = _OVERRIDES + "\u061c\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069"
# Between letters that join, in emoji and behind symbols these two and the selectors are part of the writing.
_JOINING: Final = "\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
_TAGS: Final = "\U000e0020-\U000e007f"  # behind a black flag they make the flag of a region
_NEVER: Final = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b"
    "\u2060-\u2065\u206a-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0001"
)
_turning: Final = re.compile(f"[{_TURNING}]")
_unseen: Final = re.compile(
    rf"[{_NEVER}]|(?:^|(?<=[\x00-\u058f])(?<![©®#*0-9]))[{_JOINING}]|(?<![\U0001f3f4{_TAGS}])[{_TAGS}]"
)


def turning(text: str) -> list[str]:
    """The names of characters that turn the direction of a text without need, each once."""
    found = dict.fromkeys(_turning.findall(text))
    if not found or not _runs_left(text):
        return [name_of(each) for each in found]
    return [name_of(each) for each in found if each in _OVERRIDES]


def unseen(text: str) -> list[str]:
    """The names of other characters nobody sees and no writing needs, each once."""
    return [name_of(each) for each in dict.fromkeys(_unseen.findall(text))]


def _runs_left(text: str) -> bool:
    """Whether letters of it are written from right to left, as in Arabic and Hebrew."""
    return any(unicodedata.bidirectional(each) in {"R", "AL"} and each.isalpha() for each in text)
