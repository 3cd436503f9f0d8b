"""The API calls of saved segments: keep, change, remove and count them."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from contacts.filters import SegmentFilter
from contacts.keeping import segments
from contacts.models import Segment
from contacts.serializers.segments import (
    SegmentBodySerializer,
    SegmentChangeSerializer,
    SegmentCountBodySerializer,
    SegmentCountSerializer,
    SegmentSerializer,
)
from smsportal.api.rights import Call
from smsportal.api.views import View


class Segments(View):
    """The contacts of one list that meet some saved conditions, found anew each time."""

    model = Segment
    serializer_class = SegmentSerializer
    filterset_class = SegmentFilter
    orderings = {"name": ("name", "id"), "-created_at": ("-created_at", "-id")}
    calls = {
        "list": Call("contacts.view_segment", "lists:read"),
        "retrieve": Call("contacts.view_segment", "lists:read"),
        "create": Call("contacts.add_segment", "lists:write", SegmentBodySerializer, status=201),
        "partial_update": Call("contacts.change_segment", "lists:write", SegmentChangeSerializer),
        "destroy": Call("contacts.delete_segment", "lists:write", status=204),
        "count": Call("contacts.view_segment", "lists:read", SegmentCountBodySerializer, gives=SegmentCountSerializer),
        "count_saved": Call("contacts.view_segment", "lists:read", gives=SegmentCountSerializer),
    }

    def rows(self) -> Any:
        return super().rows().select_related("unit", "contact_list")

    def create(self, request: Request, **_: Any) -> Response:
        """Keep a new segment of a list."""
        return self._now(segments.create_segment(**self.given()))

    def partial_update(self, request: Request, **_: Any) -> Response:
        """Change its name or its conditions; a batch that was approved with it must be approved again."""
        return self._now(segments.change_segment(self.get_object(), **self.given()))

    def destroy(self, request: Request, **_: Any) -> Response:
        """Remove it; its contacts stay. Not while a batch that is submitted or on its way uses it."""
        segments.remove_segment(self.get_object())
        return Response(status=204)

    def count(self, request: Request, **_: Any) -> Response:
        """How many contacts would meet these conditions. Keeps nothing."""
        return self.answer(segments.count(**self.given()))

    def count_saved(self, request: Request, **_: Any) -> Response:
        """How many contacts a segment has now."""
        segment = self.get_object()
        return self.answer(segments.count(segment.contact_list, segment.match, segment.conditions))

    def _now(self, segment: Segment) -> Response:
        return self.answer(self.rows().get(pk=segment.pk))
