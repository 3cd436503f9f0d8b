"""Contact lists in the admin: their schema, tags and state, and the ways on to import, sync, contacts and writing."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.admin import TabularInline
from unfold.decorators import display

from contacts import keeping, sync
from contacts.admin.contacts import AddContactPage
from contacts.admin.uploads import ExamplePage, UploadPage
from contacts.forms import ListForm, SchemaFieldForm
from contacts.models import Contact, ContactList, SchemaField
from smsportal.accounts.parts import Fact, Link, OwnRowsFilter, deed, who
from smsportal.mirror.admin import MirroredAdmin
from smsportal.providers.base import RemoteField
from smsportal.text import plural


class SchemaFieldInline(TabularInline):
    """The list's own fields, beyond the four every list has."""

    model = SchemaField
    form = SchemaFieldForm
    extra = 0
    verbose_name = "field of this list"
    verbose_name_plural = "fields of this list, beside phone number, e-mail address, first and last name"


@admin.register(ContactList)
class ContactListAdmin(MirroredAdmin):
    """The lists."""

    form = ListForm
    intro = "A list holds the people you text. Import a file into it, compare it with the provider, then write to it."
    empty_title = "No list yet"
    empty_text = "Add a list, name the columns your file has beyond name, e-mail and phone, then import the file."
    list_display = ("name", "unit", "tag_words", "people", "in_step", "synced_at")
    list_filter = ("sync_state", ("unit", OwnRowsFilter), ("account", OwnRowsFilter), ("tags", OwnRowsFilter))
    list_select_related = ("unit",)
    search_fields = ("name", "tags__name")
    fieldsets = (
        (None, {"fields": ("name", "unit", "account", "tag_words", "seen")}),
        ("Data the provider keeps with the list", {"fields": ("meta",), "classes": ("collapse",)}),
    )
    inlines = (SchemaFieldInline,)
    deeds = ("plan_sync", "remove")
    pages = (UploadPage, ExamplePage, AddContactPage)

    def get_queryset(self, request: HttpRequest) -> Any:
        present = Contact.objects.present().filter(contact_list=OuterRef("pk")).order_by().values("contact_list")
        people = Subquery(present.annotate(n=Count("pk")).values("n"))
        return super().get_queryset(request).annotate(people=people).prefetch_related("tags")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("account",) if obj is not None and obj.remote_id else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the deed below asks the verb

    @display(description="Contacts", ordering="people")
    def people(self, row: Any) -> str:
        return f"{row.people or 0:,}"

    @display(description="Tags")
    def tag_words(self, row: ContactList) -> str:
        return ", ".join(tag.name for tag in row.tags.all())

    def facts(self, request: HttpRequest, row: Any) -> list[Fact]:
        numbers = row.contacts.present()
        contacts = reverse("admin:contacts_contact_changelist") + f"?contact_list__id__exact={row.pk}"
        out = numbers.filter(number__opted_out=True).count()
        return [
            Fact("Contacts", f"{row.people or 0:,}", url=contacts),
            Fact("Opted out", f"{out:,}", url=contacts + "&number__opted_out__exact=1"),
            *self.sync_facts(row),
        ]

    def links(self, request: HttpRequest, row: ContactList) -> list[Link]:
        may = who(request).has_perm
        found = [Link("Contacts", reverse("admin:contacts_contact_changelist") + f"?contact_list__id__exact={row.pk}")]
        if may("contacts.import_contactlist"):
            found.insert(0, Link("Import a file", self.url("upload", row.pk), "primary"))
        if may("contacts.view_segment"):
            found.append(
                Link("Segments", reverse("admin:contacts_segment_changelist") + f"?contact_list__id__exact={row.pk}")
            )
        if may("contacts.change_contact"):
            found.append(Link("Add a contact", self.url("add_contact", row.pk)))
        if may("messaging.add_batch"):
            found.append(Link("Write to this list", reverse("admin:messaging_batch_add") + f"?lists={row.pk}"))
        return found

    # --- saving goes through the verbs ----------------------------------------------------------------------------
    def save_model(self, request: HttpRequest, obj: ContactList, form: ListForm, change: bool) -> None:
        given = form.cleaned_data
        values = {"name": obj.name, "tags": given["tag_words"], "meta": obj.meta or {}}
        if change:
            keeping.change_list(ContactList.objects.get(pk=obj.pk), version=given["seen"], **values)
            return
        made = keeping.create_list(unit=obj.unit, account=obj.account, **values)
        obj.pk, obj.uuid, obj.created_at = made.pk, made.uuid, made.created_at

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        for formset in formsets:
            formset.save(commit=False)  # only tells the history what changed
            if not formset.has_changed():
                continue
            kept = [
                each.instance for each in formset.forms if each.has_changed() or each.instance.pk
                if each not in formset.deleted_forms
            ]  # fmt: skip
            kept.sort(key=lambda field: (field.position, field.pk or 0))
            fields = [RemoteField(f.type, f.name, f.display_name, f.required, f.unique) for f in kept]
            keeping.change_list(ContactList.objects.get(pk=form.instance.pk), fields=fields)

    # --- deeds ------------------------------------------------------------------------------------------------------
    @deed("Plan a sync", permission="contacts.sync_contactlist")
    def plan_sync(self, request: HttpRequest, row: ContactList) -> HttpResponse:
        run = sync.plan(row, actor=who(request))
        return redirect("admin:contacts_syncrun_change", run.pk)

    @deed(
        "Remove the list",
        permission="contacts.delete_contactlist",
        tone="danger",
        question=lambda row: [
            f"The list and its {plural(row.people or 0, 'contact', 'contacts')} are removed, here and at the provider.",
            "The messages written to them and what was said about consent stay.",
            "This cannot be undone.",
        ],
    )
    def remove(self, request: HttpRequest, row: ContactList) -> HttpResponse:
        name = row.name
        keeping.remove_list(row)
        messages.success(request, f"The list {name} is removed.")
        return redirect(self.url("changelist"))
