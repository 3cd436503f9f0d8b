"""Texts and answers to one person from the browser: however often a form is sent, it makes one text."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from messaging.models import Conversation, Message, Sender
from smsportal.tests.world import make_account, make_batch, make_number, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client, settings):
    settings.QUIET_HOURS = ""
    client.force_login(make_user(groups=("Sender",)))
    return client


def url(page: str, *args) -> str:
    return reverse(f"admin:messaging_{page}", args=args)


def test_a_text_sent_with_two_clicks_is_one_and_other_words_are_another(client):
    sender = Sender.objects.create(account=make_account(), address="+13125550190")
    page = client.get(url("message_write")).text
    token = re.search(r'name="token" value="(\w{32})"', page)[1]
    assert token not in client.get(url("message_write")).text
    form = {"to": "(312) 555-0101", "text": "Your card is ready. Registrar", "sender": sender.pk, "operator": ""}
    first, second = (client.post(url("message_write"), {**form, "token": token}) for _ in range(2))
    assert first.url == second.url == url("message_change", Message.objects.get().pk)
    client.post(url("message_write"), {**form, "token": token, "text": "Your key is ready. Registrar"})  # went back
    client.post(url("message_write"), {**form, "token": token, "to": "(312) 555-0102"})
    client.post(url("message_write"), {**form, "token": "another form"})
    assert Message.objects.count() == 4


def test_an_answer_sent_with_two_clicks_is_one(client):
    batch = make_batch(["+13125550101"])
    conversation = Conversation.objects.create(account=batch.account, number=make_number("+13125550101"))
    before = Message.objects.count()
    page = client.get(url("conversation_change", conversation.pk)).text
    token = re.search(r'name="token" value="(\w{32})"', page)[1]
    for _ in range(2):
        client.post(url("conversation_change", conversation.pk), {"text": "On Monday.", "token": token})
    assert Message.objects.count() == before + 1
