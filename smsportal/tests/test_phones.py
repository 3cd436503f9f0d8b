"""Text → one phone number: every spelling in use, every trap, and the fast path beside the library."""

from __future__ import annotations

import random

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smsportal import phones
from smsportal.phones import BadNumber, display, to_e164

GOOD = [
    "+14155550100", "+1 (415) 555-0100", "4155550100", "14155550100", "1-415-555-0100", "415.555.0100", "415 555 0100",
    "(415)555-0100", "( 415 ) 555 0100", "415-5550100", "1 (415) 555-0100", "+1.415.555.0100", "415/555-0100",
    "011 1 415 555 0100", "0111-415-555-0100", "tel:+1-415-555-0100", "TEL: 415-555-0100", "  4155550100  ",
    "415\u200b5550100", "\ufeff4155550100", "415\u00a0555\u00a00100", "415\u202f555\u202f0100", "415\u00ad555\u00ad0100",
    "415–555–0100", "415—555—0100", "415‐555‐0100", "415−555−0100", "\u202a415-555-0100\u202c", "\u2066+14155550100\u2069",
    "４１５５５５０１００", "＋１４１５５５５０１００", "٤١٥٥٥٥٠١٠٠", "۴۱۵۵۵۵۰۱۰۰", "'4155550100", "'+14155550100", "=4155550100",
    '="4155550100"', '"415-555-0100"', "415-555-0100\t", "4155550100\u2060",
]  # fmt: skip
BAD = [
    ("", "blank"), ("   ", "blank"), ("\u200b", "blank"), ("'", "blank"), ('=""', "blank"),
    ("1-415-555-HELP", "letters"), ("1-800-FLOWERS", "letters"), ("none", "letters"), ("N/A", "letters"),
    ("ask mother: 415-555-0100", "letters"), ("415555010O", "letters"), ("٤١٥ أحمد", "letters"),
    ("415-555-0100 x5", "extension"), ("415-555-0100x5", "extension"), ("4155550100 ext. 55", "extension"),
    ("+1 415 555 0100;ext=5", "extension"), ("415-555-0100 #12", "extension"), ("(415) 555-0100 Extension 9", "extension"),
    ("415-555-0100 / 312-555-0100", "two_numbers"), ("4155550100, 3125550100", "two_numbers"),
    ("4155550100;3125550100", "two_numbers"), ("415-555-0100 or 312-555-0100", "two_numbers"),
    ("415-555-0100 and 312-555-0100", "two_numbers"), ("4155550100 3125550100", "two_numbers"),
    ("4155550100\n3125550100", "two_numbers"),
    ("4155550100.0", "spreadsheet"), ("4155550100,00", "spreadsheet"), ("4.15E+09", "spreadsheet"),
    ("4.15555E+09", "spreadsheet"), ("4,15555e+09", "spreadsheet"), ("4E9", "spreadsheet"),
    ("-", "not_a_number"), ("+", "not_a_number"), ("1", "not_a_number"), ("415_555_0100", "not_a_number"),
    ("e", "not_a_number"), ("555-0100", "invalid"), ("415555010", "invalid"), ("41555501000", "invalid"),
    ("123-456-7890", "invalid"), ("0000000000", "invalid"), ("+1 415 055 0100", "invalid"),
    ("+44 20 7946 0958", "region"), ("+1 876 555 0100", "region"), ("+1 416 555 0100", "region"),
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_every_spelling_gives_one_number(text):
    assert to_e164(text) == "+14155550100"


@pytest.mark.parametrize(("text", "code"), BAD)
def test_a_trap_is_named(text, code):
    with pytest.raises(BadNumber) as bad:
        to_e164(text)
    assert bad.value.code == code
    assert bad.value.message.endswith(".")


@pytest.mark.parametrize("text", ["900-555-0100", "+44 909 879 0000", "+33 899 70 12 34"])
def test_a_number_each_text_to_which_costs_extra_is_none_to_text(settings, text):
    settings.PHONE_REGIONS = ["US", "GB", "FR"]
    assert to_e164(text)
    with pytest.raises(BadNumber, match="Premium-rate numbers are not texted"):
        phones.to_textable(text)


def test_other_numbers_may_be_texted(settings):
    settings.PHONE_REGIONS = ["US", "GB"]
    assert phones.to_textable("(415) 555-0100") == "+14155550100"
    assert phones.to_textable("+44 7400 123456") == "+447400123456"


def test_a_spreadsheet_trap_says_how_to_format_the_column():
    with pytest.raises(BadNumber, match="format the column as text"):
        to_e164("4.15E+09")


def slow(text: str) -> str | None:
    try:
        return phones._slow(text, "US")
    except BadNumber:
        return None


ten_digits = st.from_regex(r"\A[2-9][0-9]{2}[2-9][0-9]{6}\Z")
shapes = st.sampled_from(
    ["{0}{1}{2}", "+1{0}{1}{2}", "({0}) {1}-{2}", "{0}-{1}-{2}", "1 {0}.{1}.{2}", "{0} {1} {2}", "1{0}{1}{2}"]
)


@given(ten_digits, shapes)
@example("8765550100", "{0}{1}{2}")
@example("8766060100", "{0}{1}{2}")  # here the last four digits decide
@example("9005550100", "+1{0}{1}{2}")
@example("7875550100", "{0}-{1}-{2}")
def test_the_fast_path_agrees_with_the_library(digits, shape):
    text = shape.format(digits[:3], digits[3:6], digits[6:])
    quick = phones._fast(text, "US")
    assert quick in (None, slow(text))
    assert (quick is None) == (slow(text) is None), "it answers for every usual spelling of a valid number"


@given(st.text(alphabet="0123456789+-(). x/E#tel\u200b\u00a0١５", max_size=24))
@example("4155550100\n")
@example("+1415555010٠")
def test_the_fast_path_never_says_valid_where_the_library_does_not(text):
    assert phones._fast(text, "US") in (None, slow(text))


def test_every_area_code_is_judged_alike():
    dice = random.Random(20240901)
    for area in range(200, 1000):
        for _ in range(3):
            text = f"{area}{dice.randrange(200, 1000)}{dice.randrange(10_000):04d}"
            assert phones._fast(text, "US") == slow(text), text


@pytest.mark.parametrize("text", ["4155550100", "(787) 555-0100", "+1 416 555 0100", "8005550100", "9005550100"])
@pytest.mark.parametrize("regions", [["US"], ["PR"], ["CA"], ["GB"], []])
def test_the_regions_are_obeyed_on_both_paths(settings, text, regions):
    settings.PHONE_REGIONS = regions
    assert phones._fast(text, "US") == slow(text)
    where = phonenumbers.region_code_for_number(phonenumbers.parse(text, "US"))
    assert (slow(text) is not None) == (where in regions)


def test_another_home_region_reads_bare_numbers_its_own_way(settings):
    settings.PHONE_REGION, settings.PHONE_REGIONS = "GB", ["GB", "US"]
    assert to_e164("020 7946 0958") == "+442079460958"
    assert to_e164("+14155550100") == "+14155550100"
    with pytest.raises(BadNumber):
        to_e164("4155550100")


@pytest.mark.parametrize(
    ("e164", "shown"),
    [("+14155550100", "(415) 555-0100"), ("+442079460958", "+44 20 7946 0958"), ("nonsense", "nonsense")],
)
def test_a_number_is_shown_as_its_country_writes_it(e164, shown):
    assert display(e164) == shown
