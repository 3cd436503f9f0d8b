"""Characters that force a text to Unicode, called by their names, and what people would type in their place. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from messaging.channels import sms

# What word processors and web pages put where a keyboard has something plainer.
_SAME: Final[dict[str, str]] = {
    **dict.fromkeys("‘’‚‛′´`ʼ‹›", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−•‣◦·⁃", "-"),
    **dict.fromkeys("\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
    **dict.fromkeys("\u2028\u2029\u0085", "\n"),
    "…": "...",
    "→": "->",
    "←": "<-",
    "⇒": "=>",
    "×": "x",
    "÷": "/",
    "⁄": "/",
    "©": "(c)",
    "®": "(R)",
    "™": "(TM)",
    "°": " degrees",
    "≤": "<=",
    "≥": ">=",
    "≠": "not equal to",
    "±": "+/-",
    "✓": "yes",
    "✔": "yes",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Culprit:
    """One character that forces a text to Unicode. `instead` is None where nothing plain says the same."""

    character: str
    name: str
    instead: str | None


def culprits(text: str) -> list[Culprit]:
    """The characters, each once, that force `text` to Unicode, in the order they appear."""
    return [Culprit(each, name_of(each), _instead(each)) for each in sms.culprits(text)]


def plain(text: str, *, drop: bool = False) -> str:
    """`text` with plain characters where they say the same; `drop`: also without those that have no plain equal."""
    found = culprits(text)
    hopeless = "".join(each.character for each in found if each.instead is None)
    # Joiners and marks shape the characters beside them: while those stay, so do they.
    shaping = "" if drop or not hopeless else "".join(each.character for each in found if not each.instead)
    instead = {ord(each.character): each.instead for each in found if each.character not in hopeless + shaping}
    told = text.translate(instead)
    if not drop or not hopeless:
        return told
    either = f"[{re.escape(hopeless)}]+"
    return re.sub(f" *{either}", "", re.sub(f"^{either} *", "", told, flags=re.MULTILINE))


def _instead(character: str) -> str | None:
    if character in _SAME:
        return _SAME[character]
    if unicodedata.category(character) in {"Cf", "Cc", "Mn"}:
        return ""  # nobody sees it
    parts = unicodedata.normalize("NFKD", character)
    folded = "".join(each for each in parts if unicodedata.category(each) != "Mn").replace("⁄", "/")
    return folded if folded and not sms.culprits(folded) else None


def name_of(character: str) -> str:
    """What people call `character`."""
    if character == "\t":
        return "tab"
    code = f"U+{ord(character):04X}"
    unnamed = f"control character {code}" if unicodedata.category(character) == "Cc" else code
    return unicodedata.name(character, "").lower() or unnamed
