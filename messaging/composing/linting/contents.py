"""What a text should not hold, whoever wrote it: secrets, marks, debts, and what carriers take for spam. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from messaging.composing.linting.unseen import turning, unseen

_I: Final = re.IGNORECASE


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at: a code for programs, what was found, and what to do about it."""

    code: str
    sentence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}"


def lint_content(text: str) -> list[Finding]:
    """What `text` should not hold: asked of a template, and of a text as one person would get it."""
    return [finding for find in _CONTENT if (finding := find(text)) is not None]


_SSN: Final = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\d-])")
_SSN_NAMED: Final = re.compile(
    r"\b(?:SSN|social security (?:number|no\.?|#))[^.!?\n]{0,25}?\d{4}|(?<!\d)\d{9}(?!\d)[^.!?\n]{0,12}\bSSN\b", _I
)
_GRADE_LETTER: Final = r"(?:[A-D][+-]?|F)(?![\w'’+-])"
_GRADES: Final = re.compile(
    rf"\bGPA\b[^.!?\n]{{0,25}}\b[0-4]\.\d|\b[0-4]\.\d+ ?GPA\b"
    rf"|\b(?i:grades?|marks?)\b(?![- ]?levels?\b)[^.!?\n]{{0,40}}?(?:\b(?:is|was|are|of|to|=)|:)\s*(?:an? )?"
    rf"(?:{_GRADE_LETTER}|\d{{1,3}} ?(?:%|/ ?100|percent))"
    rf"|\b(?i:you|she|he|they|student) (?i:got|received|earned|scored|made|have)\b[^.!?\n]{{0,25}}?\b"
    rf"(?:an? {_GRADE_LETTER} (?:in|on|for)\b|\d{{1,3}} ?(?:%|/ ?100|percent|points) (?:in|on|for)\b)"
    rf"|\b(?i:score|result)s?\b[^.!?\n]{{0,30}}?(?:is|was|:)\s*\d{{1,3}} ?(?:%|/ ?\d{{2,3}}|percent|points)"
    rf"|\b(?i:you(?: are|['’]re| have been)(?: currently| now)? (?:failing|placed on academic|on academic (?:probation|suspension|warning)))"
)
_SECRET: Final = r"(?:passwords?|passcodes?|passphrases?|PINs?|(?:access|log-?in|verification|security|door|one-time|sign-in) codes?)"
_PASSWORD: Final = re.compile(
    rf"\b{_SECRET}\b(?: (?:for|to) [^.!?\n]{{1,30}}?)? ?(?:(?:is|are|will be)(?: now)?[: ]\s*(?=\S*[\d!@#$%^&*{{])\S{{3,}}"
    rf"|[:=]\s*(?!https?:)\S{{3,}})"
    rf"|\bPIN (?:is |code )?#?\d{{3,8}}\b"
    rf"|\b(?:reply|respond|text|send|give|tell|e-?mail)\b[^.!?\n]{{0,25}}\b(?:your|the) {_SECRET}\b(?! (?:reset|change))",
    _I,
)
_CARD: Final = re.compile(r"(?<![\d-])(?:\d[ -]?){12,18}\d(?![\d-])")
_ACCOUNT: Final = re.compile(
    r"\b(?:account|acct|routing|IBAN|card|bank)\b\.?(?: (?:number|no\.?|ending in|ending))?[ #:]*(?:is )?#?\d{4,17}\b",
    _I,
)
_MONEY: Final = (
    r"(?:\$ ?\d[\d,]{0,12}(?:\.\d\d)?|(?<![\d,])\d[\d,]{0,12}(?:\.\d\d)? ?(?:dollars|USD)\b|\$?\{\{[^{}]{0,80}\}\})"
)
_OWING: Final = (
    r"(?:you (?:still )?owe|amount (?:due|owed)|past[- ]due|overdue|outstanding|unpaid|balance|in collections?|debt|arrears"
    r"|payment of|charge of|fine of)"
)
_OWED: Final = re.compile(
    rf"\b{_OWING}\b[^.!?\n]{{0,40}}?{_MONEY}|{_MONEY}[^.!?\n]{{0,25}}\b(?:past[- ]due|overdue|outstanding|unpaid|owed|owing|in arrears)\b"
    rf"|\b(?:account|tuition|fees?|bill|rent)\b[^.!?\n]{{0,20}}\b(?:is|are) (?:now )?(?:past[- ]due|overdue|delinquent|in collections?)\b",
    _I,
)
# Public shorteners, which carriers block because anybody may use them.
_SHORTENED: Final = re.compile(
    r"(?<![\w.@-])(?:https?://)?(?:www\.)?(bit\.ly|bitly\.com|tinyurl\.com|t\.co|goo\.gl|ow\.ly|is\.gd|buff\.ly|rebrand\.ly"
    r"|cutt\.ly|shorturl\.at|tiny\.cc|rb\.gy|bl\.ink|t\.ly|v\.gd|s\.id|soo\.gd|clck\.ru|lnkd\.in|adf\.ly|mcaf\.ee|short\.io"
    r"|qr\.ae|tr\.im|surl\.li|shorte\.st|bit\.do|u\.to|x\.gd)/\S",
    _I,
)
_PLAIN_LINK: Final = re.compile(r"\bhttp://\S+", _I)
_UNSUBSCRIBE_LINK: Final = re.compile(
    r"(?:https?://|www\.)\S*(?:unsub|opt-?out|optout|remove-?me|preferences)\S*"
    r"|\b(?:unsubscribe|opt[- ]?out|stop (?:texts|messages))\b[^.!?\n]{0,20}(?:https?://|www\.)\S+",
    _I,
)
_PHONE: Final = re.compile(r"(?<!\d)(?:\+?1[-. ]?)?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?!\d)")
_MANY_PHONES: Final = 3


def _ssn(text: str) -> Finding | None:
    if not (_SSN.search(text) or _SSN_NAMED.search(text)):
        return None
    return Finding(
        "ssn",
        "The text seems to hold a social security number.",
        "Take it out; texts are read by others and stay on phones. Ask people to sign in or to call.",
    )


def _grades(text: str) -> Finding | None:
    if not _GRADES.search(text):
        return None
    return Finding(
        "grades",
        "The text seems to tell a grade or how somebody does in class.",
        "Education records are private (FERPA): say that there is news, and let people sign in to see it.",
    )


def _password(text: str) -> Finding | None:
    if not _PASSWORD.search(text):
        return None
    return Finding(
        "password",
        "The text seems to tell, or to ask for, a password, a PIN or a code.",
        "Take it out; send people to the page where they set their own.",
    )


def _account(text: str) -> Finding | None:
    cards = (re.sub(r"\D", "", found[0]) for found in _CARD.finditer(text))
    if not (any(map(_is_card, cards)) or _ACCOUNT.search(text)):
        return None
    return Finding(
        "account_number",
        "The text seems to hold the number of a card or an account.",
        "Take it out; name the account so that only its owner knows which is meant.",
    )


def _is_card(digits: str) -> bool:
    """Whether the last digit is the check digit of a card number (ISO/IEC 7812)."""
    doubled = (int(digit) * 2 if place % 2 else int(digit) for place, digit in enumerate(reversed(digits)))
    return len(set(digits)) > 1 and sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _money_owed(text: str) -> Finding | None:
    if not _OWED.search(text):
        return None
    return Finding(
        "money_owed",
        "The text seems to tell somebody what they owe.",
        "Amounts are private and look like fraud: say that there is news about the account, and let people sign in.",
    )


def _shortener(text: str) -> Finding | None:
    if not (found := _SHORTENED.search(text)):
        return None
    return Finding(
        "shortener", f"Carriers block texts with shortened links ({found[1].lower()}).", "Write the full address."
    )


def _http(text: str) -> Finding | None:
    if not _PLAIN_LINK.search(text):
        return None
    return Finding(
        "http_link",
        "A link begins with http://, which phones warn of and anybody on the way can change.",
        "Write https:// and try it, or leave the beginning out.",
    )


def _unsubscribe(text: str) -> Finding | None:
    if not _UNSUBSCRIBE_LINK.search(text):
        return None
    return Finding(
        "unsubscribe_link",
        "A link to unsubscribe does nothing to texts: only STOP is obeyed by the portal and by carriers.",
        "Write “Reply STOP to opt out” instead.",
    )


def _phones(text: str) -> Finding | None:
    if len(_PHONE.findall(text)) < _MANY_PHONES:
        return None
    return Finding(
        "many_numbers", "Carriers may block texts with several phone numbers.", "Give one, or a page that has them all."
    )


def _turned(text: str) -> Finding | None:
    if not (found := turning(text)):
        return None
    return Finding(
        "bidi",
        f"The text holds what turns its direction, so that it may read otherwise than it is ({', '.join(found)}).",
        "Take it out: type the text anew around it instead of pasting it.",
    )


def _unseen(text: str) -> Finding | None:
    if not (found := unseen(text)):
        return None
    return Finding(
        "invisible",
        f"The text holds characters nobody sees ({', '.join(found)}); they break links and words, and make texts dear.",
        "Take them out: type the text anew around them instead of pasting it.",
    )


_CONTENT: Final[tuple[Callable[[str], Finding | None], ...]] = (
    _ssn,
    _grades,
    _password,
    _account,
    _money_owed,
    _shortener,
    _http,
    _unsubscribe,
    _phones,
    _turned,
    _unseen,
)
