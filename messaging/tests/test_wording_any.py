"""Whatever a template and the values are, a value is filled in once and never read again; renderers that do are caught."""

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.wording import Slot, compile_text, literal, parse, placeholders, plain

NAMES = ("First_Name", "Last_Name", "Note")
# What somebody may put into a name: all that a template language could act on.
NASTY = [
    "Ada", "", " ", "{{Last_Name}}", "{{Note|x}}", "{x.__class__}", "{0}", "{First_Name}", "%s", "%(Note)s", "%", "$Note",
    "${Note}", "((Note))", "{% include 'settings.py' %}", "{{", "}}", "\\1", "\\g<0>", "\\", "a\\nb", "<b>", "=1+1",
    "A\nURGENT", "x\u2028y", "\u202eadA", "A\u200bd", "  A  d ", "Zoë 李 🎉",
]  # fmt: skip

WORDS = st.sampled_from(NASTY) | st.text(max_size=12)
LITERALS = st.sampled_from(["", "Hi ", "%", "%s", "%(x)s", "{0}", "{", "} ", "\\1", "$Note", "€ é”", "\n"]) | st.text(
    "a{%\\$ é", max_size=6
)
SLOTS = st.builds(Slot, st.sampled_from(NAMES), st.none() | st.sampled_from(["", "there", "%s", "\\1", "my friend"]))


def spelled(parts):
    """A template of these pieces, with the braces that would join up taken out of the words between them."""
    words = [
        part.replace("{", "(").replace("}", ")") if isinstance(part, str) and ("{{" in part or "}}" in part) else part
        for part in parts
    ]
    told = []
    for part in words:
        if isinstance(part, Slot):
            told.append("{{" + part.name + ("" if part.fallback is None else f"|{part.fallback}") + "}}")
        else:
            told.append(part.strip("{}"))
    return "".join(told)


def by_hand(text, values):
    """Character by character, slow and obvious: what stands between double braces is looked up, all else is copied."""
    told, blank, at = "", [], 0
    while at < len(text):
        if text.startswith("{{", at):
            end = text.index("}}", at)
            name, bar, fallback = text[at + 2 : end].partition("|")
            value = plain(values.get(name.strip(), ""))
            if not value and not bar and name.strip() not in blank:
                blank.append(name.strip())
            told += value or fallback.strip()
            at = end + 2
        else:
            told += text[at]
            at += 1
    return told, blank


def agrees(render, text, values):
    """Assert that a renderer says of these values what filling in by hand says. One that fails, disagrees."""
    try:
        got = render(text)(values)
    except Exception as failed:
        raise AssertionError(repr(failed)) from failed
    assert got == by_hand(text, values)


@settings(deadline=None, max_examples=200)
@given(st.lists(LITERALS | SLOTS, max_size=6), st.dictionaries(st.sampled_from(NAMES), WORDS))
def test_any_template_with_any_values_is_filled_in_once(parts, values):
    text = spelled(parts)
    agrees(compile_text, text, values)
    assert "".join(_told(part) for part in parse(text)) == text
    assert set(placeholders(text)) == {part.name for part in parts if isinstance(part, Slot)}


@settings(deadline=None)
@given(WORDS, WORDS, WORDS)
def test_no_value_changes_what_another_place_says(first, last, note):
    text, _ = compile_text("<{{First_Name|-}}|{{Last_Name|-}}|{{Note|-}}>")(
        {"First_Name": first, "Last_Name": last, "Note": note}
    )
    assert text == f"<{plain(first) or '-'}|{plain(last) or '-'}|{plain(note) or '-'}>"
    assert "\n" not in text


def _told(part):
    if isinstance(part, str):
        return part
    return "{{" + part.name + ("" if part.fallback is None else f"|{part.fallback}") + "}}"


# --- renderers with a mistake ----------------------------------------------------------------------------------------
def many_passes(text):
    """Mistaken: what was filled in is read again."""

    def render(values):
        told, blank = text, []
        for _ in range(2):
            if "{{" in told:
                told, more = by_hand(told, values)
                blank += more
        return told, blank

    return render


def by_format(text):
    """Mistaken: `str.format` looks into objects and knows no literal brace."""

    def render(values):
        cleaned = {name: plain(values.get(name, "")) for name in NAMES}
        return re.sub(r"\{\{(\w+)[^}]*\}\}", r"{\1}", text).format(**cleaned), []

    return render


def by_substitution(text):
    """Mistaken: a value is a replacement pattern, in which a backslash means something."""

    def render(values):
        told = text
        for name in NAMES:
            told = re.sub(r"\{\{" + name + r"[^}]*\}\}", plain(values.get(name, "")), told)
        return told, []

    return render


def by_dollar(text):
    """Mistaken: a dollar sign that belongs to the text is read."""
    return lambda values: (string.Template(by_hand(text, values)[0]).safe_substitute(values), by_hand(text, values)[1])


def as_it_is(text):
    """Mistaken: line breaks and invisible characters of a value come along."""

    def render(values):
        told = "".join(
            part if isinstance(part, str) else values.get(part.name, "") or part.fallback or "" for part in parse(text)
        )
        return told, by_hand(text, values)[1]

    return render


def without_fallback(text):
    """Mistaken: a blank is a blank, whatever the fallback."""
    return lambda values: (
        compile_text(text)(values)[0],
        [name for name in placeholders(text) if not plain(values.get(name, ""))],
    )


@pytest.mark.parametrize(
    "mistaken",
    [many_passes, by_format, by_substitution, by_dollar, as_it_is, without_fallback],
    ids=lambda each: each.__name__,
)
def test_planted_mistakes_are_caught(mistaken):
    wrong = 0
    for value in NASTY:
        for text in ("Hi {{First_Name}}, {{Last_Name|you}}: $Note", "{{First_Name|there}} {0}"):
            try:
                agrees(mistaken, text, {"First_Name": value, "Last_Name": "Park", "Note": "secret"})
            except AssertionError:
                wrong += 1
    assert wrong
    assert literal("Hi {{First_Name|there}}") == "Hi there"
