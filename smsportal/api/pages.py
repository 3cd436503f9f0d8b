"""Pages of a collection by cursor: each page begins after the last row of the one before, so none is lost or doubled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.db.models import Q
from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
_NEWEST_FIRST: Final = {"-id": ("-id",)}
_SIGNER: Final = Signer(salt="smsportal.api.pages")


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a page begins: after (or before) the row that has `values` in the columns of `order`."""

    order: tuple[str, ...]
    values: tuple[Any, ...]
    backwards: bool = False

    def write(self) -> str:
        values = [{"at": value.isoformat()} if isinstance(value, datetime) else value for value in self.values]
        values = [str(value) if isinstance(value, UUID) else value for value in values]
        return _SIGNER.sign_object([self.order, values, self.backwards], compress=True)


def _read(text: str, order: tuple[str, ...]) -> _Cursor:
    """Only cursors we signed are read, so no value in one can be made to mean something else."""
    try:
        given, values, backwards = _SIGNER.unsign_object(text)
    except (BadSignature, ValueError) as wrong:
        raise ValidationError(
            {"cursor": ["This is not a cursor of the portal; take it from next or previous."]}
        ) from wrong
    if tuple(given) != order:
        raise ValidationError({"cursor": ["This cursor belongs to another ordering; begin without a cursor."]})
    return _Cursor(
        order, tuple(parse_datetime(value["at"]) if isinstance(value, dict) else value for value in values), backwards
    )


def _beyond(cursor: _Cursor) -> Q:
    """The rows after (or before) the cursor, comparing column by column."""
    found = Q()
    equal = Q()
    for column, value in zip(cursor.order, cursor.values, strict=True):
        name = column.removeprefix("-")
        downwards = column.startswith("-") is not cursor.backwards
        found |= equal & Q(**{f"{name}__{'lt' if downwards else 'gt'}": value})
        equal &= Q(**{name: value})
    first = cursor.order[0]
    downwards = first.startswith("-") is not cursor.backwards
    # Says the same again, in a way that lets the database begin in the middle of an index.
    return Q(**{f"{first.removeprefix('-')}__{'lte' if downwards else 'gte'}": cursor.values[0]}) & found


def _reversed(order: Sequence[str]) -> list[str]:
    return [column[1:] if column.startswith("-") else f"-{column}" for column in order]


class Pages(BasePagination):
    """`?cursor=&limit=` → `{next, previous, results}`; limit 1 to 500, 50 when not given.

    A view names its orderings in `orderings`: word of `?ordering=` → columns, none of them null, the last one unique,
    so that the order is total. The first ordering is used when none is asked for.
    """

    display_page_controls = False

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        limit = self._limit(request)
        order = self._order(request, view)
        text = request.query_params.get("cursor", "")
        cursor = _read(text, order) if text else None
        backwards = cursor is not None and cursor.backwards
        rows = queryset if cursor is None else queryset.filter(_beyond(cursor))
        found = list(rows.order_by(*(_reversed(order) if backwards else order))[: limit + 1])
        more = len(found) > limit
        page = found[:limit]
        if backwards:
            page.reverse()
        self._url = request.build_absolute_uri()
        self._next = self._link(order, page[-1:], backwards=False) if (more or backwards) else None
        self._previous = (
            self._link(order, page[:1], backwards=True) if (more if backwards else cursor is not None) else None
        )
        return page

    @staticmethod
    def _limit(request: Request) -> int:
        given = request.query_params.get("limit", "")
        if not given:
            return DEFAULT_LIMIT
        if not (given.isascii() and given.isdigit()) or int(given[:9]) < 1:
            raise ValidationError({"limit": [f"A number from 1 to {MAX_LIMIT}."]})
        return min(int(given[:9]), MAX_LIMIT)

    @staticmethod
    def _order(request: Request, view: Any) -> tuple[str, ...]:
        orderings: Mapping[str, tuple[str, ...]] = getattr(view, "orderings", None) or _NEWEST_FIRST
        asked = request.query_params.get("ordering", "")
        if asked and asked not in orderings:
            raise ValidationError({"ordering": [f"One of {', '.join(orderings)}."]})
        return orderings[asked] if asked else next(iter(orderings.values()))

    def _link(self, order: tuple[str, ...], edge: list[Any], *, backwards: bool) -> str | None:
        if not edge:
            return None
        values = tuple(_value(edge[0], column.removeprefix("-")) for column in order)
        return replace_query_param(self._url, "cursor", _Cursor(order, values, backwards).write())

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self._next, "previous": self._previous, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = [
            {"name": "cursor", "in": "query", "schema": {"type": "string"}, "description": "From next or previous."},
            {
                "name": "limit",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "default": DEFAULT_LIMIT},
                "description": f"Rows per page, {MAX_LIMIT} at most whatever is asked for.",
            },
        ]
        if orderings := getattr(view, "orderings", None):
            words = {"type": "string", "enum": list(orderings), "default": next(iter(orderings))}
            parameters.append({"name": "ordering", "in": "query", "schema": words, "description": "Order of the rows."})
        return parameters


def _value(row: Any, path: str) -> Any:
    for step in path.split("__"):
        row = getattr(row, step)
    return row
