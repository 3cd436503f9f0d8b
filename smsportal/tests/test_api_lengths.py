"""No call is carried out without the body it was sent with: what is sent in chunks is refused, a webhook in chunks read."""

from __future__ import annotations

import io
import json
import socket

import pytest
from django.core.handlers.asgi import ASGIRequest

from contacts.models import ContactList
from contacts.views.lists import ContactLists
from messaging import addresses, controls
from messaging.models import Batch, WebhookCall
from messaging.statuses import BatchState
from messaging.tests.composed import draft, students
from smsportal import processes
from smsportal.accounts.models import IdempotencyKey
from smsportal.tests.children import wait_for
from smsportal.tests.programs import API, make_token, program
from smsportal.tests.world import make_account, make_list, make_unit, make_user

pytestmark = pytest.mark.django_db
CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked"}
REMEDY = "Send a Content-Length"


def approved() -> Batch:
    """A batch that may be started."""
    return controls.submit(draft(students(3)), actor=None)


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "gzip, chunked", "identity", ""])
@pytest.mark.parametrize("length", [{}, {"CONTENT_LENGTH": ""}])
def test_a_body_with_a_transfer_encoding_is_refused_and_nothing_is_done(coding, length):
    batch = approved()
    headers = {"HTTP_TRANSFER_ENCODING": coding, "HTTP_IDEMPOTENCY_KEY": "once", **length}
    answer = program().post(f"{API}batches/{batch.uuid}/start/", {"typed": 999}, **headers)
    assert (answer.status_code, answer["Content-Type"]) == (411, "application/problem+json")
    assert REMEDY in answer.json()["detail"]
    batch.refresh_from_db()
    assert batch.state == BatchState.APPROVED
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize("method", ["get", "post", "patch", "delete"])
@pytest.mark.parametrize("address", ["contact-lists/", "contact-lists/{}/", "templates/", "opt-outs/", "tokens/"])
def test_every_view_and_method_refuses_it(method, address):
    contact_list = make_list()
    answer = getattr(program(), method)(API + address.format(contact_list.uuid), **CHUNKED)
    assert answer.status_code == 411
    assert ContactList.objects.get().name == contact_list.name


@pytest.mark.parametrize("length", ["ten", "-5", "1.5", "+3"])
def test_a_length_that_is_no_number_is_none(length):
    make_account()
    answer = program().post(f"{API}contact-lists/", {"name": "A"}, CONTENT_LENGTH=length)
    assert answer.status_code == 411
    assert not ContactList.objects.exists()


def test_a_stranger_is_told_first_that_they_are_one(client):
    assert client.post(f"{API}contact-lists/", **CHUNKED).status_code == 401


@pytest.mark.parametrize(("body", "status"), [(b'{"name": "A"}', 411), (b"", 400)])
def test_a_server_that_hands_over_a_body_of_unknown_length_is_noticed(body, status):
    """As HTTP/2 may have it: neither header, and a body all the same."""
    make_account()
    make_unit()
    token = make_token(make_user("root", is_superuser=True))
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": f"{API}contact-lists/", "headers": headers, "query_string": b""}
    answer = ContactLists.as_view({"post": "create"})(ASGIRequest(scope, io.BytesIO(body)))
    assert answer.status_code == status
    assert not ContactList.objects.exists()


@pytest.mark.parametrize("empty", [{}, {"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": "0"}])
def test_a_call_without_any_body_is_done(empty):
    batch, contact_list, client = approved(), make_list("Old"), program()
    assert client.get(f"{API}batches/", **empty).status_code == 200
    assert client.delete(f"{API}contact-lists/{contact_list.uuid}/", **empty).status_code == 204
    assert client.post(f"{API}batches/{batch.uuid}/start/", **empty).status_code == 200


# --- the server that `make run` starts -------------------------------------------------------------------------------
@pytest.fixture
def served(start):
    """Says bytes to a real server of the portal and returns all it answers."""
    port = processes.free_port()
    start(*processes.web(f"127.0.0.1:{port}")[1:], WEBHOOK_MAX_BYTES="1000")
    wait_for(lambda: processes.is_taken(port))

    def say(*calls: bytes) -> str:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
            line.sendall(b"".join(calls))
            return b"".join(iter(lambda: line.recv(65536), b"")).decode()

    return say


def call(method: str, path: str, *headers: str, body: bytes | None = None, last: bool = True) -> bytes:
    """A request; a body goes in chunks of seven bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers, *(["Connection: close"] if last else [])]
    chunks = b""
    if body is not None:
        lines += ["Content-Type: application/json", "Transfer-Encoding: chunked"]
        parts = [body[at : at + 7] for at in range(0, len(body), 7)]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])
    return "\r\n".join([*lines, "", ""]).encode() + chunks


@pytest.mark.django_db(transaction=True)
def test_the_real_server_refuses_chunks_and_takes_calls_without_a_body(served):
    batch, contact_list = approved(), make_list("Old")
    bearer = f"Authorization: Bearer {make_token(make_user('root', is_superuser=True))}"
    begin = f"{API}batches/{batch.uuid}/start/"
    body = json.dumps({"typed": 999, "undo_s": 600}).encode()

    # On one connection: what is left of the refused call must not be taken for the next one.
    first, second = served(
        call("POST", begin, bearer, body=body, last=False), call("GET", f"{API}batches/", bearer)
    ).split("HTTP/1.1 ")[1:]
    assert first.startswith("411 ")
    assert REMEDY in first
    assert second.startswith("200 ")
    assert served(call("POST", begin, bearer, body=b"")).startswith("HTTP/1.1 411 ")
    batch.refresh_from_db()
    assert batch.state == BatchState.APPROVED

    assert served(call("DELETE", f"{API}contact-lists/{contact_list.uuid}/", bearer)).startswith("HTTP/1.1 204 ")
    assert served(call("POST", begin, bearer)).startswith("HTTP/1.1 200 ")
    batch.refresh_from_db()
    assert batch.state == BatchState.EXPANDING


@pytest.mark.django_db(transaction=True)
def test_the_real_server_reads_a_webhook_in_chunks_whole(served):
    path = addresses.new_endpoint(make_account()).removeprefix("http://127.0.0.1:8000")
    body = json.dumps([{"messageUuid": "8f4f4e18-392a-4e84-b859-fcf396b9051f", "status": "delivered"}]).encode()
    assert served(call("POST", path, body=body)).startswith("HTTP/1.1 200 ")
    assert bytes(WebhookCall.objects.get().body) == body
    assert served(call("POST", path, body=b"1" * 1001)).startswith("HTTP/1.1 413 ")
    assert WebhookCall.objects.count() == 2
