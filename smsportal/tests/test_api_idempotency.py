"""The same POST twice is done once: sequentially, at the same moment, after a kill, and with another body."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from contacts.models import ContactList, Import
from messaging.models import Message, Sender
from smsportal import clock
from smsportal.accounts.models import IdempotencyKey
from smsportal.tests.programs import API, program
from smsportal.tests.world import make_account, make_list, make_unit, make_user

pytestmark = pytest.mark.django_db
KEY = {"HTTP_IDEMPOTENCY_KEY": "order-66"}
URL = f"{API}contact-lists/"


@pytest.fixture
def client():
    make_account()
    make_unit()
    return program()


def test_the_same_call_twice_is_done_once_and_answered_alike(client):
    first = client.post(URL, {"name": "A", "tags": ["x"]}, **KEY)
    again = client.post(URL, {"tags": ["x"], "name": "A"}, **KEY)
    assert (again.status_code, again.json()) == (201, first.json())
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert ContactList.objects.count() == 1


def test_the_same_key_for_another_body_or_address_is_422(client):
    client.post(URL, {"name": "A"}, **KEY)
    assert client.post(URL, {"name": "B"}, **KEY).status_code == 422
    assert client.post(f"{API}templates/", {"name": "A", "text": "Hi"}, **KEY).status_code == 422
    assert ContactList.objects.count() == 1


def test_two_people_may_use_the_same_key(client):
    other = program(make_user("other", is_superuser=True))
    assert client.post(URL, {"name": "A"}, **KEY).status_code == 201
    assert other.post(URL, {"name": "B"}, **KEY).status_code == 201


def test_a_refusal_is_not_kept_so_that_the_call_may_be_mended(client):
    assert client.post(URL, {"name": ""}, **KEY).status_code == 400
    assert not IdempotencyKey.objects.exists()
    assert client.post(URL, {"name": "A"}, **KEY).status_code == 201


def test_a_call_that_breaks_leaves_neither_effect_nor_key(client, monkeypatch):
    client.raise_request_exception = False
    monkeypatch.setattr("contacts.views.lists.ContactLists._shown", lambda *_: 1 / 0)
    assert client.post(URL, {"name": "A"}, **KEY).status_code == 500
    assert not ContactList.objects.exists()
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize("key", ["", " ", "two words", "x" * 256, "ü"])
def test_a_wrong_key_is_400(client, key):
    assert client.post(URL, {"name": "A"}, HTTP_IDEMPOTENCY_KEY=key).status_code == 400
    assert not ContactList.objects.exists()


def test_while_the_first_call_runs_the_second_is_409(client):
    client.post(URL, {"name": "A"}, **KEY)
    IdempotencyKey.objects.update(status=None, answer=None)
    assert client.post(URL, {"name": "A"}, **KEY).status_code == 409
    assert ContactList.objects.count() == 1


def test_a_key_whose_call_was_killed_is_free_again_after_five_minutes(client):
    client.post(URL, {"name": "A"}, **KEY)
    ContactList.objects.all().delete()
    IdempotencyKey.objects.update(status=None, answer=None, created_at=clock.after(-301))
    assert client.post(URL, {"name": "A"}, **KEY).status_code == 201
    assert ContactList.objects.count() == 1


def test_a_call_whose_key_was_taken_over_leaves_nothing(client, monkeypatch):
    from contacts.views.lists import ContactLists

    shown = ContactLists._shown

    def slow(view, row):
        IdempotencyKey.objects.update(created_at=clock.after(1))
        return shown(view, row)

    monkeypatch.setattr(ContactLists, "_shown", slow)
    assert client.post(URL, {"name": "A"}, **KEY).status_code == 409
    assert not ContactList.objects.exists()


def test_answers_are_kept_for_seven_days(client):
    client.post(URL, {"name": "A"}, **KEY)
    with time_machine.travel(clock.now() + timedelta(days=7, minutes=1)):
        assert client.post(URL, {"name": "B"}, **KEY).status_code == 201
    assert IdempotencyKey.objects.count() == 1


def test_an_upload_repeated_with_another_boundary_is_the_same_call(client):
    url = f"{API}contact-lists/{make_list().uuid}/imports/"

    def upload(content):
        file = SimpleUploadedFile("fall.csv", content)
        return client.post(url, {"file": file}, format="multipart", **KEY)

    first = upload(b"Phone\n312-555-0100\n")
    again = upload(b"Phone\n312-555-0100\n")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["id"] == first.json()["id"]
    assert upload(b"Phone\n312-555-0101\n").status_code == 422
    assert Import.objects.count() == 1


def test_a_text_sent_twice_with_one_key_leaves_once(client):
    account = make_account()
    Sender.objects.create(account=account, address="+13125550199")
    body = {"to": "312-555-0100", "text": "Hi", "account": "ocelot", "sender": "+13125550199"}
    answers = [client.post(f"{API}messages/", body, **KEY) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Message.objects.count() == 1


def test_what_a_verb_left_when_it_refused_stands_as_it_does_without_a_key(client):
    """Starting a batch whose lists changed refuses and makes it a draft again; the key must not undo that."""
    from smsportal.problems import Conflict
    from smsportal.tests.world import make_contact

    contact_list = make_list()
    make_contact(contact_list)
    Sender.objects.create(account=contact_list.account, address="+13125550199")
    body = {
        "name": "B", "lists": [str(contact_list.uuid)], "text": "Hi", "account": "ocelot", "sender": "+13125550199",
    }  # fmt: skip
    batch = client.post(f"{API}batches/", body).json()
    client.post(f"{API}batches/{batch['id']}/submit/")
    make_contact(contact_list, "+13125550101")
    refused = client.post(f"{API}batches/{batch['id']}/start/", **KEY)
    assert refused.status_code == Conflict.status
    assert client.get(f"{API}batches/{batch['id']}/").json()["state"] == "draft"


@pytest.mark.django_db(transaction=True)
def test_the_same_call_at_the_same_moment_is_done_once():
    make_account()
    make_unit()
    user = make_user("root", is_superuser=True)
    clients = [program(user) for _ in range(6)]
    ready = threading.Barrier(len(clients))
    answers = []

    def call(client):
        ready.wait()
        try:
            answers.append(client.post(URL, {"name": "A"}, **KEY))
        finally:
            connection.close()

    threads = [threading.Thread(target=call, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ContactList.objects.count() == 1
    statuses = sorted(answer.status_code for answer in answers)
    assert len(statuses) == 6
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
