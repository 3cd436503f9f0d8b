"""What a text should not hold or lacks, by the rules of carriers, privacy and good manners: warnings, never a refusal. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from messaging import wording
from messaging.composing.linting.contents import Finding, lint_content

__all__ = ["Finding", "lint", "lint_content"]


def lint(text: str, *, names: Collection[str]) -> list[Finding]:
    """What to look at in the text of a batch, placeholders included. `names`: how the office may call itself.

    Raises Wrong for broken braces.
    """
    return [*lint_content(text), *_about_fields(text), *_about_capitals(text), *_about_manners(text, names)]


# --- what the fields of a template tell of it ------------------------------------------------------------------------
# Words in the names of fields → the code of what their values are.
_FIELD_WORDS: Final[dict[str, str]] = {
    **dict.fromkeys(["ssn", "social", "sin", "itin"], "ssn"),
    **dict.fromkeys(["gpa", "grade", "grades", "mark", "marks", "score", "probation"], "grades"),
    **dict.fromkeys(["password", "passcode", "pin", "secret", "otp"], "password"),
    **dict.fromkeys(["card", "iban", "routing", "acct"], "account_number"),
    **dict.fromkeys(["balance", "owed", "debt", "arrears", "due"], "money_owed"),
}
_HARMLESS: Final = {"level", "date", "day", "deadline", "time", "media", "name", "id", "by"}
_PRIVATE: Final[dict[str, str]] = {
    "ssn": "a social security number",
    "grades": "a grade or how somebody does in class",
    "password": "a password, a PIN or a code",
    "account_number": "the number of a card or an account",
    "money_owed": "what somebody owes",
}


_HALF_BRACED: Final = re.compile(r"(?<!\{)\{ ?[A-Za-z]\w*(?:\|[^{}\n]*)? ?\}(?!\})")


def _about_fields(text: str) -> Iterator[Finding]:
    for literal in dict.fromkeys(_HALF_BRACED.findall(text)):
        yield Finding(
            "braces",
            f"“{literal}” is sent as it stands, to everybody.",
            f"Write it with two braces on each side if a field is meant: {{{literal}}}.",
        )
    for name in wording.placeholders(text):
        words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
        parts = {word.lower() for word in words}
        codes = {_FIELD_WORDS[part] for part in parts if part in _FIELD_WORDS} if not parts & _HARMLESS else set()
        for code in sorted(codes):
            yield Finding(
                code,
                f"{{{{{name}}}}} seems to hold {_PRIVATE[code]}.",
                "Leave it out: say that there is news, and let people sign in to see it.",
            )


# --- what is shouted --------------------------------------------------------------------------------------------------
_COMMANDS: Final = {"STOP", "HELP", "START", "YES", "NO"}
_SHOUTED_RUN: Final = 3  # words in a row; commas and the like part a list of acronyms
# Placeholders and web addresses, whose capitals nobody chose: people may be named in capitals.
_NOT_CHOSEN: Final = re.compile(r"\{\{[^{}]{0,80}\}\}|(?<!\S)\S*(?:://|@)\S+")


def _about_capitals(text: str) -> Iterator[Finding]:
    phrases = re.split(r"[,;/&()\d]", _NOT_CHOSEN.sub(" ", text))
    if max(map(_longest_run, phrases)) >= _SHOUTED_RUN:
        yield Finding(
            "capitals",
            "Carriers may block texts in capital letters, and people feel shouted at.",
            "Write it in small ones.",
        )


def _longest_run(phrase: str) -> int:
    longest = run = 0
    for word in re.findall(r"[^\W\d_]{2,}", phrase):
        run = run + 1 if word.isupper() and word not in _COMMANDS else 0
        longest = max(longest, run)
    return longest


# --- what a text to many people needs --------------------------------------------------------------------------------
_STOP: Final = re.compile(
    r"\bSTOP\b|(?i:\b(?:reply|text|send|answer|txt)\b[^.!?\n]{0,12}\b(?:stop|end|quit|cancel|unsubscribe)\b)"
    r"|(?i:\bto (?:opt[- ]out|unsubscribe)\b)"
)
# Words many offices have in their names, so that they say nothing of who writes.
_COMMON: Final = re.compile(
    r"office|department|dept|the|of|and|for|at|cent(?:er|re)|university|college|school|students?|services?|affairs|unit|team"
    r"|division|programs?"
)


def _about_manners(text: str, names: Collection[str]) -> Iterator[Finding]:
    if not _says_who(text, names):
        name = next(iter(names), "Registrar")
        yield Finding("sender", "The text does not say who writes.", f"Name your office, such as “{name}”.")
    if not _STOP.search(text):
        yield Finding(
            "stop", "The text does not say how to opt out.", "Carriers ask for it: add “Reply STOP to opt out”."
        )


def _says_who(text: str, names: Collection[str]) -> bool:
    """Whether `text` has one of the names, or a word of one that no other office has in its name, or its initials."""
    plain, words = text.casefold(), set(re.findall(r"\w+", text.casefold()))
    for name in filter(None, names):
        told = re.findall(r"\w+", name.casefold())
        initials = "".join(word[0] for word in told if word not in {"of", "the", "and", "for"}).upper()
        own = {word for word in told if len(word) > 3 and not _COMMON.fullmatch(word)}
        if name.casefold() in plain or own & words or (len(initials) > 2 and re.search(rf"\b{initials}\b", text)):
            return True
    return False
