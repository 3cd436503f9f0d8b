"""Lets the client talk without a socket, to the twins or to a fixed answer: same bytes, same errors as over the network."""

from __future__ import annotations

import io
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ProtocolError
from urllib3.response import HTTPResponse

from smsportal.sandbox.exchange import Answer, Request


class TwinAdapter(HTTPAdapter):
    """Hands every request to `twins.handle`; mount it with `smsportal.providers.http.mounted`."""

    def __init__(self, twins: Any) -> None:
        super().__init__()
        self.twins = twins

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        answer = self.twins.handle(_as_request(request))
        if answer.mishap in ("reset_before", "reset_after"):
            reset = ConnectionResetError(104, "Connection reset by peer")
            raise requests.ConnectionError(ProtocolError("Connection aborted.", reset), request=request)
        if answer.mishap == "hang":
            raise requests.ReadTimeout("Read timed out. (read timeout=30)", request=request)
        return self.build_response(request, _as_response(request, answer))


def _as_request(request: requests.PreparedRequest) -> Request:
    parts = urlsplit(str(request.url))
    body = request.body or b""
    return Request(
        method=str(request.method),
        path=parts.path,
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers={name.lower(): str(value) for name, value in request.headers.items()},
        body=body.encode() if isinstance(body, str) else bytes(body),
    )


def _as_response(request: requests.PreparedRequest, answer: Answer) -> HTTPResponse:
    headers = {**answer.headers, "Content-Length": str(len(answer.body))}
    body: io.RawIOBase | io.BytesIO = io.BytesIO(answer.body)
    if answer.mishap == "torn":  # urllib3 misses the other half by Content-Length
        body = io.BytesIO(answer.body[: len(answer.body) // 2])
    elif answer.mishap == "drip":
        body = _Drip()
    return HTTPResponse(
        body=body, headers=headers, status=answer.status, preload_content=False, request_method=request.method
    )


class _Drip(io.RawIOBase):
    """A body so slow that the total deadline passes first."""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> NoReturn:
        raise TimeoutError("The total deadline has passed.")


class Says(HTTPAdapter):
    """Gives every request the same answer, or the same failure, and keeps the requests."""

    def __init__(self, status: int, body: bytes = b"", error: Exception | None = None) -> None:
        super().__init__()
        self.status, self.body, self.error = status, body, error
        self.requests: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.requests.append(request)
        if self.error:
            raise self.error
        return self.build_response(request, _as_response(request, Answer(self.status, {}, self.body)))
