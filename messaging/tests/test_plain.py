"""What stands in for characters that force Unicode, told in tables."""

from __future__ import annotations

import pytest

from messaging.channels import plain, sms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It’s “here” – now…", 'It\'s "here" - now...'),
        ("Zoë, José and señor", "Zoe, José and señor"),  # é and ñ cost nothing
        ("a\u00a0b\u2009c\u200bd\ufeff", "a b cd"),
        ("½ of it → ①", "1/2 of it -> 1"),
        ("ﬁne ™", "fine (TM)"),
        ("Hello {{First_Name|Zoë}}", "Hello {{First_Name|Zoe}}"),
        ("plain", "plain"),
        ("Party 🎉 – now", "Party 🎉 - now"),
        ("Family 👨\u200d👩\u200d👧 – now", "Family 👨\u200d👩\u200d👧 - now"),
        ("नमस्ते – now", "नमस्ते - now"),  # the marks belong to their letters
        ("", ""),
    ],
)
def test_what_has_a_plain_equal_gets_it_and_nothing_else_changes(text, expected):
    assert plain.plain(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Party 🎉 – now", "Party - now"),
        ("🎉 Party", "Party"),
        ("Party 🎉🎉", "Party"),
        ("One\n🎉 two  three", "One\ntwo  three"),
        ("👨\u200d👩\u200d👧 Family", "Family"),
        ("plain  text", "plain  text"),
    ],
)
def test_dropping_leaves_a_text_without_unicode_and_no_holes(text, expected):
    assert plain.plain(text, drop=True) == expected
    assert sms.measure(expected).encoding == "GSM-7"


def test_a_culprit_is_named_and_says_what_could_stand_there():
    curly, party = plain.culprits("It’s 🎉")
    assert (curly.name, curly.instead) == ("right single quotation mark", "'")
    assert (party.name, party.instead) == ("party popper", None)


def test_no_stand_in_forces_unicode_itself():
    every = "".join(chr(code) for code in range(0x20, 0x3000) if chr(code).isprintable())
    assert [each for each in plain.culprits(every) if each.instead and sms.culprits(each.instead)] == []


@pytest.mark.parametrize(
    ("character", "name"), [("\t", "tab"), ("\x07", "control character U+0007"), ("’", "right single quotation mark")]
)
def test_every_character_is_named_so_that_people_know_it(character, name):
    assert plain.name_of(character) == name
