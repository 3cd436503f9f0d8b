"""Every refusal as application/problem+json (RFC 9457): a status, one sentence, and the sentences per field."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import ObjectDoesNotExist, RequestDataTooBig, TooManyFilesSent
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import IntegrityError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from rest_framework import exceptions
from rest_framework.response import Response

from smsportal.problems import Problem
from smsportal.providers.errors import ProviderError, Throttled, Unable, Unreachable

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
_NOT_FOUND: Final = "There is nothing here that you can see."
_NO_SLASH: Final = "Every address of the API ends with a slash; call it again with one. Nothing was done."
_TOO_LARGE: Final = "The request is larger than the portal accepts."
_PLAIN: Final[list[tuple[tuple[type[Exception], ...], int, str]]] = [
    ((Http404, ObjectDoesNotExist), 404, _NOT_FOUND),
    ((DjangoPermissionDenied,), 403, "You may not do this."),
    ((RequestDataTooBig, TooManyFilesSent), 413, _TOO_LARGE),
]


def as_problem(refusal: Exception, context: Mapping[str, Any]) -> Response | None:
    """The answer for what a view raised; None for what nobody expected, which is a 500."""
    body, headers = _described(refusal)
    if body is None:
        return None
    return Response(body, status=body["status"], headers=headers, content_type=MEDIA_TYPE)


def describe(status: int, detail: str, *, title: str = "", **more: Any) -> dict[str, Any]:
    """The members of a problem. `more`: `errors` (field → sentences), `allowed` (moves possible instead)."""
    return {
        "type": "about:blank",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": {},
        **more,
    }


def _described(refusal: Exception) -> tuple[dict[str, Any] | None, dict[str, str]]:
    if isinstance(refusal, Problem):
        more = {} if refusal.allowed is None else {"allowed": refusal.allowed}
        body = describe(refusal.status, refusal.detail, title=refusal.title, errors=refusal.errors, **more)
        return body, {}
    if isinstance(refusal, ProviderError):
        return _of_provider(refusal)
    if isinstance(refusal, exceptions.APIException):
        return _of_framework(refusal)
    if isinstance(refusal, IntegrityError | OperationalError):
        return _of_database(refusal)
    for kinds, status, detail in _PLAIN:
        if isinstance(refusal, kinds):
            return describe(status, detail), {}
    return None, {}


def _of_database(refusal: Exception) -> tuple[dict[str, Any], dict[str, str]]:
    """Two who did the same at the same moment, or a database too busy to answer. The log has what it said."""
    log.error("The database refused a call", exc_info=refusal)
    if isinstance(refusal, IntegrityError):
        return describe(409, "Somebody did the same, or removed what this needs, at the same moment. Look again."), {}
    return describe(503, "The database is busy. Nothing was done; repeat the call in a moment."), {"Retry-After": "5"}


def _of_provider(refusal: ProviderError) -> tuple[dict[str, Any], dict[str, str]]:
    """What the provider did to us: 503 when trying later helps, 502 when not, 409 when it has no such ability."""
    if isinstance(refusal, Unable):
        return describe(409, refusal.text, title="The provider cannot do this"), {}
    headers = {} if refusal.retry_after_s is None else {"Retry-After": str(math.ceil(refusal.retry_after_s))}
    status = 503 if isinstance(refusal, Unreachable | Throttled) else 502
    return describe(status, refusal.text, title="The provider did not do it"), headers


def _of_framework(refusal: exceptions.APIException) -> tuple[dict[str, Any], dict[str, str]]:
    headers = {}
    if challenge := getattr(refusal, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(refusal, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    if isinstance(refusal, exceptions.ValidationError):
        errors = flat(refusal.detail)
        general = errors.pop("", [])
        detail = " ".join(general) or " ".join(f"{name}: {' '.join(said)}" for name, said in list(errors.items())[:3])
        return describe(400, detail, title="Something in it is wrong", errors=errors), headers
    detail = refusal.detail if isinstance(refusal.detail, str) else " ".join(flat(refusal.detail).get("", []))
    return describe(refusal.status_code, str(detail)), headers


def flat(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Nested validation errors as {"fields.0.name": [sentence, …]}; errors of no field are under ""."""
    if isinstance(detail, Mapping):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            found |= flat(inner, ".".join(filter(None, (path, own))))
        return found
    if isinstance(detail, list | tuple):
        if all(isinstance(item, str) for item in detail):
            return {path: [str(item) for item in detail]}
        return {
            key: sentences
            for place, inner in enumerate(detail)
            for key, sentences in flat(inner, f"{path}.{place}" if path else str(place)).items()
        }
    return {path: [str(detail)]}


def _page(request: HttpRequest, status: int, detail: str) -> HttpResponse:
    """A problem for programs, a page for browsers."""
    if request.path.startswith("/api/"):
        return JsonResponse(describe(status, detail), status=status, content_type=MEDIA_TYPE)
    return HttpResponse(render_to_string("error.html", {"detail": detail}), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's answer to a request no view was asked about."""
    if isinstance(exception, RequestDataTooBig | TooManyFilesSent):
        return _page(request, 413, _TOO_LARGE)
    return _page(request, 400, "The request cannot be read.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The answer for an address that leads nowhere."""
    unslashed = request.path.startswith("/api/") and not request.path.endswith(("/", ".csv"))
    return _page(request, 404, _NO_SLASH if unslashed else _NOT_FOUND)


def broken(request: HttpRequest) -> HttpResponse:
    """The answer for a mistake of ours; the log has the traceback."""
    return _page(request, 500, "The portal made a mistake; it is in the log. Nothing was confirmed to have been done.")
