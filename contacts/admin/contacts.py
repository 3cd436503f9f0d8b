"""Contacts in the admin: found by name, number or e-mail; changed through the list's own schema."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.decorators import display

from contacts import keeping
from contacts.admin.search import by_person
from contacts.forms import FieldsForm, blame
from contacts.models import Contact, ContactList
from smsportal import phones
from smsportal.accounts.pages import Page
from smsportal.accounts.parts import Fact, Link, OwnRowsFilter, deed
from smsportal.mirror.admin import MirroredAdmin, as_pretty_json
from smsportal.problems import Problem


class ContactPage(Page):
    """One contact: what is known, what may be changed, what the provider holds."""

    template = "admin/contacts/contact.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.form_page(request, FieldsForm(self.row.contact_list.schema(), initial=self.row.fields()))

    def post(self, request: HttpRequest) -> HttpResponse:
        if not self.admin.has_change_permission(request, self.row):
            return redirect(self.after(request))
        form = FieldsForm(self.row.contact_list.schema(), request.POST)
        if form.is_valid():
            try:
                keeping.change_contact(self.row, form.cleaned_data)
            except Problem as problem:
                blame(form, problem)
            else:
                messages.success(request, "Saved. The change reaches the provider with the next sync.")
                return redirect(self.after(request))
        return self.form_page(request, form)

    def form_page(self, request: HttpRequest, form: FieldsForm) -> HttpResponse:
        return self.show(
            request,
            title=str(self.row),
            form=form,
            may_change=self.admin.has_change_permission(request, self.row),
            raw=as_pretty_json(self.row.remote),
        )


class AddContactPage(Page):
    """A new contact of one list; it is a page of the list."""

    where = "<path:object_id>/add-contact/"
    name = "add_contact"
    template = "admin/contacts/contact.html"
    permission = "contacts.add_contact"
    row: ContactList

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.form_page(request, FieldsForm(self.row.schema()))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = FieldsForm(self.row.schema(), request.POST)
        if not form.is_valid():
            return self.form_page(request, form)
        saved = keeping.save_contacts(self.row, [form.cleaned_data])
        for rejected in saved.rejected:
            form.blame(rejected.errors)
        if not form.is_valid():
            return self.form_page(request, form)
        said = "Added." if saved.created else "This number was in the list already; its contact is updated."
        messages.success(request, said)
        return redirect(self.after(request))

    def form_page(self, request: HttpRequest, form: FieldsForm) -> HttpResponse:
        title = f"Add a contact to {self.row}"
        return self.show(request, title=title, form=form, may_change=True, overview={})


@admin.register(Contact)
class ContactAdmin(MirroredAdmin):
    """The people in the lists."""

    change_page = ContactPage
    intro = "One row is one person in one list. Search by first or last name, e-mail address or phone number."
    empty_title = "No contacts yet"
    empty_text = "Contacts come from a file: open a list and choose “Import a file”."
    list_display = ("last_name", "first_name", "phone", "email", "contact_list", "may_text", "in_step")
    list_display_links = ("last_name", "first_name", "phone")
    list_filter = (("contact_list", OwnRowsFilter), "number__opted_out", "sync_state", "active")
    list_select_related = ("contact_list", "number")
    search_fields = ("last_name", "first_name", "email", "number__e164")
    search_help_text = "Name, e-mail address or phone number"
    deeds = ("remove",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(removed_at=None).select_related("contact_list", "number")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return by_person(queryset, search_term), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a contact is added on its list's page

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the deed below asks the verb

    @display(description="Phone number", ordering="number__e164")
    def phone(self, row: Contact) -> str:
        return phones.display(row.number.e164)

    @display(
        description="May be texted", label={"Yes": "success", "No: opted out": "danger", "No: inactive": "warning"}
    )
    def may_text(self, row: Contact) -> str:
        return "No: opted out" if row.number.opted_out else "Yes" if row.active else "No: inactive"

    def facts(self, request: HttpRequest, row: Contact) -> list[Fact]:
        said = self.may_text(row)
        return [
            Fact("Phone number", phones.display(row.number.e164)),
            Fact("May be texted", said, "good" if said == "Yes" else "bad"),
            Fact("List", row.contact_list),
            *self.sync_facts(row),
        ]

    def links(self, request: HttpRequest, row: Contact) -> list[Link]:
        return [
            Link("The list", reverse("admin:contacts_contactlist_change", args=[row.contact_list_id])),
            Link("The number and its consent", reverse("admin:contacts_phonenumber_change", args=[row.number_id])),
        ]

    @deed(
        "Remove the contact",
        permission="contacts.delete_contact",
        tone="danger",
        question=lambda row: [
            f"{row} is taken out of the list {row.contact_list}. Messages and the consent of the number stay.",
            "If the provider holds the contact too, the next sync offers to remove it there.",
        ],
    )
    def remove(self, request: HttpRequest, row: Contact) -> HttpResponse:
        where = row.contact_list_id
        keeping.remove_contacts([row])
        messages.success(request, f"{row} is removed.")
        return redirect("admin:contacts_contactlist_change", where)
