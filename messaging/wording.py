"""Templates: a text with `{{Field_Name}}` or `{{Field_Name|fallback}}` becomes a fast renderer; what it fills in is data. Pure."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from smsportal.problems import Wrong

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_JOINERS: Final = "\u200c\u200d"  # they shape emoji and some scripts; every other invisible character is dropped

Renderer = Callable[[Mapping[str, str]], tuple[str, list[str]]]


@dataclass(frozen=True, slots=True)
class Slot:
    """One placeholder. `fallback` None: a person without a value is not written to; "": the place may stay blank."""

    name: str
    fallback: str | None = None


def parse(text: str) -> list[str | Slot]:
    """The literal pieces and the placeholders of `text`, in order; raises Wrong naming the spot of a broken brace."""
    parts: list[str | Slot] = []
    at = 0
    while (start := text.find("{{", at)) != -1:
        parts.append(_literal(text, at, start))
        end = text.find("}}", start + 2)
        inner = text[start + 2 : end]
        if end == -1 or "{" in inner or "\n" in inner:
            raise _broken(text, start, "opens a placeholder that is not closed; write {{Field_Name}}")
        parts.append(_slot(text, start, inner))
        at = end + 2
    parts.append(_literal(text, at, len(text)))
    return [part for part in parts if part != ""]


def _literal(text: str, start: int, end: int) -> str:
    if (stray := text.find("}}", start, end)) != -1:
        raise _broken(text, stray, "closes a placeholder that was not opened; write {{Field_Name}}")
    return text[start:end]


def _slot(text: str, start: int, inner: str) -> Slot:
    name, bar, fallback = inner.partition("|")
    name = name.strip()
    if not name:
        raise _broken(text, start, "is a placeholder without a field; put the field's name between the braces")
    if not _NAME.match(name):
        raise _broken(text, start, "is not a field's name; names have letters, digits and _, as in {{First_Name}}")
    return Slot(name, fallback.strip() if bar else None)


def _broken(text: str, at: int, why: str) -> Wrong:
    spot = text[at : at + 24].replace("\n", " ")
    sentence = f"“{spot}” at character {at + 1} {why}."
    return Wrong(sentence, errors={"text": [sentence]})


def placeholders(text: str) -> list[str]:
    """The fields `text` names, each once, in the order of their first use; raises Wrong for broken braces."""
    return list(dict.fromkeys(slot.name for slot in _slots(text)))


def literal(text: str) -> str:
    """`text` with its fallbacks filled in and its other placeholders left out: the shortest it can become."""
    return "".join((part.fallback or "") if isinstance(part, Slot) else part for part in parse(text))


def _slots(text: str) -> Iterator[Slot]:
    return (part for part in parse(text) if isinstance(part, Slot))


def compile_text(text: str) -> Renderer:
    """A function from a person's fields to (the text for this person, the names of placeholders without a value).

    Filled in one pass, so a value that looks like a placeholder or a format stays text. In values every kind of line
    break or blank is one space and characters nobody can see are dropped. Under a microsecond for ordinary values.
    Raises Wrong for broken braces.
    """
    parts = parse(text)
    slots = tuple(part for part in parts if isinstance(part, Slot))
    names = tuple(slot.name for slot in slots)
    pattern = "".join("%s" if isinstance(part, Slot) else part.replace("%", "%%") for part in parts)

    def unchanged(values: Mapping[str, str]) -> tuple[str, list[str]]:
        return text, []

    pick: Callable[[Mapping[str, str]], tuple[str, ...]]
    pick = itemgetter(*names) if len(names) > 1 else lambda values: (values[names[0]],)
    spaced = " " + "%s " * len(names)

    def render(values: Mapping[str, str]) -> tuple[str, list[str]]:
        try:
            filled = pick(values)
        except KeyError:
            filled = ("",) * len(names)
        # At one glance: between single blanks, a value that is missing or has a blank too many makes two in a row.
        together = spaced % filled
        if "  " not in together and together.isprintable():
            return pattern % filled, []
        cleaned = [plain(values.get(name, "")) for name in names]
        blank = [slot.name for slot, value in zip(slots, cleaned, strict=True) if not value and slot.fallback is None]
        given = (value or slot.fallback or "" for slot, value in zip(slots, cleaned, strict=True))
        return pattern % tuple(given), list(dict.fromkeys(blank))

    return render if slots else unchanged


def plain(value: str) -> str:
    """`value` on one line, its blanks single spaces, without control, direction or other invisible characters."""
    if value.isprintable() and "  " not in value:
        return value.strip()
    kept = (
        character if unicodedata.category(character) not in {"Cc", "Cf", "Cs"} or character in _JOINERS else ""
        for line in value.split()
        for character in (*line, " ")
    )
    return " ".join("".join(kept).split())


def refuse_unknown(text: str, schemas: Mapping[str, Collection[str]]) -> None:
    """Raise Wrong when `text` needs a field that a list lacks. `schemas`: a list's name → the names of its fields.

    A placeholder with a fallback needs its field in one of the lists only.
    """
    if not schemas:
        return
    everywhere = set.intersection(*(set(fields) for fields in schemas.values()))
    somewhere = set().union(*schemas.values())
    sentences = [
        _unknown(slot.name, schemas, sorted(everywhere))
        for slot in dict.fromkeys(_slots(text))
        if slot.name not in (everywhere if slot.fallback is None else somewhere)
    ]
    if sentences:
        raise Wrong(" ".join(sentences), errors={"text": sentences})


def _unknown(name: str, schemas: Mapping[str, Collection[str]], there: list[str]) -> str:
    without = [title for title, fields in schemas.items() if name not in fields]
    by_lower = {field.lower(): field for field in there}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    hint = f" Did you mean {{{{{by_lower[near[0]]}}}}}?" if near else f" There are: {', '.join(there)}."
    return f"{{{{{name}}}}} is not a field of {', '.join(f'“{title}”' for title in without)}.{hint}"
