"""Text → one canonical phone number (E.164), or the reason why it is none."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import phonenumbers
from django.conf import settings
from phonenumbers.phonemetadata import PhoneMetadata


class BadNumber(ValueError):
    """Not a number we may text. `code` names the reason, `message` says it to staff with the remedy."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


MESSAGES = {
    "blank": "The phone number is missing; fill it in.",
    "letters": "A phone number may not hold letters; write it in digits, like 312-555-0123.",
    "extension": "Extensions cannot be texted; leave the extension out.",
    "two_numbers": "This cell holds more than one number; keep only the one to text.",
    "spreadsheet": "The spreadsheet changed this number; format the column as text (or as a number without decimals) "
    "and save the file again.",
    "not_a_number": "This is not a phone number; write ten digits, like 312-555-0123.",
    "invalid": "No such phone number exists; check its digits and the area code.",
    "premium": "Premium-rate numbers are not texted; use the person's own.",
    "region": "Numbers of this country are not texted; use a number of a country the portal texts to.",
}
# Words that stand in cells beside numbers and mean something else than digits on a keypad.
_WORDS = {"x", "ext", "extn", "extension", "or", "and", "e", "tel"}
_WORD = re.compile(r"[^\W\d_]+")
_DIGIT = re.compile(r"\d")
_EXTENSION = re.compile(r"\d[\s.,;:()-]*(?:x|extn?|extension|#)[\s.:=]*\d{1,7}\Z", re.IGNORECASE)
_BETWEEN = re.compile(r"[/,;|&\n\r]|\bor\b|\band\b", re.IGNORECASE)
_SPREADSHEET = re.compile(r"\+?\d{7,}[.,]0+|\d(?:[.,]\d+)?e\+?\d+", re.IGNORECASE)
# The usual spellings of a North American number in plain characters.
_SHAPE = re.compile(r"(?:\+?1[-. ]?)?(?:(\d{3})[-. ]?|\((\d{3})\)[-. ]?)(\d{3})[-. ]?(\d{4})")


def to_e164(text: str, region: str | None = None) -> str:
    """`text` as E.164; numbers without a country code are read as of `region` (default: PHONE_REGION).

    Raises BadNumber with the code `blank`, `letters`, `extension`, `two_numbers`, `spreadsheet`, `not_a_number`,
    `invalid` or `region`. Spelling does not matter: full-width and other digits, invisible characters, a leading
    apostrophe or equals sign and punctuation all give the same number.
    """
    quick = _fast(text, region or settings.PHONE_REGION)
    return quick if quick is not None else _slow(text, region or settings.PHONE_REGION)


def to_textable(text: str) -> str:
    """As `to_e164`, for a number we are asked to text: raises BadNumber with the code `premium` where each text costs extra."""
    e164 = to_e164(text)
    dear = (phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST)
    # In North America these are the numbers of area code 900, and telling so takes no parsing.
    is_dear = e164.startswith("+1900") if e164[1] == "1" else phonenumbers.number_type(phonenumbers.parse(e164)) in dear
    if is_dear:
        raise BadNumber("premium", MESSAGES["premium"])
    return e164


def _fast(text: str, region: str) -> str | None:
    """The number when it is surely valid, None when the library must decide: about a fifteenth of its time.

    It may only ever answer "valid". All ten digits are matched, for the last four decide in some exchanges.
    """
    shape = _SHAPE.fullmatch(text)
    if shape is None or not text.isascii():
        return None
    area, bracketed, exchange, line = shape.groups()
    digits = (area or bracketed) + exchange + line
    valid = _north_american().fullmatch(digits)
    if valid is None or valid.lastgroup not in settings.PHONE_REGIONS:
        return None
    if region not in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1] and text[0] != "+":
        return None
    return "+1" + digits


@cache
def _north_american() -> re.Pattern[str]:
    """One expression over ten digits, a named group per region in the library's own order (US first).

    Built on first use from the metadata of phonenumbers, whose rule it repeats: a region is told by its leading digits
    or else by any of its number types, and the number must have the region's general shape and one of its types.
    """
    choices = []
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1]:
        data = PhoneMetadata.metadata_for_region(region)
        if data is None or data.general_desc is None:
            continue
        kinds = (
            data.premium_rate, data.toll_free, data.shared_cost, data.voip, data.personal_number, data.pager,
            data.uan, data.voicemail, data.fixed_line, data.mobile,
        )  # fmt: skip
        patterns = [kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern]
        leading = f"(?={data.leading_digits})" if data.leading_digits else ""
        general = f"(?=(?:{data.general_desc.national_number_pattern})\\Z)"
        choices.append(f"(?P<{region}>{leading}{general}(?:{'|'.join(dict.fromkeys(patterns))}))")
    return re.compile("|".join(choices), re.ASCII)


def _slow(text: str, region: str) -> str:
    plain = _plain(text)
    if code := _flaw(plain):
        raise BadNumber(code, MESSAGES[code])
    try:
        number = phonenumbers.parse(plain, region)
    except phonenumbers.NumberParseException:
        raise BadNumber("not_a_number", MESSAGES["not_a_number"]) from None
    if not phonenumbers.is_valid_number(number):
        raise BadNumber("invalid", MESSAGES["invalid"])
    if phonenumbers.region_code_for_number(number) not in settings.PHONE_REGIONS:
        raise BadNumber("region", MESSAGES["region"])
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _plain(text: str) -> str:
    """Compatibility forms made plain, invisible characters out, and the marks spreadsheets put around numbers."""
    plain = "".join(
        each for each in unicodedata.normalize("NFKC", text) if unicodedata.category(each) not in ("Cf", "Mn")
    )
    plain = plain.strip().lstrip("'=").strip().strip("\"'").strip()
    return plain[4:].strip() if plain[:4].casefold() == "tel:" else plain


def _flaw(plain: str) -> str:
    """The code of what is wrong with a cell before the library is asked; it would let most of these pass."""
    words = {word.casefold() for word in _WORD.findall(plain)}
    numbers = sum(len(_DIGIT.findall(part)) >= 7 for part in _BETWEEN.split(plain))
    # 15 digits are the longest number there is (E.164), and 011 may stand before it.
    flaws = {
        "blank": not plain,
        "letters": bool(words - _WORDS),
        "extension": _EXTENSION.search(plain) is not None,
        "two_numbers": numbers > 1 or len(_DIGIT.findall(plain)) > 18,
        "spreadsheet": _SPREADSHEET.fullmatch(plain) is not None,
        "not_a_number": bool(words),
    }
    return next((code for code, is_so in flaws.items() if is_so), "")


def display(e164: str) -> str:
    """A number as people of its country write it: +13125550123 → (312) 555-0123."""
    if len(e164) == 12 and e164.startswith("+1"):
        return f"({e164[2:5]}) {e164[5:8]}-{e164[8:]}"
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return e164
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
