"""SMS: how many segments a text takes on the air, which characters make it dear, and which replies are commands. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

# Characters; Ocelot takes 2,000 (Texting API, PlainMessage) and advises 1,600 for campaigns (its support pages).
MAX_TEXT: Final = 1600

# 3GPP TS 23.038 §6.2.1, the default alphabet (without ESC), and §6.2.1.1, its extension: ESC and one more septet.
BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION: Final = "\f^{}\\[~]|€"

# A segment holds 140 bytes; the header that joins several takes 6 of them (3GPP TS 23.040 §9.2.3.24.1).
SEPTETS_ALONE, SEPTETS_JOINED = 160, 153
UNITS_ALONE, UNITS_JOINED = 70, 67

_PLAIN: Final = "".join(filter(str.isascii, BASIC)).encode()
_not_basic: Final = re.compile(f"[^{re.escape(BASIC)}]").search
_foreign: Final = re.compile(f"[^{re.escape(BASIC + EXTENSION)}]")
_extended: Final = re.compile(f"[{re.escape(EXTENSION)}]")


@dataclass(frozen=True, slots=True)
class Segments:
    """What a text takes: `units` are septets in GSM-7 and 16-bit units in UCS-2; `culprits` force it to UCS-2."""

    encoding: str  # GSM-7 | UCS-2
    segments: int
    characters: int
    units: int
    culprits: tuple[str, ...] = ()


def count(text: str) -> int:
    """How many segments `text` takes; 0 when it is empty."""
    # Most texts are ASCII: deleting all that is allowed takes a third of the time of searching for what is not.
    if (text.isascii() and not text.encode().translate(None, _PLAIN)) or not _not_basic(text):
        length = len(text)
        return min(length, 1) if length <= SEPTETS_ALONE else -(-length // SEPTETS_JOINED)
    return measure(text).segments


def culprits(text: str) -> tuple[str, ...]:
    """The characters, each once, that force `text` to UCS-2 and so to much shorter segments."""
    return tuple(dict.fromkeys(_foreign.findall(text))) if _not_basic(text) else ()


def measure(text: str) -> Segments:
    """Encoding, segments and units of `text`, exactly as a handset is sent it."""
    foreign = culprits(text)
    if foreign:
        sizes = [2 if ord(character) > 0xFFFF else 1 for character in text]
        alone, joined, encoding = UNITS_ALONE, UNITS_JOINED, "UCS-2"
    else:
        pairs = len(_extended.findall(text))
        sizes = [2 if character in EXTENSION else 1 for character in text] if pairs else [1] * len(text)
        alone, joined, encoding = SEPTETS_ALONE, SEPTETS_JOINED, "GSM-7"
    units = sum(sizes)
    segments = min(units, 1) if units <= alone else _filled(sizes, joined)
    return Segments(encoding, segments, len(text), units, foreign)


def _filled(sizes: Iterable[int], room: int) -> int:
    """How many segments of `room` units it takes when a character of two units may not be torn apart."""
    segments, used = 1, 0
    for size in sizes:
        if used + size > room:
            segments, used = segments + 1, 0
        used += size
    return segments


# --- replies that are commands ---------------------------------------------------------------------------------------
# Stop: FCC 47 CFR 64.1200(a)(10) names the first seven; Ocelot acts on "do not message", "do not text" and "take me
# off your list" besides (its support pages); carriers on STOPALL. "Yes" opts nobody in: it answers questions, too.
KEYWORDS: Final[dict[str, tuple[str, ...]]] = {
    "stop": (
        "stop",
        "quit",
        "end",
        "revoke",
        "opt out",
        "cancel",
        "unsubscribe",
        "stop all",
        "do not message",
        "do not text",
        "don't message",
        "don't text",
        "take me off your list",
    ),
    "start": ("start", "unstop"),
    "help": ("help", "info"),
}
_KIND_OF: Final = {re.sub("[^a-z]", "", phrase): kind for kind, phrases in KEYWORDS.items() for phrase in phrases}

# Letters that look Latin and are not, after casefolding: Cyrillic, Greek, small capitals, digits (Unicode TR 39).
_LOOKS_LIKE: Final = str.maketrans(
    dict(zip("авекмнорстухѕіјԁһԛԝ", "abekmhopctyxsijdhqw", strict=True))
    | dict(zip("αβεζηικμνορτυχ", "abezhikmnoptyx", strict=True))
    | dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True))
    | dict(zip("øłđı015", "oldiois", strict=True))
    # 🅢, 🆂 and 🇸: circled, squared and flag letters that NFKC leaves alone.
    | {first + n: chr(ord("a") + n) for first in (0x1F150, 0x1F170, 0x1F1E6) for n in range(26)}
)


def reply_kind(text: str) -> str:
    """`stop`, `start` or `help` when the whole reply is such a word or phrase, else "".

    Case, accents, punctuation, spacing, emoji, invisible characters and look-alike letters do not matter, nor does
    saying it several times. A sentence that merely contains the word ("stop by my office?") is for people to read.
    """
    words = _letters(text)
    kinds = {_KIND_OF.get(word, "") for word in words}
    return kinds.pop() if len(kinds) == 1 and "" not in kinds else _KIND_OF.get("".join(words), "")


def _letters(text: str) -> list[str]:
    """The words of `text` in plain small Latin letters, or what is left of them."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text[:500]).translate(_LOOKS_LIKE).casefold())
    spelled = folded.translate(_LOOKS_LIKE)
    return re.sub(r"[^a-z\s]", "", spelled).split()
