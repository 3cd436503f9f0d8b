"""Calls that look as if they had worked: what a hurried program gets wrong is refused, and told why."""

from __future__ import annotations

import pytest

from contacts.models import ContactList
from messaging.models import Batch
from smsportal.tests.programs import API, program
from smsportal.tests.world import make_account, make_list, make_unit

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("method", ["get", "post", "patch", "delete"])
def test_an_address_without_its_slash_is_a_404_that_says_so(method, settings):
    """A redirect would make a GET of a POST: 200, and nothing was done."""
    settings.DEBUG = False
    make_account()
    make_unit()
    answer = getattr(program(), method)(f"{API}contact-lists", {"name": "Fall"} if method == "post" else None)
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert "slash" in answer.json()["detail"]
    assert not ContactList.objects.exists()


def test_a_number_no_database_holds_is_refused():
    make_account()
    make_unit()
    body = b'{"name": "A", "meta": {"a": [1e999]}}'
    answer = program().generic("POST", f"{API}contact-lists/", body, content_type="application/json")
    assert answer.status_code == 400
    assert not ContactList.objects.exists()


def test_a_call_that_takes_nothing_refuses_what_would_have_no_effect():
    make_account()
    contact_list = make_list()
    client = program()
    body = {"name": "A", "lists": [str(contact_list.uuid)], "text": "Hi", "account": "ocelot", "sender": "+13125550190"}
    url = f"{API}batches/{client.post(f'{API}batches/', body).json()['id']}/"
    answer = client.post(f"{url}submit/", {"send_at": "2030-01-01T09:00:00Z"})
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {"send_at"}
    assert Batch.objects.get().state == "draft"
    assert client.post(f"{url}preview/", {}).status_code == 200
    assert client.post(f"{url}preview/").status_code == 200


@pytest.mark.parametrize("body", ["[]", "[1]", "null", "0", '""', '"now"'])
@pytest.mark.parametrize(
    "action", ["cancel", "approve"]
)  # one that takes nothing, one whose members may all be left out
def test_a_body_that_is_no_object_is_refused_and_nothing_is_done(action, body):
    make_account()
    contact_list = make_list()
    client = program()
    given = {
        "name": "A",
        "lists": [str(contact_list.uuid)],
        "text": "Hi",
        "account": "ocelot",
        "sender": "+13125550190",
    }
    url = f"{API}batches/{client.post(f'{API}batches/', given).json()['id']}/{action}/"
    answer = client.generic("POST", url, body, content_type="application/json")
    assert answer.status_code == 400, answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"] or answer.json()["detail"]
    assert Batch.objects.get().state == "draft"


def test_the_description_says_null_wherever_an_answer_may_hold_it():
    components = program().get("/api/schema/?format=json").json()["components"]["schemas"]
    never = [
        f"{name}.{field}"
        for name, shown in (
            ("Batch", ["template", "template_version", "author", "submitter", "approver", "send_at", "waterfall"]),
            ("Message", ["contact"]),
            ("WebhookItem", ["message", "phone_number"]),
            ("ConsentEvent", ["actor"]),
            ("ImportRow", ["before"]),
            ("SyncRun", ["report"]),
        )
        for field in shown
        if not components[name]["properties"][field].get("nullable")
    ]
    assert never == []


def test_the_description_says_which_bodies_are_needed_and_that_nothing_else_may_be_in_them():
    described = program().get("/api/schema/?format=json").json()
    lift = described["paths"]["/api/v1/opt-outs/{id}/"]["delete"]["requestBody"]
    assert lift["content"]["application/json"]["schema"]["$ref"].endswith("/LiftRequest")
    bodies = {name: body for name, body in described["components"]["schemas"].items() if name.endswith("Request")}
    assert bodies["LiftRequest"]["required"] == ["reason"]
    assert [name for name, body in bodies.items() if body.get("additionalProperties", True) is not False] == []
    assert "requestBody" not in described["paths"]["/api/v1/contact-lists/{id}/"]["delete"]


@pytest.mark.parametrize("value", ["yes", "null", "2", "maybe"])
@pytest.mark.parametrize("path", ["contact-lists/{}/contacts/?opted_out=", "conversations/?needs_attention="])
def test_a_filter_that_means_nothing_is_refused(path, value):
    """Ignored, it would answer with everybody."""
    answer = program().get(API + path.format(make_list().uuid) + value)
    assert answer.status_code == 400
    assert len(answer.json()["errors"]) == 1


COLLECTIONS = (
    "contact-lists", "templates", "senders", "batches", "conversations", "opt-outs", "consent-events",
    "webhook-calls", "provider-accounts", "tokens",
)  # fmt: skip


@pytest.mark.parametrize("path", COLLECTIONS)
def test_a_parameter_nobody_knows_is_refused_and_the_known_ones_are_named(path):
    """Ignored, a filter that is spelled wrongly would answer with everybody."""
    answer = program().get(f"{API}{path}/?stat=draft&limit=5")
    assert answer.status_code == 400
    problem = answer.json()
    assert list(problem["errors"]) == ["stat"]
    assert problem["detail"].endswith("cursor, limit, ordering.")


def test_the_parameters_of_collections_within_others_are_checked_too():
    make_account()
    contact_list = make_list()
    client = program()
    refused = client.get(f"{API}contact-lists/{contact_list.uuid}/contacts/?opted-out=true").json()
    assert "opted_out" in refused["errors"]["opted-out"][0]
    assert client.get(f"{API}contact-lists/{contact_list.uuid}/contacts/?opted_out=true").status_code == 200
