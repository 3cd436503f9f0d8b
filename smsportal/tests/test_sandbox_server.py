"""The sandbox as it is served: mishaps on a real connection, calls to a real listener, and how it starts and stops."""

from __future__ import annotations

import base64
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from smsportal.sandbox import server as sandbox_server
from smsportal.sandbox.ocelot import BASE
from smsportal.sandbox.server import Server
from smsportal.tests.sandboxes import CHATBOT, batch

HEADERS = {
    "Authorization": "Basic " + base64.b64encode(f"{CHATBOT}:sandbox-key".encode()).decode(),
    "Content-Type": "application/json",
}


def running(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)
    assert not thread.is_alive()


@pytest.fixture
def served() -> Iterator[Server]:
    yield from running(Server(("127.0.0.1", 0)))


@pytest.fixture
def client(served: Server) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", served.server_address[1], timeout=5)
    yield connection
    connection.close()


@pytest.fixture
def listener() -> Iterator[Any]:
    """A portal that keeps what it is sent and refuses the first call."""

    class Portal(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append((self.path, json.loads(body)))  # type: ignore[attr-defined]
            self.send_response(500 if len(self.server.got) == 1 else 200)  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    portal = HTTPServer(("127.0.0.1", 0), Portal)
    portal.got = []  # type: ignore[attr-defined]
    yield from running(portal)


def wait_for(what: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def send(client: http.client.HTTPConnection, **more: Any) -> http.client.HTTPResponse:
    client.request("POST", f"{BASE}/sms/send/", json.dumps(batch("312-555-0100", **more)), HEADERS)
    return client.getresponse()


def test_a_connection_is_kept_alive(client: http.client.HTTPConnection) -> None:
    first = send(client)
    assert (first.status, first.version) == (201, 11)
    first.read()
    kept = client.sock
    assert send(client).read()
    assert client.sock is kept


def test_a_get_may_have_a_body(client: http.client.HTTPConnection) -> None:
    client.request("GET", f"{BASE}/sms/phone-numbers", json.dumps({"operator": "jon@example.edu"}), HEADERS)
    assert json.loads(client.getresponse().read())["total"] == 10


@pytest.mark.parametrize(("kind", "accepted"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset_is_a_real_one(served: Server, client: http.client.HTTPConnection, kind: str, accepted: int) -> None:
    served.twins.faults.add(kind)
    with pytest.raises(ConnectionResetError):
        send(client)
    assert len(served.twins.ocelot.sent) == accepted


def test_hanging_never_answers_but_ends_with_the_client(served: Server, client: http.client.HTTPConnection) -> None:
    served.twins.faults.add("hang")
    client.timeout = 0.2
    with pytest.raises(TimeoutError):
        send(client)
    assert len(served.twins.ocelot.sent) == 1


def test_a_torn_answer_lacks_its_second_half(served: Server, client: http.client.HTTPConnection) -> None:
    served.twins.faults.add("torn")
    with pytest.raises(http.client.IncompleteRead) as torn:
        send(client).read()
    assert torn.value.expected
    assert torn.value.partial.startswith(b'{"batchUuid"')


def test_a_dripping_answer_comes_byte_by_byte(
    served: Server, client: http.client.HTTPConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_server, "DRIP_S", 0.0005)
    served.twins.faults.add("drip")
    begun = time.monotonic()
    body = send(client).read()
    assert json.loads(body)["batchUuid"]
    assert time.monotonic() - begun > 0.0005 * len(body)


def test_latency_is_waited_for(served: Server, client: http.client.HTTPConnection) -> None:
    served.twins.faults.add("latency", latency_ms=50)
    begun = time.monotonic()
    assert send(client).status == 201
    assert time.monotonic() - begun >= 0.05


@pytest.mark.parametrize(
    ("header", "status"),
    [("Content-Length: 99999999999", 413), ("Transfer-Encoding: chunked", 411), ("Content-Length: x", 411)],
)
def test_a_body_too_large_or_of_unknown_length_is_refused_unread(served: Server, header: str, status: int) -> None:
    with socket.create_connection(served.server_address[:2], timeout=5) as raw:
        raw.sendall(f"POST {BASE}/sms/send/ HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_callbacks_arrive_by_themselves_and_are_repeated(
    served: Server, client: http.client.HTTPConnection, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smsportal.sandbox.callbacks.RETRY_WAITS_S", (0.05,))
    send(client, smsWebhookUri=f"http://127.0.0.1:{listener.server_address[1]}/own/?a=1").read()
    # The first call is refused by the listener, so it comes once more; when, a busy machine decides.
    wait_for(lambda: len(listener.got) == 4 and served.twins.callbacks.waiting == 0)
    assert {path for path, _ in listener.got} == {"/own/?a=1"}
    assert listener.got[0][1][0]["status"] == "queued"
    assert sorted(events[0]["status"] for _, events in listener.got) == ["delivered", "queued", "queued", "sent"]


def test_a_portal_that_is_not_there_is_shown(served: Server, client: http.client.HTTPConnection) -> None:
    send(client, smsWebhookUri="http://127.0.0.1:1/hook/").read()
    wait_for(lambda: bool(served.twins.callbacks.newest(3)[0].attempts))
    client.request("GET", "/")
    page = client.getresponse()
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"Connection refused" in page.read()


def test_the_command_serves_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "smsportal.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(6)]
        process.send_signal(signal.SIGTERM)
        _, wrong = process.communicate(timeout=10)
    assert "http://127.0.0.1:" in said[0]
    assert said[5].strip() == "OCELOT_API_KEY=sandbox-key"
    assert (process.returncode, wrong) == (0, "")


def test_the_command_says_when_the_port_is_taken(served: Server) -> None:
    command = [sys.executable, "-m", "smsportal.sandbox", "--port", str(served.server_address[1])]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    assert ended.returncode == 2
    assert "try another --port" in ended.stderr
