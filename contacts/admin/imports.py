"""Imports in the admin: the check with the error inside the cell, mending in place, applying, undoing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.decorators import display

from contacts import importing
from contacts.models import Import, ImportRow, ImportState, RowState
from smsportal import doorbell
from smsportal.accounts.pages import Page, PortalAdmin
from smsportal.accounts.parts import Fact, Link, OwnRowsFilter, deed, who
from smsportal.providers.base import RemoteField
from smsportal.text import plural

PER_PAGE = 50
SAMPLES = 20
AT_WORK = (ImportState.CHECKING, ImportState.APPLYING)
MAY = "contacts.import_contactlist"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a refused row: its column, what the file says, which field it fills, what is wrong with it."""

    column: str
    value: str
    field: str
    label: str
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused row as the page shows it; `missing` are errors of fields no column fills.

    `misshapen`: why its cells do not stand under their columns, which only the file can mend.
    """

    number: int
    cells: list[Cell]
    missing: list[Cell]
    misshapen: list[str]


def refused(rows: Iterable[ImportRow], upload: Import, schema: Sequence[RemoteField]) -> list[Refused]:
    """The refused rows with every error in its cell."""
    labels = {field.name: field.display_name for field in schema}
    found = []
    for row in rows:
        wrong: dict[str, list[dict[str, str]]] = {}
        for error in row.errors:
            wrong.setdefault(error["field"], []).append(error)
        misshapen = [error["message"] for error in wrong.pop("", [])]
        cells = []
        for column, value in zip(upload.columns, row.cells, strict=False):
            field = upload.mapping.get(column, "")
            cells.append(
                _cell(column, field, str(row.fields.get(field, value)), labels, wrong.pop(field, []) if field else [])
            )
        missing = [
            _cell(labels.get(field, field), field, str(errors[0].get("value", "")), labels, errors)
            for field, errors in wrong.items()
        ]
        found.append(Refused(row.number, cells, missing, misshapen))
    return found


def _cell(column: str, field: str, value: str, labels: dict[str, str], errors: list[dict[str, str]]) -> Cell:
    said = str(errors[0].get("value", "")) if errors else ""
    return Cell(column, said or value, field, labels.get(field, field), tuple(error["message"] for error in errors))


def differences(row: ImportRow) -> list[tuple[str, str, str]]:
    """Field, old value, new value of a row that changes a contact."""
    before = row.before or {}
    return [
        (name.replace("_", " "), before.get(name, ""), value)
        for name, value in row.fields.items()
        if value != before.get(name, "")
    ]


class ImportPage(Page):
    """Where an import stands: being checked, checked with its faults, being applied, applied, undone."""

    template = "admin/contacts/import.html"
    row: Import

    def get(self, request: HttpRequest) -> HttpResponse:
        upload, schema = self.row, self.row.contact_list.schema()
        numbered = upload.checked_rows.filter(state=RowState.REFUSED).order_by("number")
        page = Paginator(numbered, PER_PAGE).get_page(request.GET.get("page"))
        repeated = upload.checked_rows.filter(state=RowState.DUPLICATE).order_by("number")[:SAMPLES]
        changed = upload.checked_rows.filter(state=RowState.CHANGED).order_by("number")[:SAMPLES]
        fields = {field.name: field.display_name for field in schema}
        return self.show(
            request,
            title=upload.file_name,
            upload=upload,
            working=upload.state in AT_WORK,
            may=who(request).has_perm(MAY),
            columns=[(index, column, upload.mapping.get(column, "")) for index, column in enumerate(upload.columns)],
            fields=fields.items(),
            page=page,
            refused=refused(page.object_list, upload, schema),
            changed=[(row.number, differences(row)) for row in changed],
            repeated=[(row.number, " ".join(error["message"] for error in row.errors)) for row in repeated],
            good=upload.new + upload.changed,
        )


class MappingPage(Page):
    """Takes another mapping of columns to fields and has the file checked again."""

    where = "<path:object_id>/mapping/"
    name = "mapping"
    permission = MAY
    row: Import

    def post(self, request: HttpRequest) -> HttpResponseBase:
        mapping = {column: request.POST.get(f"column_{index}", "") for index, column in enumerate(self.row.columns)}
        importing.remap(self.row, mapping)  # a blank field leaves the column out
        doorbell.ring("imports")
        return redirect(self.after(request))


class RowPage(Page):
    """Takes the mended cells of one refused row."""

    where = "<path:object_id>/rows/<int:number>/"
    name = "row"
    permission = MAY
    row: Import

    def post(self, request: HttpRequest, number: int) -> HttpResponseBase:
        given = {
            name.removeprefix("field_"): str(value) for name, value in request.POST.items() if name.startswith("field_")
        }
        mended = importing.change_row(self.row, number, given)
        if mended.state == RowState.REFUSED:
            messages.warning(request, f"Row {number} still has errors.")
        elif mended.state == RowState.DUPLICATE:
            why = " ".join(error["message"] for error in mended.errors)
            messages.warning(
                request, f"Row {number} has no errors any more, but it repeats a row and is left out. {why}"
            )
        else:
            messages.success(request, f"Row {number} is good now: {RowState(mended.state).label.lower()}.")
        return redirect(self.after(request))


class RefusedPage(Page):
    """The refused rows as a file: the same columns and the reasons, to be mended and imported again."""

    where = "<path:object_id>/refused.csv"
    name = "refused"
    permission = MAY
    row: Import

    def get(self, request: HttpRequest) -> HttpResponseBase:
        return StreamingHttpResponse(
            importing.refused_csv(self.row),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="refused-rows-of-import-{self.row.pk}.csv"'},
        )


def _what_applying_does(upload: Import) -> list[str]:
    left = upload.refused + upload.duplicates
    return [
        f"{plural(upload.new, 'contact is', 'contacts are')} added to {upload.contact_list} and "
        f"{plural(upload.changed, 'is', 'are')} changed.",
        f"{plural(left, 'row is', 'rows are')} left out (refused or repeated)." if left else "No row is left out.",
        "You can undo the import afterwards.",
    ]


@admin.register(Import)
class ImportAdmin(PortalAdmin):
    """The uploads and their checks."""

    change_page = ImportPage
    intro = "Every file that was uploaded, what the check found, and whether it was applied."
    empty_title = "Nothing was imported yet"
    empty_text = "Open a contact list and choose “Import a file”."
    list_display = ("file_name", "contact_list", "stands", "rows", "new", "changed", "refused", "actor", "created_at")
    list_filter = ("state", ("contact_list", OwnRowsFilter))
    list_select_related = ("contact_list", "actor")
    search_fields = ("file_name", "contact_list__name")
    deeds = ("apply_good", "apply_all", "undo")
    pages = (MappingPage, RowPage, RefusedPage)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("contact_list").defer("content")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a file is uploaded on its list's page

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(
        description="State",
        ordering="state",
        label={
            ImportState.CHECKING.label: "info",
            ImportState.CHECKED.label: "warning",
            ImportState.APPLYING.label: "info",
            ImportState.APPLIED.label: "success",
            ImportState.FAILED.label: "danger",
        },
    )
    def stands(self, row: Import) -> str:
        return ImportState(row.state).label

    def facts(self, request: HttpRequest, row: Import) -> list[Fact]:
        tones = {ImportState.APPLIED: "good", ImportState.FAILED: "bad", ImportState.CHECKED: "warn"}
        return [
            Fact("State", ImportState(row.state).label, tones.get(ImportState(row.state), "info")),
            Fact("List", row.contact_list),
            Fact("Uploaded", row.created_at),
            Fact("By", row.actor or "a program"),
        ]

    def links(self, request: HttpRequest, row: Import) -> list[Link]:
        return [Link("The list", reverse("admin:contacts_contactlist_change", args=[row.contact_list_id]))]

    @deed(
        "Apply the good rows",
        permission=MAY,
        tone="primary",
        question=_what_applying_does,
        when=lambda row: row.state == ImportState.CHECKED and row.new + row.changed > 0,
    )
    def apply_good(self, request: HttpRequest, row: Import) -> None:
        importing.start_applying(row, accept="good", actor=who(request))
        doorbell.ring("imports")

    @deed(
        "Apply only if all are good",
        permission=MAY,
        question=_what_applying_does,
        when=lambda row: row.state == ImportState.CHECKED and row.new + row.changed > 0 and not row.refused,
    )
    def apply_all(self, request: HttpRequest, row: Import) -> None:
        importing.start_applying(row, accept="all_or_nothing", actor=who(request))
        doorbell.ring("imports")

    @deed(
        "Undo this import",
        permission=MAY,
        tone="danger",
        question=lambda row: [
            f"{plural(row.new, 'contact it added is', 'contacts it added are')} removed, "
            f"{plural(row.changed, 'contact it changed gets its', 'contacts it changed get their')} old values back.",
            "A contact somebody changed since then keeps that change.",
        ],
        when=lambda row: row.state == ImportState.APPLIED,
    )
    def undo(self, request: HttpRequest, row: Import) -> str:
        importing.undo(row, actor=who(request))
        return "The import is undone: the list is as it was before it." if not row.problem else "The import is undone."
