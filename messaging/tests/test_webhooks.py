"""Taking in webhooks: who may call, what is stored, what is answered, and that nothing acknowledged is lost."""

from __future__ import annotations

import hashlib
import io
import logging
import threading
from datetime import timedelta
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import Client
from django.test.client import RequestFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messaging import addresses, webhooks
from messaging.models import Attempt, Batch, CallState, Chunk, WebhookCall, WebhookEndpoint
from smsportal import clock, doorbell
from smsportal.problems import Conflict
from smsportal.tests.world import make_account, make_unit

BODY = b'[{"messageUuid":"8f4f4e18-392a-4e84-b859-fcf396b9051f","status":"delivered"}]'


def make_endpoint(account=None, *, rotate=False) -> str:
    """The path of a live address."""
    url = addresses.new_endpoint(account or make_account(), rotate=rotate)
    return url.removeprefix("http://127.0.0.1:8000")


def make_attempt() -> Attempt:
    batch = Batch.objects.create(name="Advising", unit=make_unit(), account=make_account(), text="Hello")
    return Attempt.objects.create(chunk=Chunk.objects.create(batch=batch, size=1), fence=1, texts=1)


def post(path: str, body: bytes = BODY, **headers: str):
    client = Client(raise_request_exception=False)
    return client.post(path, body, content_type="application/json", headers=headers)


@pytest.mark.django_db
def test_a_call_is_stored_as_it_came_and_answered_with_nothing():
    path = make_endpoint()
    answer = post(path, **{"X-Sender": "ocelot"})
    assert (answer.status_code, answer.content) == (200, b"")
    call = WebhookCall.objects.get()
    assert (bytes(call.body), call.sha256) == (BODY, hashlib.sha256(BODY).hexdigest())
    assert (call.account, call.attempt, call.state, call.deliveries) == (make_account(), None, CallState.NEW, 1)
    assert call.headers["X-Sender"] == "ocelot"


@pytest.mark.django_db
def test_the_same_body_again_is_only_counted():
    path = make_endpoint()
    assert [post(path).status_code for _ in range(3)] == [200] * 3
    assert WebhookCall.objects.get().deliveries == 3


@pytest.mark.django_db
def test_the_same_body_of_two_accounts_is_two_calls():
    post(make_endpoint())
    post(make_endpoint(make_account("second")))
    assert WebhookCall.objects.count() == 2


@pytest.mark.django_db
def test_a_stored_call_rings_after_the_commit(django_capture_on_commit_callbacks):
    path = make_endpoint()
    doorbell.bells["hooks"].clear()
    with django_capture_on_commit_callbacks() as rings:
        post(path)
    assert len(rings) == 1
    rings[0]()
    assert doorbell.bells["hooks"].is_set()


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "head"])
def test_a_look_at_a_live_address_is_answered_for_set_up_pages(method):
    path = make_endpoint()
    answer = getattr(Client(), method)(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert getattr(Client(), method)("/hooks/ocelot/wrong/").status_code == 404
    assert not WebhookCall.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "trace"])
def test_other_methods_are_refused(method):
    answer = getattr(Client(), method)(make_endpoint())
    assert (answer.status_code, answer["Allow"]) == (405, "HEAD, GET, POST")


@pytest.mark.django_db
def test_a_post_without_the_slash_is_not_redirected():
    answer = post(make_endpoint().rstrip("/"))
    assert answer.status_code == 200
    assert WebhookCall.objects.count() == 1


# --- who may call ----------------------------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize(
    "token",
    ["x", "é", "%00", "%EF%BF%BD", "a.", "a..", "a.b.c", "a." + "0" * 32 + "." + "A" * 22, "x" * 300, "' OR 1=1"],
)
def test_a_made_up_token_is_not_found_and_nothing_is_stored(token):
    make_endpoint()
    answer = post(f"/hooks/ocelot/{token}/")
    assert (answer.status_code, answer.content) == (404, b"")
    assert not WebhookCall.objects.exists()


@pytest.mark.django_db
def test_a_token_is_good_for_its_own_provider_only():
    path = make_endpoint()
    assert post(path.replace("ocelot", "octopush")).status_code == 404
    assert post(path.replace("ocelot", "nobody")).status_code == 404


@pytest.mark.django_db
def test_a_wrong_token_costs_as_many_queries_as_a_right_one(django_assert_num_queries):
    path = make_endpoint()
    right, wrong = path.split("/")[3], "w" * 43
    genuine = addresses.attempt_url("ocelot", make_attempt().uuid).split("/")[5]
    forged = genuine[:-2] + "__"
    for token in (right, wrong, genuine, forged):
        with django_assert_num_queries(1):
            addresses.whose("ocelot", token)


@pytest.mark.django_db
def test_only_the_hash_of_a_token_is_stored():
    token = make_endpoint().split("/")[3]
    row = WebhookEndpoint.objects.get()
    assert token not in str(vars(row))
    assert (len(row.token_hash), row.hint) == (64, token[:6])
    assert len(token) >= 43


@pytest.mark.django_db
def test_two_addresses_live_while_one_is_rotated_out():
    first = make_endpoint()
    with pytest.raises(Conflict, match="only as a hash"):
        make_endpoint()
    second, third = make_endpoint(rotate=True), make_endpoint(rotate=True)
    assert [post(path).status_code for path in (first, second, third)] == [404, 200, 200]
    assert WebhookEndpoint.objects.filter(retired_at=None).count() == 2


@pytest.mark.django_db
def test_an_attempt_has_its_own_address_for_thirty_days(time_machine):
    attempt = make_attempt()
    path = addresses.attempt_url("ocelot", attempt.uuid).removeprefix("http://127.0.0.1:8000")
    assert path.startswith(f"/hooks/ocelot/a.{attempt.uuid.hex}.")
    assert post(path).status_code == 200
    assert WebhookCall.objects.get().attempt == attempt
    assert post(path[:-2] + ("A/" if path[-2] != "A" else "B/")).status_code == 404
    assert post(path.replace("ocelot", "octopush")).status_code == 404
    time_machine.move_to(clock.now() + timedelta(days=30, seconds=1))
    assert post(path).status_code == 404


@pytest.mark.django_db
def test_the_address_of_one_attempt_does_not_open_another():
    one, other = make_attempt(), make_attempt()
    path = addresses.attempt_url("ocelot", one.uuid).removeprefix("http://127.0.0.1:8000")
    assert post(path.replace(one.uuid.hex, other.uuid.hex)).status_code == 404


# --- what is kept and what is not ------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_credentials_and_the_secret_address_are_not_kept(caplog):
    path = make_endpoint()
    token = path.split("/")[3]
    with caplog.at_level(logging.DEBUG):
        post(
            path,
            Authorization="Basic c2VjcmV0",
            Cookie="sessionid=1",
            **{"X-Original-Uri": path, "X-Real-Ip": "192.0.2.7"},
        )
        post(path, **{"Content-Encoding": "gzip"})
    kept = WebhookCall.objects.get().headers
    assert not {"Authorization", "Cookie", "X-Original-Uri"} & kept.keys()
    assert kept["X-Real-Ip"] == "192.0.2.7"
    assert token not in caplog.text


@pytest.mark.django_db
def test_a_call_that_is_too_large_is_refused_and_seen(settings):
    settings.WEBHOOK_MAX_BYTES = 100_000
    body = b"[" + b"1," * 60_000 + b"1]"
    path = make_endpoint()
    assert [post(path, body).status_code for _ in range(2)] == [413, 413]
    call = WebhookCall.objects.get()
    assert (call.state, bytes(call.body), call.deliveries) == (CallState.PARKED, body[:65536], 2)
    assert "120,003 bytes" in call.problem
    assert call.sha256 != hashlib.sha256(call.body).hexdigest()


@pytest.mark.django_db
def test_a_call_of_exactly_the_limit_is_taken(settings):
    settings.WEBHOOK_MAX_BYTES = len(BODY)
    assert post(make_endpoint()).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(("encoding", "status"), [("identity", 200), ("", 200), ("gzip", 415), ("br", 415)])
def test_a_compressed_body_is_refused(encoding, status):
    assert post(make_endpoint(), **{"Content-Encoding": encoding}).status_code == status


def raw_post(path: str, stream: io.BytesIO, **environ: object):
    """A POST as a server hands it over, with headers the test client would never write."""
    request = RequestFactory().post(path, b"", content_type="application/json")
    request.environ.pop("CONTENT_LENGTH", None)
    request.META.pop("CONTENT_LENGTH", None)
    request.environ.update({"wsgi.input": stream, **environ})
    request.META.update(environ)
    request._stream = stream
    return webhooks.receive(request, "ocelot", path.split("/")[3])


@pytest.mark.django_db
def test_a_body_in_chunks_is_read_where_the_server_can(settings):
    settings.WEBHOOK_MAX_BYTES = 1000
    path, chunked = make_endpoint(), {"HTTP_TRANSFER_ENCODING": "chunked"}
    assert raw_post(path, io.BytesIO(BODY), **chunked, **{"wsgi.input_terminated": True}).status_code == 200
    assert bytes(WebhookCall.objects.get().body) == BODY
    assert raw_post(path, io.BytesIO(BODY), **chunked).status_code == 411
    endless = io.BytesIO(b"1" * 5_000_000)
    assert raw_post(path, endless, **chunked, **{"wsgi.input_terminated": True}).status_code == 413
    assert endless.tell() == 1001


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("length", "status"), [("99999", 400), ("ten", 400), ("-5", 200), ("", 200), (str(10**30), 413)]
)
def test_a_length_that_is_wrong_never_breaks_the_view(length, status):
    assert raw_post(make_endpoint(), io.BytesIO(BODY), CONTENT_LENGTH=length).status_code == status


@pytest.mark.django_db
def test_a_caller_who_hangs_up_is_no_failure():
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionResetError

    assert raw_post(make_endpoint(), Broken(), CONTENT_LENGTH="10").status_code == 400
    assert not WebhookCall.objects.exists()


@pytest.mark.django_db
def test_a_call_that_cannot_be_stored_is_asked_for_again():
    path = make_endpoint()
    with mock.patch.object(WebhookCall, "save", side_effect=OperationalError("disk full")):
        answer = post(path)
    assert (answer.status_code, answer["Retry-After"]) == (503, "30")


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | st.sampled_from([b"", b"\x00", b"[" * 100_000, b"\xff\xfe[\x00]\x00", b"NaN"]))
def test_no_body_ever_breaks_the_view(body):
    WebhookEndpoint.objects.all().delete()
    assert post(make_endpoint(), body).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_identical_calls_at_once_become_one_row():
    path, statuses, together = make_endpoint(), [], threading.Barrier(6)

    def call() -> None:
        together.wait()
        statuses.append(post(path).status_code)
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 6
    assert WebhookCall.objects.get().deliveries == 6


# --- the command -----------------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_the_command_prints_an_address_that_works_and_rotates(capsys):
    make_account()
    call_command("webhook_url", "ocelot")
    url = capsys.readouterr().out.strip()
    assert post(url.removeprefix("http://127.0.0.1:8000")).status_code == 200
    with pytest.raises(CommandError, match="--rotate"):
        call_command("webhook_url", "ocelot")
    call_command("webhook_url", "ocelot", "--rotate")
    assert capsys.readouterr().out.strip() != url


@pytest.mark.django_db
def test_the_command_asks_which_account_is_meant():
    with pytest.raises(CommandError, match="no such account"):
        call_command("webhook_url", "ocelot")
    make_account("one")
    make_account("two")
    with pytest.raises(CommandError, match="one, two"):
        call_command("webhook_url", "ocelot")
    call_command("webhook_url", "ocelot", "--account", "two")
    assert WebhookEndpoint.objects.get().account.slug == "two"
