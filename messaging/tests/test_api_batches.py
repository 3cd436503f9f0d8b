"""Batches through the API, from draft to receipts, as programs of a sender and an approver use it."""

from __future__ import annotations

import pytest

from contacts import consent
from messaging import composing, sending
from messaging.models import Batch, Chunk, Message, Receipt, Sender, Template
from messaging.statuses import DELIVERY_WORDS, ChunkState, MessageState
from smsportal import clock
from smsportal.tests.programs import API, person, program
from smsportal.tests.world import make_account, make_contact, make_list, make_unit, make_user

pytestmark = pytest.mark.django_db
URL = f"{API}batches/"
FROM = "+13125550199"


@pytest.fixture
def client(settings):
    settings.QUIET_HOURS = ""
    Sender.objects.create(account=make_account(), address=FROM)
    return program(make_user(groups=("Sender",)))


@pytest.fixture
def contact_list():
    contact_list = make_list()
    for number, first in enumerate(["Ada", "Bo", "Cy"]):
        make_contact(contact_list, f"+1312555010{number}", first=first)
    consent.opt_out("+13125550102", source="staff")
    return contact_list


def _body(contact_list, **more):
    return {
        "name": "Welcome",
        "lists": [str(contact_list.uuid)],
        "text": "Hi {{First_Name}}, Registrar here. Reply STOP to opt out.",
        "account": "ocelot",
        "channel": "sms",
        "sender": "(312) 555-0199",
        "operator": "advising@example.edu",
        "send_at": None,
        "provider_options": {},
    } | more


def _made(client, contact_list, **more):
    answer = client.post(URL, _body(contact_list, **more))
    assert answer.status_code == 201, answer.json()
    return answer.json()


def _move(client, batch, action, body=None):
    return client.post(f"{URL}{batch['id']}/{action}/", body)


def _work():
    while held := composing.next_batch():
        composing.expand(held)
    while sending.send_next():
        pass


def _conserves(batch):
    return batch["recipients"] == sum(batch["counts"].values()) == sum(batch["delivery"].values())


def test_a_draft_is_what_was_asked_for(client, contact_list):
    batch = _made(client, contact_list)
    assert batch["state"] == "draft"
    assert batch["allowed"] == ["edit", "submit", "cancel"]
    assert batch["sender"] == FROM
    assert batch["lists"] == [str(contact_list.uuid)]
    assert (batch["unit"], batch["author"], batch["revision"], batch["recipients"]) == ("Registrar", "sam", 1, 0)
    assert batch["counts"] == dict.fromkeys(MessageState.values, 0)
    assert batch["delivery"] == dict.fromkeys(DELIVERY_WORDS.values(), 0)
    assert batch["skipped"] == {}
    assert client.get(f"{URL}{batch['id']}/").json() == batch


def test_from_draft_to_sent(client, contact_list, twin):
    batch = _made(client, contact_list)
    seen = _move(client, batch, "preview").json()
    waterfall = seen["waterfall"]
    assert waterfall["audience"] == sum(n for name, n in waterfall.items() if name != "audience") == 3
    assert (waterfall["opted_out"], waterfall["will_send"]) == (1, 2)
    assert {"to", "name", "text", "segments", "note", "reason", "encoding", "culprits"} == set(seen["samples"][0])
    assert seen["segments"] == {"min": 1, "max": 1, "total": 2}
    assert seen["invalid_by_reason"] == {"blank": 0, "empty": 0, "too_long": 0}
    assert seen["warnings"] == [f"{each['sentence']} {each['remedy']}" for each in seen["findings"]]
    assert _move(client, batch, "submit").json()["state"] == "approved"
    assert _move(client, batch, "start").json()["state"] == "expanding"
    _work()
    done = client.get(f"{URL}{batch['id']}/").json()
    assert _conserves(done)
    assert (done["recipients"], done["counts"]["accepted"], done["counts"]["skipped"]) == (3, 2, 1)
    assert done["skipped"] == {"opted_out": 1}
    assert sorted(each["to"] for each in twin.ocelot.sent) == ["312-555-0100", "312-555-0101"]
    rows = client.get(f"{URL}{batch['id']}/messages/").json()["results"]
    assert [(row["to"], row["state"], row["reason"]) for row in rows] == [
        ("+13125550100", "accepted", ""),
        ("+13125550101", "accepted", ""),
        ("+13125550102", "skipped", "opted_out"),
    ]
    assert rows[0]["text"] == "Hi Ada, Registrar here. Reply STOP to opt out."
    assert client.get(f"{API}messages/{rows[0]['id']}/").json() == rows[0]


def test_the_people_of_each_step_are_told_page_by_page(client, contact_list):
    make_contact(contact_list, "+13125550103", first="")
    batch = _made(client, contact_list)
    url = f"{URL}{batch['id']}/people/"
    waterfall = _move(client, batch, "preview").json()["waterfall"]
    for step, number in waterfall.items():
        address, people = f"{url}?step={step}&limit=1", []
        while address:
            page = client.get(address).json()
            people += page["results"]
            address = page["next"]
        assert len(people) == len({each["to"] for each in people}) == number, step
    [blank] = client.get(f"{url}?step=blank").json()["results"]
    assert set(blank) == {"contact", "to", "name", "contact_list", "step", "reason", "remedy"}
    assert (blank["to"], blank["step"], blank["contact_list"]) == ("+13125550103", "blank", "Fall freshmen")
    assert client.get(f"{API}contacts/{blank['contact']}/").status_code == 200
    assert "fallback" in blank["remedy"]
    assert len(client.get(url).json()["results"]) == 4
    for query in ("step=nobody", "cursor=1", "limit=0", "search=Ada"):
        assert client.get(f"{url}?{query}").status_code == 400, query


def test_one_persons_text_is_shown_however_the_number_is_written(client, contact_list):
    batch = _made(client, contact_list)
    assert _move(client, batch, "preview").json()["recipient"] is None
    shown = _move(client, batch, "preview", {"to": "312.555.0101"}).json()["recipient"]
    assert (shown["to"], shown["text"][:6], shown["reason"]) == ("+13125550101", "Hi Bo,", "")
    assert _move(client, batch, "preview", {"to": "(312) 555-0102"}).json()["recipient"]["reason"] == "opted_out"
    nobody = _move(client, batch, "preview", {"to": "312-555-0142"})
    assert (nobody.status_code, list(nobody.json()["errors"])) == (400, ["to"])


def test_a_forbidden_move_is_409_with_the_possible_ones(client, contact_list):
    batch = _made(client, contact_list)
    for action in ("start", "pause", "resume", "retry-failed"):
        answer = _move(client, batch, action, {})
        assert answer.status_code == 409, action
        assert answer.json()["allowed"] == ["edit", "submit", "cancel"]
    assert _move(client, batch, "cancel").json()["state"] == "cancelled"
    assert _move(client, batch, "submit").json()["allowed"] == []


def test_a_large_batch_waits_for_a_colleague(client, contact_list, settings):
    settings.APPROVAL_ABOVE = 1
    batch = _made(client, contact_list)
    assert _move(client, batch, "submit").json()["state"] == "pending_approval"
    assert _move(client, batch, "start").status_code == 409
    assert _move(client, batch, "approve").status_code == 403
    own = make_user("both", groups=("Sender", "Approver"))
    own_batch = _made(program(own), contact_list, name="Own")
    assert _move(program(own), own_batch, "submit").json()["state"] == "pending_approval"
    refused = _move(program(own), own_batch, "approve")
    assert refused.status_code == 409
    assert "colleague" in refused.json()["detail"]
    approver = person("Approver", username="ann")
    assert _move(approver, batch, "approve").json()["approver"] == "ann"
    assert refused.json()["allowed"] == ["edit", "cancel"]
    assert _move(approver, own_batch, "reject").json()["state"] == "rejected"
    assert _move(approver, batch, "start").status_code == 403


def test_a_batch_is_paused_resumed_and_cancelled(client, contact_list, twin):
    batch = _made(client, contact_list)
    _move(client, batch, "submit")
    _move(client, batch, "start")
    assert _move(client, batch, "pause").json()["state"] == "paused"
    _work()
    assert twin.ocelot.sent == []
    assert _move(client, batch, "resume").json()["state"] == "expanding"
    _move(client, batch, "pause")
    assert _move(client, batch, "cancel").json()["state"] == "cancelled"
    _work()
    assert twin.ocelot.sent == []


def test_an_edit_voids_an_approval_and_only_the_latest_revision_counts(client, contact_list):
    batch = _made(client, contact_list)
    _move(client, batch, "submit")
    url = f"{URL}{batch['id']}/"
    edited = client.patch(url, {"text": "Hello from the Registrar. Reply STOP to opt out."}, HTTP_IF_MATCH='"1"').json()
    assert (edited["state"], edited["revision"]) == ("draft", 2)
    assert client.patch(url, {"name": "Late"}, HTTP_IF_MATCH='"1"').status_code == 412


def test_a_template_is_pinned_to_its_version(client, contact_list):
    template = client.post(f"{API}templates/", {"name": "T", "text": "Hi {{First_Name}}"}).json()
    batch = _made(client, contact_list, text="", template=template["id"])
    assert (batch["template"], batch["template_version"], batch["text"]) == (template["id"], 1, "Hi {{First_Name}}")
    client.patch(f"{API}templates/{template['id']}/", {"text": "Bye {{First_Name}}"})
    assert client.get(f"{URL}{batch['id']}/").json()["text"] == "Hi {{First_Name}}"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"lists": ["00000000-0000-4000-8000-000000000000"]}, "lists"),
        ({"lists": ["nonsense"]}, "lists"),
        ({"lists": "all"}, "lists"),
        ({"lists": {}}, "lists"),
        ({"lists": {"a": "b"}}, "lists"),
        ({"segments": {}}, "segments"),
        ({"segments": None}, "segments"),
        ({"text": ""}, "text"),
        ({"text": "Hi {{First_Name"}, "text"),
        ({"text": "Hi {{Shoe_Size}}"}, "text"),
        ({"template": "00000000-0000-4000-8000-000000000000", "text": ""}, "template"),
        ({"account": "nobody"}, "account"),
        ({"channel": "pigeon"}, "channel"),
        ({"sender": ""}, "sender"),
        ({"operator": "nobody"}, "operator"),
        ({"sender": "+13125550111"}, "sender"),  # none of the account's
        ({"send_at": "tomorrow"}, "send_at"),
        ({"send_at": "0001-01-01T12:00:00Z"}, "send_at"),
        ({"send_at": "2030-03-10T02:30:00"}, "send_at"),  # no offset, and no such minute in the server's zone
        ({"send_at": "9999-12-31T23:59:00-12:00"}, "send_at"),
        ({"send_at": "2199-01-01T09:00:00Z"}, "send_at"),
        ({"expires_at": "2030-03-10"}, "expires_at"),
        ({"expires_at": "2199-01-01T09:00:00Z"}, "expires_at"),
        ({"provider_options": {"a": {"b": 1}}}, "provider_options.a"),
        ({"state": "running"}, "state"),
        ({"approver": "sam"}, "approver"),
        ({"recipients": 0}, "recipients"),
        ({"single": True}, "single"),
    ],
)
def test_a_wrong_batch_is_refused_by_field(client, contact_list, change, field):
    answer = client.post(URL, _body(contact_list, **change))
    assert answer.status_code == 400
    assert field in answer.json()["errors"]
    assert not Batch.objects.exists()


def test_lists_and_templates_of_other_units_cannot_be_used(client, contact_list):
    theirs = make_list("Theirs", unit=make_unit("Housing"))
    template = Template.objects.create(unit=make_unit("Housing"), name="Theirs")
    for change in ({"lists": [str(theirs.uuid)]}, {"text": "", "template": str(template.uuid)}):
        assert client.post(URL, _body(contact_list, **change)).status_code == 400


def test_batches_of_other_units_are_not_there(client):
    theirs = Batch.objects.create(
        unit=make_unit("Housing"), account=make_account(), name="Theirs", sender=FROM, text="x"
    )
    batch = {"id": str(theirs.uuid)}
    assert client.get(URL).json()["results"] == []
    assert client.get(f"{URL}{theirs.uuid}/").status_code == 404
    assert client.get(f"{URL}{theirs.uuid}/messages/").status_code == 404
    for action in ("preview", "submit", "start", "pause", "resume", "cancel", "retry-failed"):
        assert _move(client, batch, action, {}).status_code == 404


def _message(batch, number, **more):
    contact = make_contact(batch.lists.first(), number)
    return Message.objects.create(batch=batch, number=contact.number, contact=contact, text="Hi", **more)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("state=accepted", 2),
        ("state=accepted&delivery=delivered", 1),
        ("delivery=failed", 1),
        ("delivery=none", 1),
        ("reason=opted_out", 1),
        ("error_code=30007", 1),
        ("search=555-0103", 1),
        ("search=Park", 3),
        ("search=nobody", 0),
    ],
)
def test_messages_are_found(client, contact_list, query, count):
    batch = Batch.objects.get(uuid=_made(client, contact_list)["id"])
    _message(batch, "+13125550103", state="accepted", delivery=70)
    failed = _message(batch, "+13125550104", state="accepted", delivery=60, error_code="30007")
    _message(batch, "+13125550105", state="skipped", reason="opted_out")
    Receipt.objects.create(message=failed, attempt=1, source="webhook", delivery=60, status="failed", at=clock.now())
    rows = client.get(f"{URL}{batch.uuid}/messages/?{query}").json()["results"]
    assert len(rows) == count
    if query == "delivery=failed":
        [event] = rows[0]["events"]
        assert (event["source"], event["delivery"], event["status"]) == ("webhook", "failed", "failed")


def test_what_waits_in_a_claimed_chunk_is_claimed_in_the_filter_and_in_each_message(client, contact_list):
    batch = Batch.objects.get(uuid=_made(client, contact_list)["id"])
    taken = Chunk.objects.create(batch=batch, state=ChunkState.CLAIMED, size=2)
    free = Chunk.objects.create(batch=batch, state=ChunkState.READY, size=1)
    _message(batch, "+13125550103", state="ready", chunk=taken)
    _message(batch, "+13125550104", state="held", chunk=taken)
    _message(batch, "+13125550105", state="ready", chunk=free)
    _message(batch, "+13125550106", state="ready")
    url = f"{URL}{batch.uuid}/messages/"
    found = {
        state: [row["to"][-2:] for row in client.get(f"{url}?state={state}").json()["results"]]
        for state in ("claimed", "ready", "held", "accepted")
    }
    assert found == {"claimed": ["03", "04"], "ready": ["05", "06"], "held": [], "accepted": []}
    assert [row["state"] for row in client.get(url).json()["results"]] == ["claimed", "claimed", "ready", "ready"]


@pytest.mark.parametrize("query", ["state=x", "delivery=70", "reason=x", "status=accepted"])
def test_a_wrong_message_filter_is_a_400(client, contact_list, query):
    batch = _made(client, contact_list)
    assert client.get(f"{URL}{batch['id']}/messages/?{query}").status_code == 400


@pytest.mark.parametrize("number", [1, 10])
def test_listings_take_the_same_queries_whatever_their_length(
    client, contact_list, django_assert_max_num_queries, number
):
    for n in range(number):
        batch = Batch.objects.get(uuid=_made(client, contact_list, name=f"B{n}")["id"])
        for m in range(number):
            message = _message(batch, f"+1312555{n:02}{m + 10:02}"[:12], state="accepted", delivery=70)
            Receipt.objects.create(message=message, attempt=1, source="webhook", delivery=70, at=clock.now())
    client.get(URL)
    with django_assert_max_num_queries(7):
        rows = client.get(URL).json()["results"]
    assert [row["counts"]["accepted"] for row in rows] == [number] * number
    assert all(_conserves(row) for row in rows)
    with django_assert_max_num_queries(6):
        assert len(client.get(f"{URL}{rows[0]['id']}/messages/").json()["results"]) == number


def test_what_failed_is_tried_again(client, contact_list, twin):
    batch = Batch.objects.get(uuid=_made(client, contact_list)["id"])
    _message(batch, "+13125550103", state="accepted", delivery=60, error_code="30007", attempt=1)
    Batch.objects.filter(pk=batch.pk).update(state="finished", recipients=1)
    shown = {"id": str(batch.uuid)}
    assert _move(client, shown, "retry-failed", {"classes": ["1"]}).status_code == 400
    assert _move(client, shown, "retry-failed", {"classes": "all"}).status_code == 400
    again = _move(client, shown, "retry-failed", {"classes": ["30007"]})
    assert (again.status_code, again.json()["state"], again.json()["counts"]["ready"]) == (200, "running", 1)
