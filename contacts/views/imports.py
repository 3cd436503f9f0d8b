"""The API calls of imports: upload, look at the rows, mend them, apply, undo."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from contacts import importing
from contacts.filters import ImportRowFilter
from contacts.models import ContactList, Import, ImportRow
from contacts.serializers.imports import (
    AcceptSerializer,
    ImportRowSerializer,
    ImportSerializer,
    MappingSerializer,
    RowBodySerializer,
    UploadSerializer,
)
from smsportal import doorbell
from smsportal.api.rights import Call
from smsportal.api.views import View

_SEE = "contacts.view_import"
_IMPORT = "contacts.import_contactlist"


class ListImports(View):
    """The imports into one list."""

    model = Import
    serializer_class = ImportSerializer
    parser_classes = [MultiPartParser]
    calls = {
        "list": Call(_SEE, "lists:read"),
        "create": Call(_IMPORT, "lists:write", UploadSerializer, status=202),
    }

    def rows(self) -> Any:
        return _light(self._list().imports.all())

    def create(self, request: Request, **_: Any) -> Response:
        """Upload a CSV file. It is checked in the background; nothing reaches the list before it is applied."""
        given = self.given()
        upload = importing.receive(
            self._list(),
            file_name=given["file"].name,
            content=given["file"].read(),
            mapping=given.get("mapping"),
            actor=self.actor,
        )
        doorbell.ring("imports")
        return self.answer(upload)

    def _list(self) -> Any:
        return self.parent(ContactList.objects.visible_to(self.request.user))


class Imports(View):
    """One import."""

    model = Import
    serializer_class = ImportSerializer
    calls = {
        "retrieve": Call(_SEE, "lists:read"),
        "partial_update": Call(_IMPORT, "lists:write", MappingSerializer, status=202),
        "apply": Call(_IMPORT, "lists:write", AcceptSerializer, status=202),
        "undo": Call(_IMPORT, "lists:write"),
        "refused": Call(_SEE, "lists:read", file=True),
    }

    def rows(self) -> Any:
        return _light(super().rows())

    def partial_update(self, request: Request, **_: Any) -> Response:
        """Map the columns anew; every row is checked again."""
        upload = self.get_object()
        importing.remap(upload, self.given()["mapping"])
        doorbell.ring("imports")
        return self._now(upload)

    def apply(self, request: Request, **_: Any) -> Response:
        """Bring the good rows into the list, in the background."""
        upload = self.get_object()
        importing.start_applying(upload, accept=self.given()["accept"], actor=self.actor)
        doorbell.ring("imports")
        return self._now(upload)

    def undo(self, request: Request, **_: Any) -> Response:
        """Give every contact the values it had before this import, and remove those it made."""
        upload = self.get_object()
        importing.undo(upload, actor=self.actor)
        return self._now(upload)

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def refused(self, request: Request, **_: Any) -> StreamingHttpResponse:
        """The refused rows as CSV, as they were uploaded, with what is wrong in a last column."""
        upload = self.get_object()
        answer = StreamingHttpResponse(importing.refused_csv(upload), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="refused-{upload.uuid}.csv"'
        return answer

    def _now(self, upload: Import) -> Response:
        return self.answer(self.rows().get(pk=upload.pk))


class ImportRows(View):
    """The rows of one import."""

    model = ImportRow
    serializer_class = ImportRowSerializer
    filterset_class = ImportRowFilter
    orderings = {"number": ("number",)}
    lookup_field = "number"
    lookup_url_kwarg = "number"
    calls = {
        "list": Call(_SEE, "lists:read"),
        "partial_update": Call(_IMPORT, "lists:write", RowBodySerializer),
    }

    def rows(self) -> Any:
        return ImportRow.objects.filter(upload=self._import())

    def partial_update(self, request: Request, **_: Any) -> Response:
        """Correct one row; it is checked again at once."""
        row = self.get_object()
        return self.answer(importing.change_row(self._import(), row.number, self.given()["fields"]))

    def _import(self) -> Any:
        return self.parent(_light(Import.objects.visible_to(self.request.user)))


def _light(uploads: Any) -> QuerySet[Any]:
    """Imports without the bytes of the file."""
    light: QuerySet[Any] = uploads.select_related("contact_list").defer("content")
    return light
