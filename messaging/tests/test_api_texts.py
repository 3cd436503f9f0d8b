"""Templates, senders and single texts through the API."""

from __future__ import annotations

import pytest

from contacts import consent
from messaging import sending
from messaging.models import Message, Sender, Template
from smsportal.tests.programs import API, program
from smsportal.tests.world import make_account, make_contact, make_list, make_unit, make_user

pytestmark = pytest.mark.django_db
FROM = "+13125550199"


@pytest.fixture
def client(settings):
    settings.QUIET_HOURS = ""
    make_account()
    return program(make_user(groups=("Sender",)))


# --- templates -------------------------------------------------------------------------------------------------------
URL = f"{API}templates/"


def test_a_template_says_its_placeholders_and_segments(client):
    made = client.post(URL, {"name": "Welcome", "text": "Hi {{First_Name|there}} from {{Advisor}} ✓"})
    assert made.status_code == 201
    template = made.json()
    assert (template["name"], template["version"], template["segments"]) == ("Welcome", 1, 1)
    assert template["placeholders"] == ["First_Name", "Advisor"]
    assert client.get(f"{URL}{template['id']}/").json() == template
    assert client.get(URL).json()["results"] == [template]


def test_a_new_wording_is_a_new_version_for_who_saw_the_latest(client):
    url = f"{URL}{client.post(URL, {'name': 'T', 'text': 'One'}).json()['id']}/"
    assert client.patch(url, {"text": "Two"}, HTTP_IF_MATCH='"1"').json()["version"] == 2
    assert client.patch(url, {"text": "Three"}, HTTP_IF_MATCH='"1"').status_code == 412
    assert client.patch(url, {"name": "U"}).json()["version"] == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "T"}, "text"),
        ({"text": "Hi"}, "name"),
        ({"name": "T", "text": ""}, "text"),
        ({"name": "T", "text": "Hi {{"}, "text"),
        ({"name": "Taken", "text": "Hi"}, "name"),
        ({"name": "T", "text": "Hi", "version": 9}, "version"),
        ({"name": "T", "text": "x" * 20_001}, "text"),
    ],
)
def test_a_wrong_template_is_refused_by_field(client, body, field):
    client.post(URL, {"name": "Taken", "text": "Hi"})
    answer = client.post(URL, body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert Template.objects.count() == 1


def test_templates_of_other_units_are_not_there(client):
    theirs = Template.objects.create(unit=make_unit("Housing"), name="Theirs")
    theirs.versions.create(version=1, text="Hi")
    assert client.get(URL).json()["results"] == []
    assert client.get(f"{URL}{theirs.uuid}/").status_code == 404
    assert client.patch(f"{URL}{theirs.uuid}/", {"text": "Ho"}).status_code == 404


def test_listing_templates_takes_few_queries(client, django_assert_max_num_queries):
    for number in range(20):
        client.post(URL, {"name": f"T{number}", "text": "Hi"})
    with django_assert_max_num_queries(5):
        assert len(client.get(URL).json()["results"]) == 20


# --- senders ---------------------------------------------------------------------------------------------------------
def test_senders_are_asked_for_at_the_provider_and_kept(client, twin):
    gone = Sender.objects.create(account=make_account(), address="+13125550120", operator="advising@example.edu")
    Sender.objects.filter(pk=gone.pk).update(refreshed_at="2020-01-01T00:00:00Z")
    by_hand = Sender.objects.create(account=make_account(), address="+13125550121", label="By hand")
    told = client.post(f"{API}senders/refresh/", {"account": "ocelot", "operator": "advising@example.edu"})
    assert told.status_code == 200
    addresses = {row["address"] for row in told.json()["results"]}
    assert addresses
    assert gone.address not in addresses
    rows = client.get(f"{API}senders/?account=ocelot").json()["results"]
    assert {row["address"] for row in rows} == {*addresses, by_hand.address}
    assert {"id", "account", "address", "label", "description", "campaign_ids"} <= set(rows[0])
    again = client.post(f"{API}senders/refresh/", {"account": "ocelot"}).json()["results"]
    assert {row["id"] for row in again} == {row["id"] for row in told.json()["results"]}


@pytest.mark.parametrize(
    ("query", "count"),
    [("account=ocelot", 2), ("account=nobody", 0), ("operator=a@example.edu", 2), ("operator=b@example.edu", 1)],
)
def test_senders_are_found(client, query, count):
    Sender.objects.create(account=make_account(), address=FROM)
    Sender.objects.create(account=make_account(), address="+13125550198", operator="a@example.edu")
    assert len(client.get(f"{API}senders/?{query}").json()["results"]) == count


@pytest.mark.parametrize("body", [{}, {"account": "nobody"}, {"account": "ocelot", "operator": "x"}])
def test_a_wrong_refresh_is_refused(client, body):
    assert client.post(f"{API}senders/refresh/", body).status_code == 400


# --- single texts ----------------------------------------------------------------------------------------------------
def _body(**more):
    return {"to": "(312) 555-0100", "text": "Your form arrived.", "account": "ocelot", "sender": FROM} | more


def test_a_single_text_is_accepted_and_then_sent(client, twin):
    contact = make_contact(make_list())
    answer = client.post(f"{API}messages/", _body())
    assert answer.status_code == 202
    message = answer.json()
    assert (message["to"], message["state"], message["delivery"]) == ("+13125550100", "ready", "none")
    assert message["contact"] == str(contact.uuid)
    while sending.send_next():
        pass
    sent = client.get(f"{API}messages/{message['id']}/").json()
    assert sent["state"] == "accepted"
    assert sent["remote_id"]  # what the provider calls it; its reports come as events
    assert [each["text"] for each in twin.ocelot.sent] == ["Your form arrived."]
    assert client.get(f"{API}batches/").json()["results"] == []
    assert client.get(f"{API}batches/{message['batch']}/").json()["recipients"] == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": "12"}, "to"),
        ({"to": ""}, "to"),
        ({"text": "  "}, "text"),
        ({"text": "Hi {{First_Name}}"}, "text"),
        ({"account": "nobody"}, "account"),
        ({"sender": "Registrar"}, "sender"),
        ({"operator": "x"}, "operator"),
        ({"state": "accepted"}, "state"),
        ({"smsWebhookUri": "http://example.edu"}, "smsWebhookUri"),
    ],
)
def test_a_wrong_text_is_refused_by_field(client, change, field):
    answer = client.post(f"{API}messages/", _body(**change))
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert not Message.objects.exists()


def test_nobody_who_opted_out_is_texted(client):
    consent.opt_out("+13125550100", source="staff")
    answer = client.post(f"{API}messages/", _body())
    assert answer.status_code == 409
    assert "opted out" in answer.json()["detail"]
    assert not Message.objects.exists()


def test_texts_of_other_units_are_not_there(client):
    other = program(make_user("other", groups=("Sender",), units=[make_unit("Housing")]))
    message = other.post(f"{API}messages/", _body()).json()
    assert client.get(f"{API}messages/{message['id']}/").status_code == 404
