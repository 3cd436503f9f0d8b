"""The first step of an import: which columns the list expects, an example file, and the upload."""

from __future__ import annotations

import csv
import io

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.text import slugify

from contacts import importing
from contacts.forms import UploadForm, blame
from contacts.models import ContactList, FieldType
from smsportal import doorbell
from smsportal.accounts.pages import Page
from smsportal.accounts.parts import who
from smsportal.problems import Problem
from smsportal.providers.base import RemoteField

_EXAMPLES: dict[str, tuple[str, str]] = {
    FieldType.PHONE: ("(312) 555-0100", "+1 312 555 0101"),
    FieldType.EMAIL: ("ada.park@example.edu", "ben.ortiz@example.edu"),
    FieldType.FIRST_NAME: ("Ada", "Ben"),
    FieldType.LAST_NAME: ("Park", "Ortiz"),
}


def example_of(field: RemoteField, row: int) -> str:
    """What the cell of an example row says."""
    return _EXAMPLES.get(field.type, (f"{field.display_name} 1", f"{field.display_name} 2"))[row]


class UploadPage(Page):
    """Takes the file and goes on to the check; nothing reaches the list here."""

    where = "<path:object_id>/import/"
    name = "upload"
    template = "admin/contacts/upload.html"
    permission = "contacts.import_contactlist"
    row: ContactList

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.form_page(request, UploadForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = UploadForm(request.POST, request.FILES)
        if form.is_valid():
            file = form.cleaned_data["file"]
            try:
                upload = importing.receive(self.row, file_name=file.name, content=file.read(), actor=who(request))
            except Problem as problem:
                blame(form, problem)
            else:
                doorbell.ring("imports")
                return redirect("admin:contacts_import_change", upload.pk)
        return self.form_page(request, form)

    def form_page(self, request: HttpRequest, form: UploadForm) -> HttpResponse:
        schema = self.row.schema()
        return self.show(
            request,
            title=f"Import a file into {self.row}",
            form=form,
            schema=schema,
            examples=[[example_of(field, row) for field in schema] for row in (0, 1)],
            example_url=self.admin.url("example", self.row.pk),
            earlier=self.row.imports.select_related("actor").defer("content")[:5],
            overview={},
        )


class ExamplePage(Page):
    """A CSV file with this list's columns and two made-up people."""

    where = "<path:object_id>/example.csv"
    name = "example"
    row: ContactList

    def get(self, request: HttpRequest) -> HttpResponse:
        schema = self.row.schema()
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow([field.display_name for field in schema])
        rows.writerows([[example_of(field, row) for field in schema] for row in (0, 1)])
        name = slugify(self.row.name) or "list"
        return HttpResponse(
            "\ufeff" + text.getvalue(),  # the mark makes Excel read UTF-8
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}-example.csv"'},
        )
