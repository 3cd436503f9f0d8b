"""How the OpenAPI description is written from the `calls` of the views."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse

from smsportal.api.refusals import MEDIA_TYPE

_PROBLEMS: Final = {
    400: "Something in the request is wrong.",
    401: "No valid token or session.",
    403: "The permission or the scope is missing.",
    404: "There is nothing that you can see.",
    405: "The address does not take this method.",
    406: "Only JSON can be answered.",
    411: "The length of the body is missing.",
    413: "The request is too large.",
    429: "Too many requests.",
}
_PROBLEMS_OF_WRITES: Final = {
    409: "Not possible in the present state; `allowed` names what is.",
    412: "Changed since the version in If-Match.",
    415: "The body is of a type that is not taken.",
    422: "The Idempotency-Key belongs to another request.",
}
_PROBLEMS_OF_PROVIDERS: Final = {
    502: "The provider refused or gave no usable answer.",
    503: "The provider cannot be reached or asks to wait.",
}
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence, with the remedy."},
        "errors": {
            "type": "object",
            "description": "Field → sentences.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
        "allowed": {
            "type": "array",
            "description": "The moves that are possible instead.",
            "items": {"type": "string"},
        },
    },
}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": "The same key and request is done once and answered alike, for 7 days.",
}


class CallSchema(AutoSchema):
    """Takes request and answer of an action from the view's `calls`."""

    def get_request_serializer(self) -> Any:
        call = self._call()
        return call.takes if call else super().get_request_serializer()

    def get_response_serializers(self) -> Any:
        call = self._call()
        if call is None:
            return super().get_response_serializers()
        if call.status == 204:
            return {204: OpenApiResponse(description="Done.")}
        return {call.status: call.gives or getattr(self.view, "serializer_class", None)}

    def _get_request_body(self, direction: Any = "request") -> Any:
        """The package describes no body of a DELETE, whatever it takes; where one is needed it has to be found here."""
        call, method = self._call(), self.method
        if method == "DELETE" and call is not None and call.takes:
            self.method = "POST"
        try:
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        finally:
            self.method = method

    def _call(self) -> Any:
        return getattr(self.view, "calls", {}).get(getattr(self.view, "action", None))


def declare_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Postprocessing hook: every operation may be refused, bodies are closed, every POST takes an Idempotency-Key."""
    components = result.setdefault("components", {})
    for name, body in components.get("schemas", {}).items():
        if name.endswith("Request") and body.get("type") == "object":
            body["additionalProperties"] = False
    components.setdefault("schemas", {})["Problem"] = _PROBLEM
    for operations in result.get("paths", {}).values():
        for method, operation in operations.items():
            known = dict(_PROBLEMS)
            if method != "get":
                known |= _PROBLEMS_OF_WRITES | _PROBLEMS_OF_PROVIDERS
            for status, description in known.items():
                operation["responses"].setdefault(str(status), _response(description))
            if method == "post":
                operation.setdefault("parameters", []).append(_KEY)
    return result


def _response(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
