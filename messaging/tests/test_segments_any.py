"""Any text takes as many segments as one gets by really packing it into messages of 140 bytes; planted mistakes are caught."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from messaging.channels import sms

# 3GPP TS 23.038 §6.2.1 written out anew, row by row; ESC stands at its place.
TABLE = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
ESCAPED = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
SEPTETS = {character: [code] for code, character in enumerate(TABLE) if code != 0x1B} | {
    character: [0x1B, code] for character, code in ESCAPED.items()
}
HEADER = 6  # bytes that say which part of a text a message is


def packed(text):
    """The bits of `text` on the air, or None where the default alphabet has no place for a character."""
    if any(character not in SEPTETS for character in text):
        return None
    return "".join(f"{code:07b}" for character in text for code in SEPTETS[character])


def fits(text, room, plain):
    """Whether `text` fits into `room` bytes."""
    if plain:
        return len(packed(text)) <= room * 8 // 7 * 7
    return len(text.encode("utf-16-be")) <= room


def messages(text):
    """`text` cut into messages, each as long as can be: slow, and nothing but bytes is counted."""
    plain = packed(text) is not None
    if fits(text, 140, plain):
        return [text] if text else []
    parts = []
    while text:
        end = 1
        while end < len(text) and fits(text[: end + 1], 140 - HEADER, plain):
            end += 1
        parts.append(text[:end])
        text = text[end:]
    return parts


def agrees(count, text):
    assert count(text) == len(messages(text)), repr(text)


RUNS = st.lists(st.tuples(st.sampled_from("aZ @é\n€^{}\\[~]|\f”`ç李😀👩"), st.integers(1, 160)), max_size=5)
EDGES = [
    "", "a" * 160, "a" * 161, "a" * 306, "a" * 307, "a" * 152 + "€" + "a" * 152, "a" * 159 + "€", "€" * 80, "€" * 81,
    "€" * 153, "é" * 160, "”" + "a" * 69, "”" + "a" * 70, "”" + "a" * 134, "😀" * 35, "😀" * 36, "😀" * 67,
    "a" * 66 + "😀" + "a" * 66, "`" + "a" * 80, "ç" * 71, "\f" * 81, "a" * 152 + "{" + "a" * 152,
]  # fmt: skip


@settings(deadline=None, max_examples=80)
@given(RUNS)
@example([("a", 152), ("€", 1), ("a", 152)])
@example([("a", 66), ("😀", 1), ("a", 66)])
def test_any_text_takes_as_many_segments_as_messages_on_the_air(runs):
    text = "".join(character * times for character, times in runs)
    agrees(sms.count, text)
    agrees(lambda each: sms.measure(each).segments, text)
    assert "".join(messages(text)) == text
    for character in sms.culprits(text):
        assert character not in SEPTETS


@pytest.mark.parametrize("text", EDGES)
def test_every_edge_is_counted_as_it_is_packed(text):
    agrees(sms.count, text)


def units_of(text):
    found = sms.measure(text)
    return found.units, found.encoding == "GSM-7"


def ceiling(text):
    """Mistaken: characters of two units may be torn apart."""
    units, plain = units_of(text)
    alone, joined = (160, 153) if plain else (70, 67)
    return min(units, 1) if units <= alone else -(-units // joined)


def by_characters(text):
    """Mistaken: every character is one unit."""
    _, plain = units_of(text)
    alone, joined = (160, 153) if plain else (70, 67)
    return min(len(text), 1) if len(text) <= alone else -(-len(text) // joined)


def without_header(text):
    """Mistaken: joined messages have as much room as one alone."""
    units, plain = units_of(text)
    return -(-units // (160 if plain else 70))


def all_is_plain(text):
    """Mistaken: what looks like ASCII is in the default alphabet."""
    return sms.count(text.replace("`", "'").replace("ç", "c"))


@pytest.mark.parametrize("mistaken", [ceiling, by_characters, without_header, all_is_plain])
def test_planted_mistakes_are_caught(mistaken):
    wrong = 0
    for text in EDGES:
        try:
            agrees(mistaken, text)
        except AssertionError:
            wrong += 1
    assert wrong
