"""What the Ocelot twin calls back: the fate of each magic number, replies and opt-outs, retries, and its faults."""

from __future__ import annotations

import json
import zlib
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from smsportal.sandbox.app import Answer, Request
from smsportal.sandbox.callbacks import RETRY_WAITS_S
from smsportal.sandbox.faults import AFTER, BEFORE, KINDS
from smsportal.sandbox.ocelot import FATES
from smsportal.tests.sandboxes import HOOK, World, batch, make_list, person, phone, read


@pytest.fixture
def world() -> World:
    return World()


def control(world: World, path: str, body: Any = None, **headers: str) -> Answer:
    given = {"content-type": "application/json", **headers}
    if body is None:
        return world.twins.handle(Request("GET", path, {}, given))
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return world.twins.handle(Request("POST", path, {}, given, raw))


def statuses(world: World) -> list[str]:
    return [":".join(filter(None, (e["status"], e.get("errorCode")))) for e in world.told() if "status" in e]


# --- fates -----------------------------------------------------------------------------------------------------------
ARRIVES = ["queued", "sent", "delivered"]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("0100", ARRIVES),
        ("0150", ["queued", "permanent_failure:BlockedByCarrierUser"]),
        ("0151", ["queued", "permanent_failure:LandlineNotTextCapable"]),
        ("0152", ARRIVES),
        ("0153", ["queued", "queued", "sent", "sent", "delivered", "delivered"]),
        ("0154", ["delivered", "sent", "queued"]),
        ("0155", ARRIVES),
        ("0156", ARRIVES),
        ("0157", ["queued", "permanent_failure:OptedOut"]),
        ("0158", []),
        ("0159", ARRIVES),
        ("0160", ["queued", "temporary_failure", "delivered"]),
        ("0161", ["queued", "carrier_review"]),
        ("0162", ARRIVES),
        ("0163", ["queued", "permanent_failure:CarrierTimeout", "delivered"]),
        ("0164", ARRIVES),
        ("0165", ARRIVES),
    ],
)
def test_each_magic_number_has_its_fate(world: World, last: str, expected: list[str]) -> None:
    world.ask("POST", "/sms/send/", batch(f"773-555-{last}"))
    world.twins.settle()
    assert statuses(world) == expected


def test_every_fate_but_the_refused_is_tested_above() -> None:
    marks = test_each_magic_number_has_its_fate.pytestmark[0]  # type: ignore[attr-defined]
    assert {case[0] for case in marks.args[1]} - {"0100"} == set(FATES) - {"0166"}


def test_a_magic_ending_in_another_exchange_is_delivered(world: World) -> None:
    world.ask("POST", "/sms/send/", batch("773-444-0150"))
    world.twins.settle()
    assert statuses(world) == ARRIVES


def test_a_callback_is_an_array_with_several_texts(world: World) -> None:
    sent = read(world.ask("POST", "/sms/send/", batch("312-555-0100", "312-555-0150")))
    world.twins.settle()
    assert [len(payload) for _, payload in world.calls] == [2, 2, 1]
    assert world.calls[1][1][1] == {
        "batchUuid": sent["batchUuid"],
        "messageUuid": sent["messages"][1]["messageUuid"],
        "status": "permanent_failure",
        "errorCode": "BlockedByCarrierUser",
        "customerMessageId": "m1.1",
    }


def test_a_late_receipt_waits_its_time(world: World) -> None:
    world.ask("POST", "/sms/send/", batch("312-555-0152"))
    assert world.twins.run_due(world.now + timedelta(seconds=5)) == 2
    assert world.twins.run_due(world.now + timedelta(seconds=8)) == 1


def test_receipts_can_come_before_the_answer(world: World) -> None:
    answer = world.ask("POST", "/sms/send/", batch("312-555-0162"))
    assert (answer.status, answer.mishap) == (201, "")
    assert statuses(world) == ARRIVES


def test_the_batch_can_name_its_own_webhook(world: World) -> None:
    world.ask("POST", "/sms/send/", batch("312-555-0156", smsWebhookUri="http://portal.test/own/"))
    world.twins.settle()
    assert [url for url, _ in world.calls] == ["http://portal.test/own/"] * 3 + [HOOK] * 2


def test_without_an_address_a_callback_is_only_shown(world: World) -> None:
    world.ocelot.webhooks["sms"] = ""
    world.ask("POST", "/sms/send/", batch("312-555-0100"))
    assert world.twins.settle() == 0
    assert {each.state for each in world.twins.callbacks.log} == {"nowhere to go"}


# --- replies and opt-outs --------------------------------------------------------------------------------------------
def test_a_reply_is_told_as_the_webhook_api_does(world: World) -> None:
    world.ocelot.hooks.reply(sender="3125550100", to="312-555-0190", text="When?")
    world.twins.run_due()
    (event,) = world.told()
    assert isinstance(world.calls[0][1], dict)
    assert event.pop("eventId")
    assert event == {
        "name": "IncomingSms.received", "to": "312-555-0190", "from": "312-555-0100", "triggerType": "Inbound",
        "message": "When?", "dateTime": "2026-03-02T15:00:00.000Z",
    }  # fmt: skip


def test_a_reply_can_be_told_as_campaigns_do(world: World) -> None:
    path = f"/contact-list/{make_list(world)}/contacts"
    ada = person("312-555-0100", First_Name="Ada")
    world.ask("POST", path, {"contacts": [ada]})
    world.ocelot.switches.reply_style = "campaign"
    world.ocelot.hooks.reply(sender="312-555-0100", to="312-555-0190", text="When?")
    world.ocelot.hooks.reply(sender="312-555-0101", to="312-555-0190", text="Where?")
    world.twins.run_due()
    first, second = world.told()
    assert isinstance(world.calls[0][1], list)
    assert first["contactFields"] == ada["fields"]
    assert second["contactFields"] == phone("312-555-0101")["fields"]
    assert (first["name"], first["triggerType"], len(first["campaignId"])) == ("IncomingSms.received", "inbound", 24)
    assert not {"to", "from"} & set(first)


def test_stop_opts_out_for_all_later_texts_until_start(world: World) -> None:
    world.ask("POST", "/sms/send/", batch("312-555-0156"))
    world.twins.settle()
    assert [(e["name"], e["referenceField"]["value"]) for e in world.told() if "referenceField" in e] == [
        ("PhoneNumber.optedOut", "312-555-0156")
    ]
    world.calls.clear()
    world.ask("POST", "/sms/send/", batch("312-555-0156"))
    world.twins.settle()
    assert statuses(world) == ["queued", "permanent_failure:OptedOut"]
    world.ocelot.hooks.reply(sender="312-555-0156", to="312-555-0190", text=" Start! ")
    world.twins.settle()
    assert world.told()[-1]["name"] == "PhoneNumber.optedIn"
    assert world.ocelot.opted_out == set()


def test_only_a_stop_phrase_opts_out(world: World) -> None:
    for text in ("Please don't stop", "Take  me off your LIST."):
        world.ocelot.hooks.reply(sender="312-555-0100", to="312-555-0190", text=text)
        world.twins.settle()
    assert [e["name"] for e in world.told()] == ["IncomingSms.received"] * 2 + ["PhoneNumber.optedOut"]


# --- retries ---------------------------------------------------------------------------------------------------------
def test_a_refused_callback_is_repeated_with_the_same_ids(world: World) -> None:
    world.statuses = [500, 302]
    world.ocelot.hooks.reply(sender="312-555-0100", to="312-555-0190", text="When?")
    assert world.twins.run_due() == 1
    assert world.twins.run_due(world.now + timedelta(seconds=0.9)) == 0
    assert world.twins.settle() == 2
    assert world.calls[0] == world.calls[1] == world.calls[2]
    (call,) = world.twins.callbacks.log
    assert ([result for _, result in call.attempts], call.state) == (["500", "302", "200"], "taken")


def test_a_callback_nobody_takes_is_given_up_after_growing_waits(world: World) -> None:
    world.statuses = [503] * 99
    world.ocelot.hooks.opt("312-555-0100", out=True)
    assert world.twins.settle() == len(RETRY_WAITS_S) + 1
    (call,) = world.twins.callbacks.log
    at: list[datetime] = [when for when, _ in call.attempts]
    assert [(b - a).total_seconds() for a, b in pairwise(at)] == list(RETRY_WAITS_S)
    assert call.state == "given up"


# --- faults ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_accepts_the_texts_or_does_not_as_it_says(world: World, kind: str) -> None:
    world.twins.faults.add(kind, on="send", times=1, retry_after="7")
    spoiled = world.ask("POST", "/sms/send/", batch("312-555-0100"))
    assert len(world.ocelot.sent) == (1 if kind in AFTER else 0)
    if kind.removeprefix("accept_").isdigit():
        assert spoiled.status == int(kind.removeprefix("accept_"))
    well = world.ask("POST", "/sms/send/", batch("312-555-0100"))
    assert (well.status, well.mishap) == (201, "")


@pytest.mark.parametrize(
    ("kind", "mishap"),
    [("reset_before", "reset_before"), ("reset_after", "reset_after"), ("hang", "hang"), ("hang_before", "hang"),
     ("torn", "torn"), ("drip", "drip")],
)  # fmt: skip
def test_a_fault_of_the_connection_is_named_in_the_answer(world: World, kind: str, mishap: str) -> None:
    world.twins.faults.add(kind)
    assert world.ask("POST", "/sms/send/", batch("312-555-0100")).mishap == mishap


def test_answers_of_faults(world: World) -> None:
    world.twins.faults.add("429", times=1, retry_after="7")
    throttled = world.ask("POST", "/sms/send/", batch("312-555-0100"))
    assert (throttled.headers["Retry-After"], read(throttled)["statusCode"]) == ("7", 429)
    world.twins.faults.add("redirect", times=1)
    assert world.ask("POST", "/sms/send/", batch("312-555-0100")).headers["Location"]
    world.twins.faults.add("bomb", times=1)
    bomb = world.ask("POST", "/sms/send/", batch("312-555-0100"))
    assert len(bomb.body) < 100_000
    assert len(zlib.decompress(bomb.body, wbits=31)) == 64 * 1024 * 1024


def test_a_fault_keeps_to_its_route_and_share(world: World) -> None:
    world.twins.faults.add("500", on="contacts")
    world.twins.faults.add("503", on="lists", share=0.5)
    answers = [world.ask("POST", "/contact-list", {"name": "A"}).status for _ in range(100)]
    assert 30 < answers.count(503) < 70
    assert answers.count(503) + answers.count(201) == 100
    assert world.ask("GET", "/contact-list/x/contacts").status == 500
    assert world.ask("POST", "/sms/send/", batch("312-555-0100")).status == 201
    again = World()
    again.twins.faults.add("503", on="lists", share=0.5)
    assert [again.ask("POST", "/contact-list", {"name": "A"}).status for _ in range(100)] == answers


def test_receipts_first_befalls_any_number(world: World) -> None:
    world.twins.faults.add("receipts_first")
    assert world.ask("POST", "/sms/send/", batch("312-555-0100")).mishap == ""
    assert statuses(world) == ARRIVES


def test_requests_are_counted_with_their_fault(world: World) -> None:
    world.twins.faults.add("500", times=1)
    world.ask("GET", "/contact-list/x")
    world.ask("GET", "/contact-list/x")
    assert [(each.status, each.fault) for each in world.twins.requests] == [(500, "500"), (404, "")]


# --- control ---------------------------------------------------------------------------------------------------------
def test_the_log_tells_what_was_accepted(world: World) -> None:
    world.ask("POST", "/sms/send/", batch("312-555-0100", "312-555-0150"))
    log = read(control(world, "/_sandbox/log"))["sent"]
    assert [(each["to"], each["text"], each["fate"]) for each in log] == [
        ("312-555-0100", "Hello", "delivered"), ("312-555-0150", "Hello", "fails: blocked by the carrier's user"),
    ]  # fmt: skip


def test_control_sets_faults_switches_and_addresses(world: World) -> None:
    given = {"faults": [{"kind": "429", "times": 2}], "send_shape": "array", "zero_counts": True}
    state = read(control(world, "/_sandbox/faults", given))
    assert (state["faults"][0]["kind"], state["switches"]["send_shape"]) == ("429", "array")
    state = read(control(world, "/_sandbox/faults", {"clear": True, "kind": "drip", "on": "send"}))
    assert [each["kind"] for each in state["faults"]] == ["drip"]
    state = read(control(world, "/_sandbox/webhooks", {"all": "http://portal.test/x/"}))
    assert set(state["webhooks"].values()) == {"http://portal.test/x/"}
    state = read(control(world, "/_sandbox/webhooks", {"opt": ""}))
    assert state["webhooks"]["opt"] == ""


def test_control_makes_students_and_staff_act(world: World) -> None:
    world.ask("POST", "/sms/send/", {**batch("312-555-0100"), "from": "312-555-0193"})
    world.twins.settle()
    world.calls.clear()
    control(world, "/_sandbox/reply", {"from": "(312) 555-0100", "text": "STOP"})
    control(world, "/_sandbox/opt", {"number": "312-555-0101"})
    control(world, "/_sandbox/campaign", {"to": "312-555-0102", "text": "Hi", "status": "failed", "error": "Spam"})
    world.twins.settle()
    reply, *opts, campaign = world.told()
    assert (reply["to"], len(opts)) == ("312-555-0193", 2)
    assert (campaign["triggerType"], campaign["status"], campaign["errorCode"]) == ("outbound", "failed", "Spam")
    assert read(control(world, "/_sandbox/state"))["opted_out"] == ["+13125550100", "+13125550101"]


def test_control_resets_everything(world: World) -> None:
    world.ask("POST", "/sms/send/", batch("312-555-0100"))
    control(world, "/_sandbox/reset", {})
    state = read(control(world, "/_sandbox/state"))
    assert (state["sent"], state["owed"], state["webhooks"]["sms"]) == (0, 0, "")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/_sandbox/faults", {"kind": "nothing"}, 400),
        ("/_sandbox/faults", {"on": "send"}, 400),
        ("/_sandbox/faults", {"kind": "500", "on": "nothing"}, 400),
        ("/_sandbox/faults", {"kind": "500", "share": 2}, 400),
        ("/_sandbox/faults", {"send_shape": "round"}, 400),
        ("/_sandbox/faults", [1], 400),
        ("/_sandbox/faults", {"page_max": "many"}, 400),
        ("/_sandbox/webhooks", {"sms": "portal"}, 400),
        ("/_sandbox/webhooks", {"nothing": "http://portal.test"}, 400),
        ("/_sandbox/reply", {"text": "x"}, 400),
        ("/_sandbox/reply", {"from": "12", "text": "x"}, 400),
        ("/_sandbox/nothing", {}, 404),
        ("/_sandbox/nothing", None, 404),
    ],
)
def test_control_refuses_what_it_cannot_do(world: World, path: str, body: Any, status: int) -> None:
    assert control(world, path, body).status == status


def test_the_sandbox_s_own_addresses_take_no_other_verb(world: World) -> None:
    assert world.twins.handle(Request("DELETE", "/_sandbox/log")).status == 404


def test_what_is_in_force_is_on_the_page(world: World) -> None:
    world.twins.faults.add("drip", on="send", times=3, share=0.25)
    world.ask("GET", "/contact-list/x")
    page = control(world, "/").body.decode()
    assert "next 3" in page
    assert "25%" in page
    assert "Nothing was called back yet." in page


def test_the_page_shows_what_arrived_and_escapes_it(world: World) -> None:
    world.ask("POST", "/sms/send/", batch("312-555-0100", text="<script>alert(1)</script>"))
    world.twins.settle()
    page = control(world, "/").body.decode()
    assert "<h1>Sandbox</h1>" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert all(fate.title.partition('"')[0] in page for fate in FATES.values() if "'" not in fate.title)
    assert all(f'value="{kind}"' in page for kind in BEFORE)


def test_the_forms_of_the_page_work_and_lead_back(world: World) -> None:
    form = {"content-type": "application/x-www-form-urlencoded", "origin": "http://here", "host": "here"}
    answer = control(world, "/_sandbox/faults", b"kind=429&on=send&times=&latency_ms=", **form)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert world.twins.faults.rules[0].times is None
    control(world, "/_sandbox/webhooks", b"sms=http%3A%2F%2Fportal.test%2Fa&opt=", **form)
    assert (world.ocelot.webhooks["sms"], world.ocelot.webhooks["opt"]) == ("http://portal.test/a", "")
    assert control(world, "/_sandbox/reset", b"", **{**form, "origin": "http://elsewhere"}).status == 403
