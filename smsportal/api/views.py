"""The base class of every API view: visible rows only, found by UUID, written with known fields, repeated safely."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, cast

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db.models import Model
from django.shortcuts import get_object_or_404
from django.utils.cache import patch_cache_control
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from smsportal.accounts.models import User
from smsportal.api.bodies import StrictSerializer, length_of
from smsportal.api.once import Effect, answer_once
from smsportal.api.queries import PAGING, filters_of, refuse_unknown
from smsportal.api.rights import Call, lacking
from smsportal.problems import Changed

_VERSION: Final = re.compile(r'(?:W/)?"(\d{1,9})"\Z')
_BESIDE_THE_FILE: Final = 64 * 1024  # what multipart and the other parts of an upload may weigh


class View(GenericViewSet[Any]):
    """`calls` says of every action who may do it, what it takes and what it gives.

    `serializer_class` shows the rows of `model`; `orderings` are the words of `?ordering=` and their columns, the
    first of which is used when none is asked for.
    """

    calls: ClassVar[Mapping[str, Call]] = {}
    model: ClassVar[type[Model]]
    orderings: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    effect: Effect  # of a POST: carries out what it is called with as a whole, together with keeping the answer

    http_method_names = ["get", "post", "patch", "delete", "head"]
    lookup_field = "uuid"
    lookup_url_kwarg = "id"

    # --- what the framework asks -------------------------------------------------------------------------------------
    @classmethod
    def as_view(cls, actions: Any = None, **initkwargs: Any) -> Any:
        view = super().as_view(actions, **initkwargs)
        # A redirect to the address with a slash would turn a POST into a GET, which answers 200 and has done nothing.
        view.should_append_slash = False  # type: ignore[attr-defined]
        return view

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        call = self.calls.get(self.action or "")
        return super().perform_content_negotiation(request, force=force or (call is not None and call.file))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if length_of(request) > settings.IMPORT_MAX_BYTES + _BESIDE_THE_FILE:
            raise RequestDataTooBig
        if request.method == "POST" and (act := getattr(self, "post", None)):
            if self.call.takes is None and (request.data or not isinstance(request.data, Mapping)):
                self.given()  # refuses an array, and every member: none of them would have an effect

            alone = self.call.asks_provider or self.call.paged or self.call.walks

            def carry_out(effect: Effect) -> Response:
                self.effect = effect
                return cast(Response, act(request, *args, **kwargs))

            def post(*_: Any, **__: Any) -> Response:
                return answer_once(request, carry_out, in_transaction=not alone)

            self.post = post

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        patch_cache_control(final, no_store=True)
        return final

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):  # the schema is being written: there is no person and no address
            return self.model._default_manager.none()
        return self.rows()

    # --- what the views are made of ----------------------------------------------------------------------------------
    def rows(self) -> Any:
        """The rows this person may see, as a query set."""
        return self.model._default_manager.visible_to(self.request.user)  # type: ignore[attr-defined]

    @property
    def actor(self) -> User:
        """Who is calling; `MayDoThis` let nobody else in."""
        return cast(User, self.request.user)

    def parent(self, rows: Any) -> Any:
        """The row of `rows` whose id is in the address, or 404."""
        return get_object_or_404(rows, uuid=self.kwargs["id"])

    @property
    def call(self) -> Call:
        """What `calls` says of this action."""
        return self.calls[self.action]

    def need(self, permission: str, scope: str) -> None:
        """Raise PermissionDenied when the caller lacks what this body asks for, beyond what the call takes."""
        if lacks := lacking(self.request, permission, scope):
            raise PermissionDenied(lacks)

    def given(self) -> dict[str, Any]:
        """The body, checked by what the call takes. Raises ValidationError."""
        takes = self.call.takes or StrictSerializer
        body = takes(data=self.request.data, context=self.get_serializer_context())
        body.is_valid(raise_exception=True)
        checked: dict[str, Any] = body.validated_data
        return checked

    def context_for(self, rows: Sequence[Any]) -> dict[str, Any]:
        """What showing `rows` needs beyond them, fetched once for all of them."""
        return {}

    def serialized(self, rows: Any, *, many: bool = False) -> Any:
        shape = self.call.gives or self.get_serializer_class()
        context = {**self.get_serializer_context(), **self.context_for(rows if many else [rows])}
        return shape(rows, many=many, context=context).data

    def answer(self, row: Any, **headers: str) -> Response:
        return Response(self.serialized(row), status=self.call.status, headers=headers)

    # --- the two actions nearly every view has -----------------------------------------------------------------------
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One page."""
        refuse_unknown(request, [*filters_of(self), *PAGING])
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.serialized(page, many=True))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One row."""
        return self.answer(self.get_object())


def version_asked(request: Request) -> int | None:
    """The version an If-Match header names, None without one. Raises Changed when it names none of ours."""
    given = request.headers.get("If-Match", "").strip()
    if given in {"", "*"}:
        return None
    if not (match := _VERSION.match(given)):
        raise Changed('If-Match takes the version between quotation marks, as in If-Match: "3".')
    return int(match[1])
