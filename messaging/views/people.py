"""The API call that tells who falls at which step of a batch's waterfall, before anything is written."""

from __future__ import annotations

from typing import Any, Final

from django.core.signing import BadSignature, Signer
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from contacts.models import Contact
from messaging import composing, controls
from messaging.models import Batch
from messaging.serializers.previews import PersonSerializer
from smsportal.api.pages import Pages
from smsportal.api.queries import refuse_unknown
from smsportal.api.rights import Call
from smsportal.api.views import View

_SIGNER: Final = Signer(salt="messaging.views.people")


class PeoplePages(Pages):
    """Pages that are read forwards only, from the audience itself; the cursor names where the next one begins."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        found = composing.people(
            queryset, request.query_params.get("step", "audience"), _after(request), self._limit(request)
        )
        here = request.build_absolute_uri()
        self._next = replace_query_param(here, "cursor", _SIGNER.sign(str(found.after))) if found.after else None
        self._previous = None
        return found.entries


class BatchPeople(View):
    """The people of a batch at one step of its waterfall, each with the reason and the remedy."""

    model = Batch
    serializer_class = PersonSerializer
    pagination_class: type[BasePagination] = PeoplePages
    filter_backends = []
    calls = {"list": Call("messaging.view_batch", "sends:read")}

    @extend_schema(
        parameters=[
            OpenApiParameter("step", enum=list(composing.STEPS), description="The step; everybody when not given."),
            OpenApiParameter("ordering", exclude=True),
        ]
    )
    def list(self, request: Request, *_: Any, **__: Any) -> Response:
        """One page of those who fall at a step. A page may be a little longer than `limit`: one number stays together."""
        refuse_unknown(request, ["step", "cursor", "limit"])
        batch = self.parent(Batch.objects.visible_to(request.user).select_related("unit", "account"))
        controls.refuse_hidden(batch, self.actor)
        entries: Any = self.paginate_queryset(batch)
        ids = {each.contact for each in entries}
        contacts = dict(Contact.objects.filter(pk__in=ids - {None}).values_list("pk", "uuid"))
        rows = [{**vars_of(each), "contact": contacts.get(each.contact)} for each in entries]
        return self.get_paginated_response(self.serialized(rows, many=True))


def vars_of(entry: composing.Entry) -> dict[str, Any]:
    """What an entry says, without our own keys."""
    return {name: getattr(entry, name) for name in ("name", "to", "contact_list", "step", "reason", "remedy")}


def _after(request: Request) -> int:
    """The PhoneNumber.id a cursor of ours names; 0 without one."""
    if not (text := request.query_params.get("cursor", "")):
        return 0
    try:
        return int(_SIGNER.unsign(text))
    except BadSignature as foreign:
        raise ValidationError({"cursor": ["This is not a cursor of the portal; take it from next."]}) from foreign
