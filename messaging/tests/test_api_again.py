"""Taking back, trying, settling and putting right through the API: undo, test-send, failures, resolve, correct, who got it."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.utils import timezone

from contacts import consent
from contacts.models import Segment
from messaging import controls
from messaging.models import Attempt, Batch, Chunk, Message, Receipt, Sender
from messaging.sending import send_next
from messaging.statuses import BatchState, ChunkState, MessageState
from smsportal import clock
from smsportal.tests.programs import API, person, program
from smsportal.tests.world import make_account, make_contact, make_list, make_unit, make_user

pytestmark = pytest.mark.django_db
FROM = "+13125550199"
TEXT = "Hi {{First_Name}}, Registrar here. Reply STOP to opt out."


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""


@pytest.fixture
def sam():
    Sender.objects.create(account=make_account(), address=FROM)
    return make_user(groups=("Sender",), phone="+13125550188")


@pytest.fixture
def client(sam):
    return program(sam)


@pytest.fixture
def contact_list():
    made = make_list()
    for number, first in enumerate(["Ada", "Bo", "=Cy"]):
        make_contact(made, f"+1312555010{number}", first=first)
    return made


@pytest.fixture
def batch(sam, contact_list):
    return controls.create(
        actor=sam, unit=contact_list.unit, account=contact_list.account, sender=FROM, operator="advising@example.edu",
        name="Welcome", lists=[contact_list], text=TEXT,
    )  # fmt: skip


def post(client, batch, action, body=None, **headers):
    return client.post(f"{API}batches/{batch.uuid}/{action}/", body, **headers)


def finished(batch, *states, **more):
    """`batch`, finished, with one text in each of `states`, long after its last request left."""
    chunk = Chunk.objects.create(batch=batch, size=len(states), state=ChunkState.UNKNOWN)
    attempt = Attempt.objects.create(chunk=chunk, fence=1, texts=len(states))
    Attempt.objects.filter(pk=attempt.pk).update(created_at=clock.after(-3600))
    contacts = batch.lists.get().contacts.select_related("number").order_by("pk")
    for contact, state in zip(contacts, states, strict=False):
        columns = {"contact": contact, "number": contact.number, "state": state, "attempt": 1, **more}
        Message.objects.create(batch=batch, chunk=chunk, text=f"Hi {contact.first_name}", **columns)
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.FINISHED, recipients=len(states))
    batch.refresh_from_db()
    return batch


# --- segments and times ----------------------------------------------------------------------------------------------
def test_a_batch_is_written_to_a_segment_until_a_time(client, contact_list):
    segment = Segment.objects.create(
        unit=contact_list.unit, contact_list=contact_list, name="Ada",
        conditions=[{"field": "First_Name", "test": "is", "value": "Ada"}],
    )  # fmt: skip
    at = timezone.localtime(clock.now() + timedelta(days=30)).replace(microsecond=0)
    begin, end, before = (moment.isoformat() for moment in (at, at + timedelta(hours=9), at - timedelta(hours=1)))
    body = {"name": "A", "segments": [str(segment.uuid)], "text": TEXT, "account": "ocelot", "sender": FROM,
            "send_at": begin, "expires_at": end}  # fmt: skip
    made = client.post(f"{API}batches/", body)
    assert made.status_code == 201, made.json()
    shown = made.json()
    assert (shown["lists"], shown["segments"], shown["corrects"]) == ([], [str(segment.uuid)], None)
    assert (shown["send_at"], shown["expires_at"]) == (body["send_at"], body["expires_at"])
    assert [row["id"] for row in client.get(f"{API}batches/?segment={segment.uuid}").json()["results"]] == [shown["id"]]
    early = client.patch(f"{API}batches/{shown['id']}/", {"expires_at": before})
    assert (early.status_code, list(early.json()["errors"])) == (400, ["expires_at"])
    seen = client.post(f"{API}batches/{shown['id']}/preview/").json()
    assert seen["waterfall"]["audience"] == 1


def test_segments_of_other_units_cannot_be_used(client):
    theirs = make_list("Theirs", unit=make_unit("Housing"))
    segment = Segment.objects.create(unit=theirs.unit, contact_list=theirs, name="All", conditions=[])
    body = {"name": "A", "segments": [str(segment.uuid)], "text": TEXT, "account": "ocelot", "sender": FROM}
    answer = client.post(f"{API}batches/", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["segments"])


# --- start and undo --------------------------------------------------------------------------------------------------
def test_a_start_is_taken_back_while_nothing_is_prepared(client, batch):
    post(client, batch, "submit")
    started = post(client, batch, "start", {"undo_s": 60}).json()
    assert started["state"] == "expanding"
    assert started["leaves_at"]
    assert "undo" in started["allowed"]
    undone = post(client, batch, "undo").json()
    assert (undone["state"], undone["leaves_at"], undone["started_at"]) == ("approved", None, None)
    again = post(client, batch, "undo")
    assert again.status_code == 409
    assert "undo" not in again.json()["allowed"]
    assert "undo" not in post(client, batch, "start").json()["allowed"]  # without a moment to undo it
    assert post(client, batch, "undo").status_code == 409


def test_whoever_types_another_number_or_looked_at_something_else_does_not_start(client, batch):
    snapshot = post(client, batch, "submit").json()["snapshot"]
    wrong = post(client, batch, "start", {"typed": 30})
    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["typed"])
    assert post(client, batch, "start", {"snapshot": "0" * 64}).status_code == 412
    assert post(client, batch, "start", {"typed": 3, "snapshot": snapshot}).json()["state"] == "expanding"


def test_an_approval_is_of_what_was_looked_at(client, batch, settings):
    settings.APPROVAL_ABOVE = 1
    snapshot = post(client, batch, "submit").json()["snapshot"]
    approver = person("Approver", username="ann")
    assert post(approver, batch, "approve", {"snapshot": "0" * 64}).status_code == 412
    make_contact(batch.lists.get(), "+13125550199", first="Late")
    refused = post(approver, batch, "approve", {"snapshot": snapshot})
    assert (refused.status_code, refused.json()["allowed"]) == (409, ["edit", "submit", "cancel"])
    snapshot = post(client, batch, "submit").json()["snapshot"]
    assert post(approver, batch, "approve", {"snapshot": snapshot}).json()["state"] == "approved"


# --- a test of it ----------------------------------------------------------------------------------------------------
def test_a_test_goes_to_oneself_and_counts_nowhere(client, batch, twin):
    sent = post(client, batch, "test-send")
    assert sent.status_code == 202
    assert (sent.json()["to"], sent.json()["text"]) == (
        "+13125550188",
        f"[Test] {TEXT.replace('{{First_Name}}', 'Ada')}",
    )
    other = post(client, batch, "test-send", {"to": "(312) 555-0177", "sample": "312-555-0101"}).json()
    assert (other["to"], "Hi Bo" in other["text"]) == ("+13125550177", True)
    while send_next():
        pass
    assert [each["e164"] for each in twin.ocelot.sent] == ["+13125550188", "+13125550177"]
    assert client.get(f"{API}batches/{batch.uuid}/").json()["recipients"] == 0
    assert len(client.get(f"{API}batches/").json()["results"]) == 1


@pytest.mark.parametrize(
    ("body", "field"), [({"to": "12"}, "to"), ({"sample": "12"}, "sample"), ({"sample": "312-555-0142"}, "sample")]
)
def test_a_test_that_cannot_be_is_refused_by_field(client, batch, body, field):
    answer = post(client, batch, "test-send", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert not Message.objects.exists()


def test_a_test_says_why_the_text_of_a_person_cannot_be_tried(client, batch):
    make_contact(make_list("Other"), "+13125550142", first="Eve")
    consent.opt_out("+13125550101", source="staff")
    for sample, why in (("312-555-0142", "is not in its audience"), ("312-555-0101", "(the person opted out)")):
        answer = post(client, batch, "test-send", {"sample": sample})
        assert (answer.status_code, why in answer.json()["errors"]["sample"][0]) == (400, True)
    assert not Message.objects.exists()


# --- what failed, what nobody knows ----------------------------------------------------------------------------------
def test_failures_are_told_with_what_to_do(client, batch):
    finished(batch, MessageState.REJECTED, MessageState.REJECTED, MessageState.ACCEPTED, error_code="30006")
    consent.opt_out("+13125550101", source="staff")
    [found] = client.get(f"{API}batches/{batch.uuid}/failures/").json()["results"]
    assert set(found) == {"code", "title", "advice", "number", "again", "opted_out"}
    assert (found["code"], found["number"], found["opted_out"]) == ("30006", 1, 1)
    assert found["title"]
    assert found["advice"]


def test_one_unknown_text_is_written_off_or_sent_again_by_an_approver(client, batch):
    finished(batch, MessageState.UNKNOWN, MessageState.UNKNOWN)
    first, second = Message.objects.order_by("pk")
    url = f"{API}messages/{{}}/resolve/"
    assert client.post(url.format(first.uuid)).status_code == 400
    off = client.post(url.format(first.uuid), {"resend": False}).json()
    assert (off["state"], off["evidence"]) == ("written_off", "staff")
    assert [event["source"] for event in off["events"]] == ["staff"]
    refused = client.post(url.format(second.uuid), {"resend": True})
    assert refused.status_code == 403
    assert "messaging.approve_batch" in refused.json()["detail"]
    approver = person("Approver", username="ann")
    assert approver.post(url.format(second.uuid), {"resend": False}).status_code == 403
    assert approver.post(url.format(second.uuid), {"resend": True}).json()["state"] == "ready"
    assert approver.post(url.format(second.uuid), {"resend": True}).status_code == 409


def test_a_token_sends_again_only_with_the_scope_of_approvers(batch):
    finished(batch, MessageState.UNKNOWN)
    message = Message.objects.get()
    ann = make_user("ann", groups=("Approver", "Sender"))
    sender = program(ann, "sends:create")
    refused = sender.post(f"{API}messages/{message.uuid}/resolve/", {"resend": True})
    assert (refused.status_code, "sends:approve" in refused.json()["detail"]) == (403, True)
    assert post(sender, batch, "resolve", {"resend": True}).status_code == 403
    both = program(ann, "sends:create", "sends:approve")
    assert both.post(f"{API}messages/{message.uuid}/resolve/", {"resend": True}).status_code == 200


def test_all_unknown_texts_of_a_batch_are_settled_at_once(client, batch):
    finished(batch, MessageState.UNKNOWN, MessageState.UNKNOWN, MessageState.ACCEPTED)
    approver = person("Approver", username="ann")
    again = post(approver, batch, "resolve", {"resend": True}).json()
    assert (again["state"], again["counts"]["ready"], again["counts"]["unknown"]) == ("running", 2, 0)
    Message.objects.filter(state="ready").update(state="unknown")
    off = post(client, batch, "resolve", {"resend": False}).json()
    assert (off["counts"]["written_off"], off["recipients"]) == (2, 3)
    assert post(client, batch, "resolve", {"resend": False}).status_code == 409


# --- who got it, and putting it right --------------------------------------------------------------------------------
def rows_of(answer):
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_who_got_it_comes_as_csv_by_group_or_all_together(client, batch):
    finished(batch, MessageState.ACCEPTED, MessageState.UNKNOWN, MessageState.REJECTED)
    url = f"{API}batches/{batch.uuid}/recipients.csv"
    rows = rows_of(client.get(url))
    assert [(row["group"], row["to"], row["first_name"], row["state"]) for row in rows] == [
        ("got", "+13125550100", "Ada", "accepted"),
        ("may_have", "+13125550101", "Bo", "unknown"),
        ("did_not", "+13125550102", "'=Cy", "rejected"),
    ]
    assert rows_of(client.get(f"{url}?group=may_have")) == [rows[1]]
    assert client.get(f"{url}?group=all").status_code == 400
    assert client.get(f"{url}?groups=got").status_code == 400


def test_a_correction_goes_to_those_who_got_it_or_may_have(client, batch, twin):
    assert post(client, batch, "correct", {"text": "Room 12. Registrar"}).status_code == 409
    finished(batch, MessageState.ACCEPTED, MessageState.UNKNOWN, MessageState.REJECTED)
    wrong = post(client, batch, "correct", {"text": "Hi {{Shoe_Size}}"})
    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["text"])
    made = post(client, batch, "correct", {"text": "Room 12, not 21. Registrar. Reply STOP to opt out."})
    assert made.status_code == 201
    shown = made.json()
    assert (shown["state"], shown["corrects"], shown["lists"]) == ("draft", str(batch.uuid), [])
    seen = client.post(f"{API}batches/{shown['id']}/preview/").json()
    assert seen["waterfall"]["will_send"] == 2
    second = post(client, batch, "correct", {"text": "Room 12, not 21. Registrar."})
    assert (second.status_code, "corrects this batch already" in second.json()["detail"]) == (409, True)


def test_a_text_to_one_person_is_not_corrected(client, contact_list):
    single = controls.send_single(
        actor=None, unit=contact_list.unit, account=contact_list.account, sender=FROM, to="+13125550100", text="Room 21"
    )
    Message.objects.update(state=MessageState.ACCEPTED)
    Batch.objects.update(state=BatchState.FINISHED)
    answer = post(client, single.batch, "correct", {"text": "Room 12, not 21. Registrar"})
    assert (answer.status_code, answer.json()["detail"][:31]) == (409, "This is a text to one person; w")
    assert Batch.objects.count() == 1


# --- once, and at the same price -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("action", "body"),
    [("correct", {"text": "Room 12. Registrar"}), ("test-send", {}), ("resolve", {"resend": False})],
)
def test_the_same_key_does_it_once(client, batch, action, body):
    finished(batch, MessageState.ACCEPTED, MessageState.UNKNOWN)
    first, second = (post(client, batch, action, body, HTTP_IDEMPOTENCY_KEY="k1") for _ in range(2))
    assert first.status_code in {200, 201, 202}, first.json()
    assert (second.json(), second["Idempotent-Replayed"]) == (first.json(), "true")
    assert Batch.objects.count() == {"correct": 2, "test-send": 2, "resolve": 1}[action]
    assert Receipt.objects.count() == {"resolve": 1}.get(action, 0)


@pytest.mark.parametrize("number", [1, 10])
def test_the_price_does_not_grow_with_the_texts(client, batch, django_assert_max_num_queries, number):
    for place in range(number):
        make_contact(batch.lists.get(), f"+131255502{place:02}")
    finished(batch, *[MessageState.REJECTED] * number)
    with django_assert_max_num_queries(8):
        client.get(f"{API}batches/{batch.uuid}/failures/")
    with django_assert_max_num_queries(15):
        assert client.get(f"{API}batches/{batch.uuid}/people/").json()["results"]
    with django_assert_max_num_queries(13):
        b"".join(client.get(f"{API}batches/{batch.uuid}/recipients.csv").streaming_content)
