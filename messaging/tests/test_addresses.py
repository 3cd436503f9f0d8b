"""The secret addresses outlive a change of SECRET_KEY."""

from __future__ import annotations

import pytest

from messaging import addresses
from messaging.models import Attempt, Chunk
from smsportal.tests.world import make_account, make_batch

pytestmark = pytest.mark.django_db


def token_of(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]


def test_an_endpoint_knows_its_caller_under_a_new_key(settings):
    account = make_account()
    token = token_of(addresses.new_endpoint(account))
    settings.SECRET_KEY = "another key, fifty characters long, made for a test"
    caller = addresses.whose("ocelot", token)
    assert caller is not None
    assert caller.account_id == account.pk


def test_the_address_of_an_attempt_holds_while_its_key_is_a_fallback(settings):
    make_batch(["+13125550100"])
    attempt = Attempt.objects.create(chunk=Chunk.objects.get(), fence=1, texts=1)
    token = token_of(addresses.attempt_url("ocelot", attempt.uuid))
    settings.SECRET_KEY, old = "another key, fifty characters long, made for a test", settings.SECRET_KEY
    assert addresses.whose("ocelot", token) is None
    settings.SECRET_KEY_FALLBACKS = [old]
    caller = addresses.whose("ocelot", token)
    assert caller is not None
    assert caller.attempt_id == attempt.pk
