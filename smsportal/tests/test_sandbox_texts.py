"""The texting half of the Ocelot twin from its own side: sending, its limits and refusals, and the two lookups."""

from __future__ import annotations

import ast
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smsportal.sandbox.ocelot import FATES
from smsportal.sandbox.ocelot.shapes import SHAPES
from smsportal.tests.sandboxes import OPERATOR, World, batch, read


@pytest.fixture
def world() -> World:
    return World()


# --- lookups ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", ["POST", "GET"])
def test_phone_numbers_are_told_page_by_page(world: World, verb: str) -> None:
    asked = {"operator": OPERATOR, "skip": 8, "limit": 10, "orderBy": "label", "order": "ASC"}
    body = read(world.ask(verb, "/sms/phone-numbers", asked))
    assert (body["total"], body["skip"], body["limit"], len(body["data"])) == (10, 8, 10, 2)
    assert set(body["data"][1]) == {
        "phoneNumber", "chatbotId", "campusId", "officeId", "campaignIds", "label", "description",
    }  # fmt: skip
    assert body["data"][1]["campaignIds"]


def test_transcripts_show_both_sides_in_order(world: World) -> None:
    world.ask("POST", "/sms/send/", batch("312-555-0100", "312-555-0101"))
    world.now += timedelta(minutes=1)
    world.ocelot.hooks.reply(sender="312-555-0100", to="312-555-0190", text="Thanks")
    asked = {"operator": OPERATOR, "phoneNumber": "(312) 555-0100"}
    body = read(world.ask("POST", "/sms/transcripts", asked))
    assert [(each["senderType"], each["message"]) for each in body["data"]] == [
        ("operator", "Hello"),
        ("contact", "Thanks"),
    ]
    assert body["data"][1]["timestamp"] == "2026-03-02T15:01:00.000Z"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"operator": "jon"},
        {"operator": OPERATOR, "limit": "10"},
        {"operator": OPERATOR, "orderBy": "x"},
        {"operator": OPERATOR, "x": 1},
    ],
)
def test_lookups_that_break_the_schema_are_refused(world: World, body: dict[str, Any]) -> None:
    assert world.ask("POST", "/sms/phone-numbers", body).status == 400
    assert world.ask("POST", "/sms/transcripts", {**body, "phoneNumber": "312-555-0100"}).status == 400


# --- sending ---------------------------------------------------------------------------------------------------------
def test_a_batch_is_accepted_with_an_id_for_each_text(world: World) -> None:
    answer = world.ask("POST", "/sms/send/", batch("312-555-0100", "312-555-0101"))
    assert answer.status == 201
    body = read(answer)
    assert [each["customerMessageId"] for each in body["messages"]] == ["m0.1", "m1.1"]
    first = world.ocelot.sent[0]
    assert (first["to"], first["e164"], first["text"]) == ("312-555-0100", "+13125550100", "Hello")
    assert (first["batchUuid"], first["messageUuid"]) == (body["batchUuid"], body["messages"][0]["messageUuid"])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"messages": []}, "messages must contain at least 1 and no more than 100 elements"),
        ({"messages": batch(*["312-555-0100"] * 101)["messages"]}, "messages must contain at least 1 and no more than 100 elements"),
        ({"messages": None}, "messages must be an array"),
        ({"messages": [{"to": 3125550100, "message": "x"}]}, "messages.0.to must be a valid phone number"),
        ({"messages": batch("5550100")["messages"]}, "messages.0.to must be a valid phone number"),
        ({"messages": batch("+13125550100")["messages"]}, "messages.0.to must be a valid phone number"),
        ({"messages": batch("312-555-0166")["messages"]}, "messages.0.to must be a valid phone number"),
        ({"messages": batch("312-555-0100", text="")["messages"]}, "messages.0.message must be a string that is not empty"),
        ({"messages": batch("312-555-0100", text="x" * 2001)["messages"]}, "messages.0.message must be shorter than or equal to 2000 characters"),
        ({"messages": [{"to": "312-555-0100", "message": "x", "customerMessageId": 7}]}, "messages.0.customerMessageId must be a string"),
        ({"operator": ""}, "operator must be an email"),
        ({"from": 3125550190}, "from must be a string"),
        ({"from": "312-555-0100"}, "from must be a provisioned phone number"),
        ({"smsWebhookUri": "portal"}, "smsWebhookUri must be a URL address"),
        ({"sendAt": "tomorrow"}, "property sendAt should not exist"),
    ],
)  # fmt: skip
def test_a_batch_that_breaks_the_schema_is_refused_as_a_whole(
    world: World, change: dict[str, Any], complaint: str
) -> None:
    answer = world.ask("POST", "/sms/send/", {**batch("312-555-0100"), **change})
    assert (answer.status, read(answer)["message"]) == (400, [complaint])
    assert world.ocelot.sent == []


def test_a_hundred_texts_of_two_thousand_characters_are_taken(world: World) -> None:
    assert world.ask("POST", "/sms/send", batch(*["312-555-0100"] * 100, text="x" * 2000)).status == 201


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_the_answer_accepts_the_texts(world: World, shape: str) -> None:
    world.ocelot.switches.send_shape = shape
    answer = world.ask("POST", "/sms/send/", batch("312-555-0100", "312-555-0101"))
    assert 200 <= answer.status < 300
    assert len(world.ocelot.sent) == 2
    assert (answer.body == b"") == (shape == "empty")


def test_texts_can_be_refused_one_by_one_in_the_answer(world: World) -> None:
    world.ocelot.switches.send_shape = "item_errors"
    body = read(world.ask("POST", "/sms/send/", batch("312-555-0100", "312-555-0157")))
    assert [each.get("errorCode") for each in body["messages"]] == [None, "OptedOut"]
    assert [each["to"] for each in world.ocelot.sent] == ["312-555-0100"]


def test_texts_of_many_threads_are_all_accepted_once(world: World) -> None:
    numbers = [f"312-555-{n:04}" for n in range(1000, 1400)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda to: world.ask("POST", "/sms/send/", batch(to)).status, numbers))
    assert set(answers) == {201}
    assert sorted(each["to"] for each in world.ocelot.sent) == numbers
    assert len({each["messageUuid"] for each in world.ocelot.sent}) == len(numbers)


def test_the_log_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsportal.sandbox.ocelot.texts.KEPT_TEXTS", 20)
    for n in range(30):
        world.ask("POST", "/sms/send/", batch("312-555-0100", text=str(n)))
    assert len(world.ocelot.sent) <= 20
    assert world.ocelot.sent[-1]["text"] == "29"


def test_the_sandbox_imports_nothing_but_the_standard_library() -> None:
    for path in (Path(__file__).parents[1] / "sandbox").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                ours = name == "smsportal.sandbox" or name.startswith("smsportal.sandbox.")
                assert ours or name.partition(".")[0] in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_every_magic_number_is_one_of_the_reserved_ones() -> None:
    assert all("0100" <= last <= "0199" for last in FATES)
