"""What the HTTP client makes of every way a call can fail, over real sockets on this machine."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import BaseAdapter
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError

from smsportal.providers import connections, errors, http, pacing, signing, verdicts
from smsportal.providers.errors import (
    Garbled,
    Misconfigured,
    Missing,
    ProviderError,
    Refused,
    Sent,
    Throttled,
    TooLarge,
    Uncertain,
    Unreachable,
)
from smsportal.tests.faulty import Faulty

QUICK = http.Deadlines(connect_s=0.3, read_s=0.25, total_s=0.5)


@pytest.fixture
def server() -> Iterator[Faulty]:
    with Faulty() as running:
        yield running


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PAUSES_S", (0.0, 0.0))


def client(url: str, **more: Any) -> http.Http:
    given = {
        "title": "Ocelot",
        "headers": {"Authorization": signing.basic("bot", "sandbox-secret")},
        "secrets": ("sandbox-secret",),
        "deadlines": QUICK,
        **more,
    }
    return http.Http(url, **given)


def failure(call: Any, *args: Any, **kwargs: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call(*args, **kwargs)
    return caught.value


# --- was it sent? ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/reset-before", Uncertain, None),
        ("/reset-after", Uncertain, None),
        ("/close-after", Uncertain, None),
        ("/hang", Uncertain, None),
        ("/drip-head", Uncertain, None),
        ("/drip-body", Uncertain, 200),
        ("/torn", Uncertain, 200),
        ("/torn-400", Refused, 400),
        ("/garbage", Uncertain, None),
        ("/two-lengths", Uncertain, None),
        ("/gzip", Garbled, 200),
        ("/huge", Garbled, 200),
        ("/huge-400", Refused, 400),
        ("/307", Misconfigured, 307),
        ("/302", Misconfigured, 302),
        ("/triple", Refused, 400),
        ("/429", Throttled, 429),
        ("/503", Uncertain, 503),
        ("/html", Uncertain, 502),
    ],
)
def test_a_send_that_fails_says_whether_it_may_have_been_sent(
    server: Faulty, path: str, kind: type[ProviderError], status: int | None
) -> None:
    started = time.monotonic()
    found = failure(client(server.url).send, path, {"a": 1})
    assert (type(found), found.status, found.sent) == (kind, status, kind.sent)
    assert time.monotonic() - started < QUICK.total_s + 0.5
    assert len(server.seen) == (path != "/reset-before")  # once, whatever happened


@pytest.mark.parametrize("opening", [True, False])
def test_a_refused_connection_is_known_not_to_be_sent(opening: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    to_nobody = client(f"http://127.0.0.1:{port}")
    found = failure(to_nobody.open) if opening else failure(to_nobody.send, "/", {})
    assert type(found) is Unreachable
    assert found.sent is Sent.NO
    assert found.text == "Ocelot cannot be reached: the connection was refused. Nothing was sent."


@pytest.mark.parametrize("opening", [True, False])
def test_a_failed_tls_handshake_is_known_not_to_be_sent(server: Faulty, opening: bool) -> None:
    to_plain = client(server.url.replace("http:", "https:"))
    found = failure(to_plain.open) if opening else failure(to_plain.send, "/", {})
    assert type(found) is Unreachable
    assert "secure connection failed" in found.text
    assert not server.seen


@pytest.mark.parametrize("opening", [True, False])
def test_a_tls_handshake_that_never_ends_is_known_not_to_be_sent(opening: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        to_silent = client(f"https://127.0.0.1:{silent.getsockname()[1]}")
        found = failure(to_silent.open) if opening else failure(to_silent.send, "/", {})
    assert type(found) is Unreachable


@pytest.mark.parametrize("opening", [True, False])
def test_a_name_nobody_knows_is_known_not_to_be_sent(monkeypatch: pytest.MonkeyPatch, opening: bool) -> None:
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    to_nowhere = client("https://ocelot.invalid")
    found = failure(to_nowhere.open) if opening else failure(to_nowhere.send, "/", {})
    assert type(found) is Unreachable
    assert "name of its server is not known" in found.text


class Raising(BaseAdapter):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.ConnectTimeout("connect"), Unreachable),
        (requests.ConnectionError(MaxRetryError(None, "/", NewConnectionError(None, "refused"))), Unreachable),  # type: ignore[arg-type]
        (requests.ConnectionError("who knows"), Uncertain),
        (requests.ReadTimeout("read"), Uncertain),
        (requests.exceptions.SSLError("bad record mac"), Uncertain),
        (requests.exceptions.ChunkedEncodingError("torn"), Uncertain),
        (requests.exceptions.InvalidURL("no host"), Misconfigured),
        (OSError("disk"), Uncertain),
        (ValueError("header"), Uncertain),
    ],
)
def test_of_an_unknown_transport_only_certain_errors_count_as_not_sent(
    error: Exception, kind: type[ProviderError]
) -> None:
    with http.mounted("http://other.test", Raising(error)):
        found = failure(client("http://other.test").send, "/", {})
    assert type(found) is kind
    assert found.__cause__ is error


# --- what a status means ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "sending", "asking"),
    [
        (302, Misconfigured, Misconfigured),
        (400, Refused, Refused),
        (401, Misconfigured, Misconfigured),
        (403, Misconfigured, Misconfigured),
        (404, Misconfigured, Missing),
        (405, Misconfigured, Misconfigured),
        (408, Uncertain, Uncertain),
        (409, Uncertain, Refused),
        (410, Misconfigured, Missing),
        (413, TooLarge, TooLarge),
        (418, Misconfigured, Refused),
        (422, Refused, Refused),
        (425, Throttled, Throttled),
        (429, Throttled, Throttled),
        (500, Uncertain, Uncertain),
        (503, Uncertain, Uncertain),
        (599, Uncertain, Uncertain),
    ],
)
def test_every_status_has_one_meaning(status: int, sending: type, asking: type) -> None:
    given: dict[str, Any] = {"title": "Ocelot", "said": "no", "shown": "{}"}
    assert type(verdicts.verdict(status, {}, sending=True, **given)) is sending
    assert type(verdicts.verdict(status, {}, sending=False, **given)) is asking


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("-5", 0),
        ("1.5", 1.5),
        ("99999999", 900),
        ("inf", 900),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2999 07:28:00 GMT", 900),
        ("Wed, 99 Oct 2999 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_believed_within_reason(header: str, seconds: float | None) -> None:
    assert verdicts.retry_after({"Retry-After": header}) == seconds


def test_an_error_is_told_in_the_providers_own_words_but_never_as_html(server: Faulty) -> None:
    told = failure(client(server.url).send, "/triple", {})
    assert told.text == "Ocelot refused the request (HTTP 400: from must be a string; to is wrong)."
    page = failure(client(server.url).send, "/html", {})
    assert "<" not in page.text
    assert page.body.startswith("<html>")


# --- repeating -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "path", "tries"),
    [
        ("GET", "/503", 3),
        ("GET", "/429-soon", 3),
        ("GET", "/429", 1),  # asked to wait longer than a person would
        ("PUT", "/503", 1),
        ("PUT", "/429-soon", 3),
        ("POST", "/503", 1),
        ("DELETE", "/429-soon", 3),
        ("GET", "/triple", 1),
    ],
)
def test_a_call_is_repeated_only_while_that_is_safe(server: Faulty, method: str, path: str, tries: int) -> None:
    failure(client(server.url).ask, method, path)
    assert len(server.seen) == tries


@pytest.mark.parametrize("path", ["/503", "/429-soon", "/429"])
def test_a_send_is_never_repeated(server: Faulty, path: str) -> None:
    failure(client(server.url).send, path, {})
    assert len(server.seen) == 1


# --- what is sent ----------------------------------------------------------------------------------------------------
def test_a_request_carries_our_headers_and_nothing_of_the_environment(
    server: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    sender = client(server.url)
    assert sender.send("/cookie", {"text": "Grüße"}).json() == {}
    sender.send("/x", {})
    first, second = server.seen
    assert first.line == "POST /cookie HTTP/1.1"
    assert first.body == '{"text":"Grüße"}'.encode()
    assert first.headers["authorization"] == signing.basic("bot", "sandbox-secret")
    assert first.headers["accept-encoding"] == "identity"
    assert first.headers["content-type"] == "application/json"
    assert "cookie" not in second.headers


def test_an_empty_answer_is_no_answer_in_json(server: Faulty) -> None:
    reply = client(server.url).send("/empty", {})
    assert (reply.status, reply.json()) == (202, None)


def test_each_send_has_the_headers_of_the_first_and_a_body_of_its_own(server: Faulty) -> None:
    sender = client(server.url)
    bodies = ["{}", '{"text":"one"}', '{"text":"two two"}']
    for body in bodies:
        sender.send("/x", json.loads(body))
    assert [each.body.decode() for each in server.seen] == bodies
    assert [each.headers.pop("content-length") for each in server.seen] == [str(len(body)) for body in bodies]
    assert server.seen[0].headers == server.seen[1].headers == server.seen[2].headers


def test_a_send_leaves_in_one_piece(server: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[bytes] = []
    really = HTTPConnection.send

    def send(connection: HTTPConnection, data: bytes) -> None:
        pieces.append(data)
        really(connection, data)

    monkeypatch.setattr(HTTPConnection, "send", send)
    client(server.url).send("/x", {"text": "one"})
    assert len(pieces) == len(server.seen) == 1
    assert pieces[0].startswith(b"POST /x HTTP/1.1\r\n")
    assert pieces[0].endswith(b'\r\n\r\n{"text":"one"}')


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": object()}, {"x": "\ud800"}])
def test_what_json_cannot_hold_is_stopped_before_it_leaves(server: Faulty, body: object) -> None:
    assert type(failure(client(server.url).send, "/", body)) is errors.Invalid
    assert not server.seen


@pytest.mark.parametrize("url", ["http://ocelot.example.com", "ftp://127.0.0.1", "", "https://", "ocelot"])
def test_credentials_never_travel_in_the_clear(url: str) -> None:
    assert type(failure(client(url).send, "/", {})) is Misconfigured
    assert type(failure(client(url).open)) is Misconfigured


# --- connections -----------------------------------------------------------------------------------------------------
def test_a_send_uses_the_connection_that_was_opened_for_it(server: Faulty) -> None:
    sender = client(server.url)
    for _ in range(3):
        sender.open()
        sender.send("/x", {})
    assert server.connections == 1


def test_every_thread_sends_over_a_connection_of_its_own(server: Faulty) -> None:
    sender, together = client(server.url), threading.Barrier(4)

    def send() -> None:
        for _ in range(3):
            together.wait(5)
            sender.open()
            sender.send("/x", {})

    threads = [threading.Thread(target=send) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert (server.connections, len(server.seen)) == (4, 12)


def test_a_connection_that_idled_is_replaced_before_a_send(server: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_S", 0.0)
    sender = client(server.url)
    for _ in range(2):
        sender.open()
        sender.send("/x", {})
    assert server.connections == 2


def test_a_connection_the_server_closed_is_not_used_again(server: Faulty) -> None:
    sender = client(server.url)
    failure(sender.send, "/close-after", {})
    sender.open()
    assert sender.send("/x", {}).status == 200


def test_the_whole_call_keeps_one_deadline_though_every_read_is_in_time(server: Faulty) -> None:
    patient = client(server.url, deadlines=http.Deadlines(connect_s=1, read_s=5, total_s=0.4))
    for path in ("/drip-head", "/drip-body", "/hang"):
        started = time.monotonic()
        assert type(failure(patient.send, path, {})) is Uncertain
        assert 0.3 < time.monotonic() - started < 0.8


def test_a_mounted_transport_serves_all_threads_until_it_is_taken_away() -> None:
    found: list[ProviderError] = []
    sender = client("http://other.test")
    with http.mounted("http://other.test", Raising(requests.ReadTimeout("slow"))):
        thread = threading.Thread(target=lambda: found.append(failure(sender.send, "/", {})))
        thread.start()
        thread.join()
    assert type(found[0]) is Uncertain
    assert type(failure(sender.send, "/", {})) is Misconfigured


def test_calls_keep_their_pace() -> None:
    started = time.monotonic()
    for _ in range(4):
        pacing.wait_for_turn("https://paced.test", 50)
    assert 0.055 < time.monotonic() - started < 0.5


# --- secrets ---------------------------------------------------------------------------------------------------------
def test_no_secret_reaches_the_log_or_the_records(server: Faulty, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        found = failure(client(server.url).send, "/echo-secret", {"uri": "/hooks/ocelot/tok3n/"})
        client(server.url).ask("GET", "/hooks/ocelot/tok3n/a/", query={"key": "sandbox-secret"})
    ours = [each.getMessage() for each in caplog.records if each.name.startswith("smsportal")]
    for text in (found.text, found.body, *ours):
        assert "sandbox-secret" not in text
        assert "tok3n" not in text
    assert len(ours) == 2
    assert "key *** and /hooks/ocelot/***" in found.text


PIECES = st.sampled_from(
    ["Basic", "bearer", " ", " " * 300, "\t", "abcdefgh12", "sandbox-secret", "sandbox-", "secret", "/hooks/ocelot/", "/hooks/",
     "a" * 300, "tok3n/", "\u00e9", '"', "***", "s" * 20]
)  # fmt: skip


@given(
    st.integers(0, 2400), st.lists(PIECES, max_size=8).map("".join), st.integers(0, 2400), st.lists(PIECES, max_size=4)
)
def test_masking_the_beginning_alone_shows_the_same(before: int, text: str, between: int, after: list[str]) -> None:
    check_shown("x" * before + text + "y" * between + "".join(after))


def check_shown(text: str) -> None:
    sender = client("http://127.0.0.1:9")
    assert sender._shown(text.encode()) == sender.mask(text.encode()[:16_000].decode("utf-8", "replace"))[:2000]


@pytest.mark.parametrize(("enough", "at"), [(2000, 1990), (2005, 1995)])
def test_a_secret_across_the_cut_that_is_shown_is_caught(monkeypatch: pytest.MonkeyPatch, enough: int, at: int) -> None:
    text = "x" * at + "sandbox-secret" + "y" * 500
    check_shown(text)
    really = http.Http.__init__

    def short(sender: http.Http, *args: Any, **kwargs: Any) -> None:
        really(sender, *args, **kwargs)
        sender._enough = enough

    monkeypatch.setattr(http.Http, "__init__", short)
    with pytest.raises(AssertionError):
        check_shown(text)
