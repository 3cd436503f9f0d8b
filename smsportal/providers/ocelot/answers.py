"""What Ocelot's answers say: about every text of a send, and about the contacts of an upload.

The JSON that answers a send is missing from the documents; only that it is a success and "includes unique identifiers
for the current SMS batch and every message in it" is known (SMS guide). So nothing depends on its shape (A6): a 2xx
accepts the batch as a whole, ids are taken where they can be found, and what is left is filled in by the receipts,
which echo our own `customerMessageId`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import repeat
from typing import Any, Final

from smsportal.providers.base import AddReport, Delivery, Fate, Outgoing, Receipt, Rejection, RemoteContact, RemoteList
from smsportal.providers.errors import Garbled
from smsportal.providers.ocelot import statuses
from smsportal.providers.ocelot.reading import LONGEST_VALUE, Item, first, fold_names
from smsportal.providers.ocelot.wording import contact_from, digits, list_from, number_of
from smsportal.providers.payload import words_of
from smsportal.text import clean

BATCH_IDS: Final = ("batchuuid", "batchid", "uuid", "id")
ITEM_IDS: Final = ("messageuuid", "messageid", "uuid", "id")
REFERENCES: Final = ("customermessageid", "clientmessageid", "reference")
ITEM_LISTS: Final = ("messages", "items", "data", "results")
WRAPPERS: Final = ("batch", "data", "result", "results")
LISTS: Final = tuple(dict.fromkeys((*ITEM_LISTS, *WRAPPERS)))
ERRORS: Final = ("error", "errors", "errorcode", "failedreason")
TELLING: Final = frozenset((*ITEM_IDS, *REFERENCES, "to", "phonenumber", *ERRORS))  # what an item has one of
REJECTING: Final = frozenset((*ERRORS, "reason", "success"))  # what a rejected item without a status has one of
UNUSUAL: Final = REJECTING | {"status"}  # what no item of a plain answer has


# --- the answer to a send --------------------------------------------------------------------------------------------
def receipts(answer: object, texts: Sequence[Outgoing]) -> tuple[str, tuple[Receipt, ...]]:
    """The batch's id (or "") and a receipt for every text, in their order, from the decoded answer to a send.

    Raises Garbled for an answer that calls itself a failure although its HTTP status says success.
    """
    top = fold_names(answer) if isinstance(answer, dict) else {}
    if answer is False or _is_failure(top):
        raise Garbled(f"The answer says both yes and no: {words_of(answer) or 'false'}.")
    rows, ours = _listed(answer, top), [each.reference for each in texts]
    ids = _plain_ids(rows)
    plain = bool(ids) and ids.keys() >= set(ours)
    items = [fold_names(rows[0])] if plain else _items(answer, top)
    batch = first(top, BATCH_IDS) or _inner_batch(top) or next((first(each, BATCH_IDS[:2]) for each in items), "")
    if plain:
        return batch, tuple(map(Receipt, ours, repeat(Fate.ACCEPTED), map(ids.__getitem__, ours)))
    if not items:
        return batch, tuple(Receipt(each.reference, Fate.ACCEPTED) for each in texts)
    found = _by_reference(items, texts) or _by_number(items, texts) or _by_place(items, texts)
    return batch, tuple(_receipt(each, found.get(each.reference)) for each in texts)


def _listed(answer: object, top: Item) -> list[Any]:
    """The list that the first of `_items` would look through, when it is one; else nothing."""
    named = (top[name] for name in LISTS if isinstance(top.get(name), list | dict))
    found = answer if isinstance(answer, list) else next(named, None)
    return found if isinstance(found, list) else []


def _plain_ids(rows: list[Any]) -> dict[str, str]:
    """Their id of every reference, when the rows are all alike and say no more than that; else nothing.

    So is nearly every answer, and telling so of all its rows together takes a fifth of the time of reading each.
    """
    if set(map(type, rows)) != {dict} or len(set(map(tuple, rows))) != 1:
        return {}
    names = dict(zip(fold_names(rows[0]), rows[0], strict=False))
    said, id_name = (next((names[each] for each in wanted if each in names), None) for wanted in (REFERENCES, ITEM_IDS))
    if len(names) != len(rows[0]) or not UNUSUAL.isdisjoint(names) or said is None or id_name is None:
        return {}
    references, ids = [row[said] for row in rows], [row[id_name] for row in rows]
    found = dict(zip(references, ids, strict=True)) if _are_plain(references) and _are_plain(ids) else {}
    return found if len(found) == len(rows) else {}


def _are_plain(column: list[Any]) -> bool:
    """Whether all are texts that `first` would give back as they are."""
    if set(map(type, column)) != {str}:
        return False
    joined = " ".join(column)
    return (
        joined.isascii() and "\0" not in joined and joined.split() == column and max(map(len, column)) <= LONGEST_VALUE
    )


def _is_failure(top: Item) -> bool:
    code = top.get("statuscode")
    if isinstance(code, int) and code >= 400:
        return True
    return top.get("success") is False or top.get("ok") is False


def _inner_batch(top: Item) -> str:
    for name in WRAPPERS:
        if isinstance(top.get(name), dict):
            inner = fold_names(top[name])
            if found := first(inner, BATCH_IDS) or _inner_batch(inner):
                return found
    return ""


def _items(answer: object, top: Item, depth: int = 0) -> list[Item]:
    """The first list of records that look like messages, at the top or inside a wrapper."""
    if isinstance(answer, list):
        return [item for item in (fold_names(each) for each in answer if isinstance(each, dict)) if _is_item(item)]
    for name in LISTS:
        value = top.get(name)
        if isinstance(value, list | dict) and depth < 3:
            inner = fold_names(value) if isinstance(value, dict) else {}
            if found := _items(value, inner, depth + 1):
                return found
    return []


def _is_item(item: Item) -> bool:
    return not TELLING.isdisjoint(item)


def _by_reference(items: list[Item], texts: Sequence[Outgoing]) -> dict[str, Item]:
    ours = {each.reference for each in texts}
    found: dict[str, Item] = {}
    for item in items:
        reference = first(item, REFERENCES, 200)
        if reference in ours:
            found.setdefault(reference, item)
    return found


def _by_number(items: list[Item], texts: Sequence[Outgoing]) -> dict[str, Item]:
    """By number, where it stands for exactly one text. Not when items name references: those were of other texts."""
    if any(first(item, REFERENCES) for item in items):
        return {}
    written = [digits(first(item, ("to", "phonenumber"))) for item in items]
    wanted = [digits(each.to) for each in texts]
    return {
        each.reference: items[written.index(number)]
        for each, number in zip(texts, wanted, strict=True)
        if wanted.count(number) == 1 and written.count(number) == 1
    }


def _by_place(items: list[Item], texts: Sequence[Outgoing]) -> dict[str, Item]:
    """By position, where there are as many items as texts and nothing in them says otherwise."""
    telling = any(first(item, (*REFERENCES, "to", "phonenumber")) for item in items)
    if telling or len(items) != len(texts):
        return {}
    return {each.reference: item for each, item in zip(texts, items, strict=True)}


def _receipt(text: Outgoing, item: Item | None) -> Receipt:
    if item is None:
        return Receipt(text.reference, Fate.UNKNOWN, error_text="Ocelot's answer does not mention this text.")
    remote_id = first(item, ITEM_IDS)
    status = first(item, ("status",), 100) if "status" in item else ""
    failing = bool(status) and statuses.delivery(status) is Delivery.FAILED
    if not failing and REJECTING.isdisjoint(item):
        return Receipt(text.reference, Fate.ACCEPTED, remote_id)
    code = first(item, ("errorcode", "code", "failedreason"), 100)
    said = words_of(item.get("error") or item.get("errors")) or first(item, ("failedreason", "reason"), 500)
    if not (failing or said or first(item, ("errorcode",)) or item.get("success") is False):
        return Receipt(text.reference, Fate.ACCEPTED, remote_id)
    sentence = statuses.failure(code, status).text
    return Receipt(text.reference, Fate.REJECTED, remote_id, code, clean(f"{sentence} {said}".strip(), 500))


# --- the answer to an upload of contacts -----------------------------------------------------------------------------
def report(answer: object, given: Sequence[RemoteContact]) -> AddReport:
    """Who was rejected. Counted from `rejectedData`: the documents' own sample has a rejected row and a count of 0."""
    by_number = {number_of(each): each for each in given}
    rejected: list[Rejection] = []
    notes: list[str] = []
    for block in answer if isinstance(answer, list) else [answer]:
        if not isinstance(block, dict):
            continue
        results = block.get("results") if isinstance(block.get("results"), dict) else block
        rows = [row for row in _rows(results, "rejectedData") if isinstance(row, dict)]
        for row in rows:
            theirs = contact_from(row)
            said = words_of(row.get("error") or row.get("errors")) or "Ocelot gives no reason."
            rejected.append(Rejection(by_number.get(number_of(theirs), theirs), clean(said, 1000)))
        named = {each.text for each in rejected}
        errors = block.get("errors")
        for said in _sentences(errors):
            if said in named:
                continue
            contact = _mentioned(said, by_number)
            if contact is None:
                notes.append(said)
            else:
                rejected.append(Rejection(contact, said))
    return AddReport(tuple(_once(rejected)), tuple(dict.fromkeys(notes)))


def _rows(record: object, name: str) -> list[Any]:
    rows = record.get(name) if isinstance(record, dict) else None
    return rows if isinstance(rows, list) else []


def _sentences(errors: object) -> list[str]:
    return [clean(words_of(each), 1000) for each in (errors if isinstance(errors, list) else [errors]) if each]


def _mentioned(said: str, by_number: dict[str, RemoteContact]) -> RemoteContact | None:
    """The contact whose number a sentence like "Phone Number 123-456-7890 is not unique." names."""
    written = re.findall(r"\+?\d[\d\s().-]{8,}\d", said)
    return next((by_number[digits(each)] for each in written if digits(each) in by_number), None)


def _once(rejected: list[Rejection]) -> list[Rejection]:
    seen: list[Rejection] = []
    numbers: set[str] = set()
    for each in rejected:
        number = number_of(each.contact)
        if not number or number not in numbers:
            seen.append(each)
            numbers.add(number)
    return seen


# --- other answers ---------------------------------------------------------------------------------------------------
def one_list(answer: object) -> RemoteList:
    """The ContactList in an answer, bare or wrapped. Raises Garbled when there is none with an id."""
    record = answer
    for wrapper in ("data", "result", "contactList"):
        if isinstance(record, dict) and "id" not in record and isinstance(record.get(wrapper), dict):
            record = record[wrapper]
    found = list_from(record) if isinstance(record, dict) else None
    if found is None or not found.remote_id:
        raise Garbled("Ocelot's answer names no contact list.")
    return found


def page(answer: object) -> tuple[list[dict[str, Any]], int | None]:
    """Rows and total (None: not told) of a page, with `results` around it (contacts) or without (lookups).

    Raises Garbled when the answer is not a page.
    """
    if isinstance(answer, dict) and isinstance(answer.get("results"), dict | list):
        answer = answer["results"]
    rows = answer.get("data") if isinstance(answer, dict) else answer
    if not isinstance(rows, list):
        raise Garbled("Ocelot's answer is not a page.")
    total = answer.get("total") if isinstance(answer, dict) else None
    known = isinstance(total, int) and not isinstance(total, bool)
    return [row for row in rows if isinstance(row, dict)], total if known else None
