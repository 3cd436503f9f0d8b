"""Text → one canonical phone number (E.164), or the reason why it is none."""

from __future__ import annotations

import unicodedata

import phonenumbers
from django.conf import settings


class BadNumber(ValueError):
    """Not a number we may text. `code` names the reason, `message` says it to staff with the remedy."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def to_e164(text: str, region: str | None = None) -> str:
    """`text` as E.164; numbers without a country code are read as of `region` (default: PHONE_REGION).

    Raises BadNumber with the code `blank`, `letters`, `extension`, `two_numbers`, `spreadsheet`, `not_a_number`,
    `invalid` or `region`.
    """
    plain = unicodedata.normalize("NFKC", text).strip().lstrip("'=").strip()
    if not plain:
        raise BadNumber("blank", "The phone number is missing.")
    try:
        number = phonenumbers.parse(plain, region or settings.PHONE_REGION)
    except phonenumbers.NumberParseException:
        raise BadNumber("not_a_number", "This is not a phone number.") from None
    if not phonenumbers.is_valid_number(number):
        raise BadNumber("invalid", "No such phone number exists; check its digits.")
    if phonenumbers.region_code_for_number(number) not in settings.PHONE_REGIONS:
        raise BadNumber("region", "Numbers of this country are not texted.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def display(e164: str) -> str:
    """A number as people of its country write it: +13125550123 → (312) 555-0123."""
    if len(e164) == 12 and e164.startswith("+1"):
        return f"({e164[2:5]}) {e164[5:8]}-{e164[8:]}"
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return e164
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
