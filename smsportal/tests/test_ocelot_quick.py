"""The Ocelot client's quick ways of checking a call and reading its answer tell what the slow ones do; mistakes planted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsportal.providers import errors
from smsportal.providers.base import Outgoing
from smsportal.providers.ocelot import answers, reading, schemas, statuses, wording

TEXTS = [Outgoing(f"+1312555010{at}", "Hello", f"r-{at}.1") for at in range(3)]

# --- the answer to a send --------------------------------------------------------------------------------------------
NAMES = st.sampled_from(
    [
        "messageUuid", "message_uuid", "ID", "customerMessageId", "customer_message_id", "reference", "to", "phoneNumber",
        "status", "error", "errors", "errorCode", "error_code", "code", "failedReason", "reason", "success",
        "ok", "statusCode", "messages", "data", "results", "batch", "batchUuid",
        "customer" + "_" * 60 + "MessageId",
    ]
)  # fmt: skip
SAID = st.sampled_from(
    ["r-0.1", "r-1.1", " r-1.1", "r-9.1", "312-555-0101", "queued", "Failed", "OptedOut", "", "\u00e9"]
)
LEAF = SAID | st.sampled_from([None, True, False, 0, 7, 500, 1.5])
ITEM = st.dictionaries(NAMES, LEAF | st.lists(LEAF, max_size=2) | st.dictionaries(NAMES, LEAF, max_size=2), max_size=5)
ITEMS = st.lists(ITEM | st.builds(lambda item, said: {**item, "customerMessageId": said}, ITEM, SAID), max_size=4)
# The usual shape: rows with the same names, and with luck as good as these; some of them odd after all.
PLAIN_ROWS = [{"messageUuid": f"id-{at}", "customerMessageId": f"r-{at}.1"} for at in range(3)]
VALUE = st.sampled_from(
    ["r-0.1", "r-2.1", "r-0.1 ", "a b", "", " ", "a\x1cb", "a\0b", "e\u0301", "\u2003", "x" * 120, "x" * 121, "y" * 201]
)  # fmt: skip
ROWS = st.lists(NAMES, min_size=1, max_size=4, unique=True).flatmap(
    lambda names: st.lists(st.fixed_dictionaries(dict.fromkeys(names, VALUE | LEAF)), min_size=1, max_size=4)
)
ODD = st.builds(
    lambda at, item, rows: [{**row, **(item if place == at else {})} for place, row in enumerate(rows)],
    st.integers(0, 3),
    st.dictionaries(st.sampled_from(list(PLAIN_ROWS[0])), VALUE | LEAF, max_size=2) | ITEM,
    ROWS | st.permutations(PLAIN_ROWS) | st.just(PLAIN_ROWS * 2),
)
ALIKE = st.builds(lambda item: [{**row, **item} for row in PLAIN_ROWS], ITEM)
USUAL: st.SearchStrategy[Any] = (
    ROWS | ODD | ALIKE | st.builds(lambda rows, odd: [*rows, odd], st.just(PLAIN_ROWS), LEAF | ITEM)
)
ITEMS = USUAL | ITEMS
ANSWERS = ITEMS | st.builds(lambda top, items: {**top, "messages": items}, ITEM, ITEMS) | st.dictionaries(NAMES, ITEMS)


def outcome(call: Callable[..., Any], *given: Any) -> object:
    try:
        return call(*given)
    except errors.ProviderError as failed:
        return type(failed), failed.text


def check_receipts(answer: object) -> None:
    quick = outcome(answers.receipts, answer, TEXTS)
    with pytest.MonkeyPatch.context() as slow:
        slow.setattr(answers, "_plain_ids", lambda rows: {})
        slow.setattr(answers, "REJECTING", Everything())  # so that every item is looked at closely
        slow.setattr(reading, "_remembered", reading._fold)
        slow.setattr(statuses, "delivery", statuses.delivery.__wrapped__)
        assert quick == outcome(answers.receipts, answer, TEXTS)


class Everything:
    def isdisjoint(self, item: object) -> bool:
        return False


@given(ANSWERS)
def test_an_answer_read_quickly_tells_the_same(answer: object) -> None:
    check_receipts(answer)


@pytest.mark.parametrize("name", sorted(answers.REJECTING))
def test_a_way_to_reject_that_is_overlooked_is_caught(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    item = {"customerMessageId": "r-0.1", name: False if name == "success" else "OptedOut"}
    check_receipts([item])
    monkeypatch.setattr(answers, "REJECTING", answers.REJECTING - {name})
    with pytest.raises(AssertionError):
        check_receipts([item])


def test_a_usual_answer_is_read_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(answers, "_items")  # what reads the others
    batch, found = answers.receipts({"batchUuid": "b", "messages": PLAIN_ROWS}, TEXTS)
    assert (batch, [each.remote_id for each in found]) == ("b", ["id-0", "id-1", "id-2"])


@pytest.mark.parametrize("name", sorted(answers.UNUSUAL))
def test_a_rejection_in_a_usual_answer_that_is_overlooked_is_caught(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    rows = [{**row, name: False if name == "success" else "OptedOut"} for row in PLAIN_ROWS]
    check_receipts(rows)
    monkeypatch.setattr(answers, "UNUSUAL", answers.UNUSUAL - {name})
    with pytest.raises(AssertionError):
        check_receipts(rows)


@pytest.mark.parametrize("value", ["r-0.1 ", "a\0", " ", None, 7, "x" * 201, "e\u0301"])
def test_an_id_taken_unseen_is_caught(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    rows = [{**PLAIN_ROWS[0], "messageUuid": value}, *PLAIN_ROWS[1:]]
    check_receipts(rows)
    monkeypatch.setattr(answers, "_are_plain", lambda column: True)
    with pytest.raises(AssertionError):
        check_receipts(rows)


# --- the call --------------------------------------------------------------------------------------------------------
MESSAGE = st.fixed_dictionaries(
    {
        "to": st.sampled_from(
            [
                "312-555-0100",
                "+13125550100",
                "312-555-0100\n",
                "312-555-0100\n312-555-0100",
                "\u066312-555-0100",
                "312",
                5,
            ]
        ),
        "message": st.sampled_from(["Hi", "", "x" * 2000, "x" * 2001, None]),
        "customerMessageId": st.sampled_from(["r-1.1", "", 1]),
    },
    optional={"customerContactId": st.sampled_from(["c-1", "", None]), "more": st.just("x")},
)
PLAIN = {"to": "312-555-0100", "message": "Hi", "customerMessageId": "r-1.1"}
MESSAGES = st.lists(st.just(PLAIN) | st.just({**PLAIN, "customerContactId": "c-1"}) | MESSAGE, max_size=4)


def check_checked(messages: object) -> None:
    body = {"from": "312-555-0190", "operator": "advising@example.edu", "messages": messages}
    quick = outcome(schemas.checked, "send", body)
    with pytest.MonkeyPatch.context() as slow:
        slow.setattr(schemas, "_surely_fit", lambda messages: False)  # so that the schema looks at every message
        assert quick == outcome(schemas.checked, "send", body)


@given(st.text("+1234567890\u0663\u00b2-", min_size=10, max_size=13) | st.integers(10**9, 10**11).map("+1{}".format))
def test_only_a_us_number_is_written_with_dashes(number: str) -> None:
    parts = re.fullmatch(r"\+1(\d{3})(\d{3})(\d{4})", number)
    assert wording.to_ocelot(number, "dashes") == ("-".join(parts.groups()) if parts else number)


@given(MESSAGES | st.none() | st.lists(st.just("x"), max_size=1))
def test_a_call_checked_quickly_is_judged_the_same(messages: object) -> None:
    check_checked(messages)


@pytest.mark.parametrize("count", [0, 1, 100, 101])
def test_the_number_of_texts_is_judged_the_same(count: int) -> None:
    check_checked([PLAIN] * count)


@pytest.mark.parametrize(
    "wrong", [{"to": "312"}, {"message": ""}, {"message": "x" * 2001}, {"customerMessageId": ""}, {"more": "x"}]
)
def test_a_message_passed_unseen_is_caught(monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]) -> None:
    check_checked([PLAIN, {**PLAIN, **wrong}])
    monkeypatch.setattr(schemas, "_surely_fit", lambda messages: True)
    with pytest.raises(AssertionError):
        check_checked([PLAIN, {**PLAIN, **wrong}])
