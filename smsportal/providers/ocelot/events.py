"""What Ocelot tells us by webhook: statuses of texts, replies, campaign activity, opt-ins and opt-outs.

One address may receive every kind, as an array or as one object, so an element is told by its keys and not by where it
arrived. Names are compared without case and punctuation: one document writes "inbound", the other
"Inbound", for the same event. What is not understood becomes an UNRECOGNISED event with the reason; nothing is dropped
and nothing raises.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from smsportal.providers.base import Delivery, Event, EventKind
from smsportal.providers.ocelot import statuses
from smsportal.providers.ocelot.reading import Item, first, fold_names, moment
from smsportal.providers.payload import REPEATED, elements
from smsportal.text import clean

MAX_TEXT: Final = 5000
EVENT_ID: Final = ("eventid",)
STATUS: Final = ("status", "deliverystatus", "messagestatus")  # A9: the outbound campaign event is not documented
ERROR: Final = ("errorcode", "failedreason", "reason")


def parse(payload: object) -> Iterator[Event]:
    """One event per element of a decoded webhook body; never raises."""
    for element in elements(payload):
        yield _event(element)


def _event(element: object) -> Event:
    if not isinstance(element, dict):
        return _unrecognised({"value": element}, {}, "It is not an object.")
    item = fold_names(element)
    if repeated := _repeated(element):
        return _unrecognised(element, item, f"It says {', '.join(repeated)} twice, with different values.")
    return _of_its_kind(element, item)


def _of_its_kind(element: Mapping[str, Any], item: Item) -> Event:
    """Told by its keys, in this order."""
    name = statuses.fold(first(item, ("name",))).replace("_", "")
    if any(key in item for key in ("batchuuid", "messageuuid", "customermessageid")):
        return _status(element, item)
    if "referencefield" in item or "opted" in name:
        return _consent(element, item, name)
    if "campaignid" in item or "contactfields" in item:
        return _sms(element, item, name, number=_phone_of(item.get("contactfields")), sender="")
    if all(key in item for key in ("from", "to", "message")):
        ends = first(item, ("from",), 64), first(item, ("to",), 64)
        theirs, ours = ends[::-1] if _is_outbound(item, name) else ends
        return _sms(element, item, name, number=theirs, sender=ours)
    return _unrecognised(element, item, f"An event of this kind is not known: “{first(item, ('name',)) or 'no name'}”.")


# --- the status of a 1:1 text (Texting API, "Callback payload samples") ----------------------------------------------
def _status(element: Mapping[str, Any], item: Item) -> Event:
    word, code = first(item, STATUS, 100), first(item, ERROR, 100)
    reference, remote_id = first(item, ("customermessageid",), 200), first(item, ("messageuuid",))
    identity = (remote_id or reference).lower()
    known = {
        "key": f"status:{identity}:{statuses.fold(word)}:{code.lower()}" if identity else _key("status", element, item),
        "raw": element,
        "reference": reference,
        "remote_id": remote_id,
        "remote_batch_id": first(item, ("batchuuid",)),
        "at": moment(item),
    }
    return _receipt(known, word, code)


def _receipt(known: dict[str, Any], word: str, code: str) -> Event:
    """An event of a status: a receipt, or unrecognised with everything that was understood of it."""
    rank = statuses.delivery(word)
    known |= {"status": word, "error_code": code}
    if rank is None:
        problem = f"Ocelot reports the status “{word}”, which is not known." if word else "It names no status."
        return Event(kind=EventKind.UNRECOGNISED, problem=problem, **known)
    if rank is Delivery.FAILED or code:
        failure = statuses.failure(code, word)
        known |= {"error_text": failure.text, "blocked_by_person": failure.blocked_by_person}
    return Event(kind=EventKind.RECEIPT, delivery=rank, **known)


# --- opt-in and opt-out (Texting API, "Global Opt In/Out webhook") ---------------------------------------------------
def _consent(element: Mapping[str, Any], item: Item, name: str) -> Event:
    field = item.get("referencefield")
    field = fold_names(field) if isinstance(field, dict) else {}
    number = first(field, ("value",), 64)
    kind = _direction(name)
    if kind is None:
        return _unrecognised(element, item, f"It is about consent, but “{name or 'no name'}” is neither in nor out.")
    if statuses.fold(first(field, ("type",))) == "email" or "@" in number:
        return _unrecognised(
            element, item, "It opts an e-mail address in or out; consent is kept by number. Find the person by hand."
        )
    if not number:
        return _unrecognised(element, item, "It is about consent, but names no number.")
    return Event(kind=kind, key=_key("opt", element, item), raw=element, number=number, at=moment(item))


def _direction(name: str) -> EventKind | None:
    """Only `PhoneNumber.optedIn` is documented (A10). An event that is not clearly an opt-in opts nobody in."""
    out = re.search(r"opt(ed)?out|unsubscribe", name)
    into = re.fullmatch(r"(phonenumber|phone|number|contact|sms|global)?opt(ed)?in", name)
    if bool(out) == bool(into):
        return None
    return EventKind.OPT_OUT if out else EventKind.OPT_IN


# --- texts that came in or went out (Texting API, "Campaign SMS webhook"; Webhook API, "IncomingSms.received") -------
def _sms(element: Mapping[str, Any], item: Item, name: str, *, number: str, sender: str) -> Event:
    known: dict[str, Any] = {
        "key": _key("sms", element, item),
        "raw": element,
        "remote_batch_id": first(item, ("campaignid",)),
        "number": number,
        "sender": sender,
        "text": first(item, ("message", "text"), MAX_TEXT),
        "at": moment(item),
    }
    if _is_outbound(item, name):
        word = first(item, STATUS, 100) or re.sub(r"^(out\w*sms|out[a-z]*)", "", name)
        return _receipt(known, word, first(item, ERROR, 100))
    if _is_inbound(item, name):
        return Event(kind=EventKind.REPLY, **known)
    return Event(kind=EventKind.UNRECOGNISED, problem="It does not say whether the text came in or went out.", **known)


def _trigger(item: Item) -> str:
    return first(item, ("triggertype",)).lower()


def _is_outbound(item: Item, name: str) -> bool:
    trigger = _trigger(item)
    return trigger != "inbound" if trigger else name.startswith("out")


def _is_inbound(item: Item, name: str) -> bool:
    return _trigger(item) == "inbound" or name.startswith(("incoming", "inbound"))


def _phone_of(fields: object) -> str:
    """The number among a contact's fields, by type; "" when there is none."""
    for each in fields if isinstance(fields, list) else ():
        field = fold_names(each) if isinstance(each, dict) else {}
        if statuses.fold(first(field, ("type",))) == "phone_number":
            return first(field, ("value",), 64)
    return ""


# --- common to all ---------------------------------------------------------------------------------------------------
def _unrecognised(element: Mapping[str, Any], item: Item, problem: str) -> Event:
    return Event(
        kind=EventKind.UNRECOGNISED, key=_key("other", element, item), raw=element, problem=problem, at=moment(item)
    )


def _key(family: str, element: Mapping[str, Any], item: Item) -> str:
    """The same for every repetition of the same news.

    The family belongs to it: the documents' own samples use one eventId for a campaign event and an opt event. It is
    taken from the element's keys, not from what we make of it, so that it outlives better understanding.
    """
    event_id = first(item, EVENT_ID)
    if event_id:
        return f"{family}:{event_id.lower()}"
    try:
        canonical = json.dumps(element, sort_keys=True, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        canonical = str(sorted(map(str, element)))
    return f"{family}:sha256:{hashlib.sha256(canonical.encode('utf-8', 'replace')).hexdigest()}"


def _repeated(element: Mapping[str, Any]) -> list[str]:
    inner = [each for each in element.values() if isinstance(each, dict)]
    return [clean(name, 60) for each in (element, *inner) for name in _listed(each.get(REPEATED))]


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
