"""The numbers of the Ocelot twin: which it may send from, and what becomes of a text to each of the magic ones."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DIGITS = re.compile(r"\D")


@dataclass(frozen=True, slots=True)
class Step:
    """One status callback: what it says, how many seconds after acceptance, and how many times it is sent."""

    after_s: float
    status: str
    error: str = ""
    times: int = 1


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a text. `replies` are what the student writes back; the flags are read on upload and on sending."""

    title: str
    steps: tuple[Step, ...] = ()
    replies: tuple[str, ...] = ()
    opted_out: bool = False  # Ocelot knows the number as opted out
    refused_on_upload: bool = False
    refuses_call: bool = False  # makes the whole call 400
    receipts_first: bool = False  # the callbacks go out before the answer does


# Of all statuses the documents name only `permanent_failure`, and of all errors only `BlockedByCarrierUser` (Texting API,
# "Callback payload samples"); the other words are this sandbox's own (docs/providers/ocelot.md, A7).
QUEUED, SENT, GOT = Step(0, "queued"), Step(0.3, "sent"), Step(0.6, "delivered")
ARRIVES = (QUEUED, SENT, GOT)
DELIVERED = Fate("delivered", ARRIVES)


def _fails(code: str) -> tuple[Step, ...]:
    return (QUEUED, Step(0.3, "permanent_failure", code))


# The last four digits of a number of the 555 exchange reserved for fiction (any area code) → its fate. All other
# numbers, 0100 to 0149 among them, are delivered.
FATES: dict[str, Fate] = {
    "0150": Fate("fails: blocked by the carrier's user", _fails("BlockedByCarrierUser")),
    "0151": Fate("fails: a landline", _fails("LandlineNotTextCapable")),
    "0152": Fate("delivered late, after 8 seconds", (QUEUED, Step(0.3, "sent"), Step(8, "delivered"))),
    "0153": Fate("delivered, every callback doubled", tuple(Step(s.after_s, s.status, times=2) for s in ARRIVES)),
    "0154": Fate(
        "delivered, callbacks in the wrong order", (Step(0, "delivered"), Step(0.3, "sent"), Step(0.6, "queued"))
    ),
    "0155": Fate('delivered, replies "Thank you!"', ARRIVES, replies=("Thank you!",)),
    "0156": Fate('delivered, replies "STOP"', ARRIVES, replies=("STOP",)),
    "0157": Fate("fails: opted out at Ocelot before", _fails("OptedOut"), opted_out=True),
    "0158": Fate("accepted, but no receipt ever comes"),
    "0159": Fate("delivered, but refused when uploaded to a list", ARRIVES, refused_on_upload=True),
    "0160": Fate(
        "fails for now, delivered after 5 seconds", (QUEUED, Step(0.3, "temporary_failure"), Step(5, "delivered"))
    ),
    "0161": Fate("gets a status nobody has heard of", (QUEUED, Step(0.3, "carrier_review"))),
    "0162": Fate(
        "delivered, receipts arrive before the answer", tuple(Step(0, s.status) for s in ARRIVES), receipts_first=True
    ),
    "0163": Fate("said to have failed, then delivered", (*_fails("CarrierTimeout"), GOT)),
    "0164": Fate('replies "STOP", then "START"', ARRIVES, replies=("STOP", "START")),
    "0165": Fate("delivered, replies with an emoji and quotes", ARRIVES, replies=('Übermorgen? 👍 "ok" <b>',)),
    "0166": Fate("makes the whole call a 400", refuses_call=True),
}


@dataclass(frozen=True, slots=True)
class OwnNumber:
    """A number this twin may send from."""

    phone: str
    label: str
    campaign_ids: tuple[str, ...] = ()


_LABELS = ("Advising", "Financial Aid", "Registrar", "Admissions", "Housing", "Library", "Bursar", "Careers", "Health")
OWN_NUMBERS = (
    *(OwnNumber(f"312-555-{190 + place:04}", label) for place, label in enumerate(_LABELS)),
    OwnNumber("312-555-0199", "Spring campaign", ("5f80ac6204d2db0027f53139",)),
)


def digits(number: str) -> str:
    """The ten digits of a US number, however written; all its digits when it is none."""
    found = _DIGITS.sub("", number)
    return found[1:] if len(found) == 11 and found.startswith("1") else found


def e164(number: str) -> str:
    """`number` as +1XXXXXXXXXX, for comparing."""
    return "+1" + digits(number)


def fate_of(number: str) -> Fate:
    """What becomes of a text to `number`."""
    ten = digits(number)
    return FATES.get(ten[6:], DELIVERED) if len(ten) == 10 and ten[3:6] == "555" else DELIVERED
