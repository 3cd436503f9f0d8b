"""Saved segments in the admin: conditions on the fields of a list, counted and shown before they are kept."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from unfold.decorators import display

from contacts import segments
from contacts.forms import SegmentForm, blame
from contacts.keeping import segments as keeping
from contacts.models import ContactList, Segment
from contacts.segments import TESTS
from smsportal import phones
from smsportal.accounts.pages import Page, PortalAdmin
from smsportal.accounts.parts import Fact, Link, OwnRowsFilter, deed, visible, who
from smsportal.problems import Problem

SPARE: Final = 2  # blank conditions below those there are
SAMPLES: Final = 5
NOTHING: Final = {"field": "", "test": "is", "value": ""}


def conditions_of(given: QueryDict) -> list[dict[str, str]]:
    """The conditions of the form, without the rows that were left blank."""
    rows = zip(given.getlist("field"), given.getlist("test"), given.getlist("value"), strict=False)
    return [{"field": field, "test": test, "value": value} for field, test, value in rows if field or value.strip()]


class NewSegmentPage(Page):
    """A new segment of a list; without a list it is asked for first."""

    where = "write/"
    name = "write"
    template = "admin/contacts/segment.html"
    permission = "contacts.add_segment"
    row: Segment | None

    def get(self, request: HttpRequest) -> HttpResponseBase:
        contact_list = self.contact_list(request)
        if contact_list is None:
            lists = visible(ContactList, request).order_by("name")
            return self.show(request, template="admin/contacts/segment_list.html", title="Add a segment", lists=lists)
        form = SegmentForm(initial={"name": self.row.name, "match": self.row.match} if self.row else None)
        return self.form_page(request, contact_list, form, self.row.conditions if self.row else [])

    def post(self, request: HttpRequest) -> HttpResponseBase:
        contact_list = self.contact_list(request)
        if contact_list is None:
            return redirect(self.admin.url("changelist"))
        form, conditions = SegmentForm(request.POST), conditions_of(request.POST)
        only_count = "count" in request.POST
        if only_count:
            form.fields["name"].required = False
        if form.is_valid() and not only_count:
            try:
                kept = self.keep(request, contact_list, form, conditions)
            except Problem as problem:
                blame(form, problem)
            else:
                messages.success(request, "Kept. It can be chosen when a batch is written.")
                return redirect(self.admin.url("change", kept.pk))
        return self.form_page(request, contact_list, form, conditions, counting=only_count)

    def contact_list(self, request: HttpRequest) -> ContactList | None:
        """The list the segment is of, or is to be of."""
        if self.row is not None:
            return self.row.contact_list
        chosen = request.GET.get("list", "")
        return visible(ContactList, request).filter(pk=chosen).first() if chosen.isdecimal() else None

    def keep(
        self, request: HttpRequest, contact_list: ContactList, form: SegmentForm, conditions: list[dict[str, str]]
    ) -> Segment:
        return keeping.create_segment(contact_list=contact_list, conditions=conditions, **form.cleaned_data)

    def form_page(
        self,
        request: HttpRequest,
        contact_list: ContactList,
        form: SegmentForm,
        conditions: list[dict[str, str]],
        *,
        counting: bool = False,
    ) -> HttpResponse:
        match = str(form["match"].value() or "all")
        mistakes, shown = [], {}
        if conditions and (counting or not form.is_bound):
            try:
                shown = self.counted(contact_list, match, conditions)
            except Problem as problem:
                mistakes = [sentence for found in problem.errors.values() for sentence in found]
        elif counting:
            mistakes = ["Add at least one condition to count."]
        return self.show(
            request,
            title=str(self.row.name) if self.row else f"Add a segment of {contact_list}",
            form=form,
            contact_list=contact_list,
            fields=[(field.name, field.display_name) for field in contact_list.schema()],
            tests=list(TESTS.items()),
            conditions=[*conditions, *[NOTHING] * SPARE],
            mistakes=mistakes,
            may_change=self.row is None or self.admin.has_change_permission(request, self.row),
            **shown,
        )

    def counted(self, contact_list: ContactList, match: str, conditions: list[dict[str, str]]) -> dict[str, Any]:
        """How many would be found, and the first of them."""
        counted = keeping.count(contact_list, match, conditions)
        rows = segments.found(contact_list, match, segments.refuse(contact_list, match, conditions))
        first = rows.select_related("number").order_by("number_id")[:SAMPLES]
        return {"counted": counted, "first": [(contact, phones.display(contact.number.e164)) for contact in first]}


class SegmentPage(NewSegmentPage):
    """A segment: whom it has now, and its conditions to be changed."""

    permission = ""
    row: Segment

    def post(self, request: HttpRequest) -> HttpResponseBase:
        if not self.admin.has_change_permission(request, self.row):
            return redirect(self.after(request))
        return super().post(request)

    def keep(
        self, request: HttpRequest, contact_list: ContactList, form: SegmentForm, conditions: list[dict[str, str]]
    ) -> Segment:
        return keeping.change_segment(self.row, conditions=conditions, **form.cleaned_data)


@admin.register(Segment)
class SegmentAdmin(PortalAdmin):
    """The saved segments."""

    change_page = SegmentPage
    intro = "A segment is part of a list, such as everyone whose major is Biology. Who that is, is found anew for each batch."
    empty_title = "No segment yet"
    empty_text = "Add one when you often write to the same part of a list."
    list_display = ("name", "contact_list", "asks", "unit", "updated_at")
    list_filter = (("contact_list", OwnRowsFilter),)
    list_select_related = ("contact_list", "unit")
    search_fields = ("name", "contact_list__name")
    deeds = ("remove",)
    pages = (NewSegmentPage,)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("contact_list", "unit")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        return NewSegmentPage.as_view(model_admin=self)(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the deed below asks the verb

    @display(description="Its contacts")
    def asks(self, row: Segment) -> str:
        return segments.in_words(row)

    def facts(self, request: HttpRequest, row: Segment) -> list[Fact]:
        where = reverse("admin:contacts_contactlist_change", args=[row.contact_list_id])
        return [Fact("List", row.contact_list, url=where), Fact("Unit", row.unit)]

    def links(self, request: HttpRequest, row: Segment) -> list[Link]:
        if not who(request).has_perm("messaging.add_batch"):
            return []
        return [Link("Write to this segment", reverse("admin:messaging_batch_add") + f"?segments={row.pk}", "primary")]

    @deed(
        "Remove the segment",
        permission="contacts.delete_segment",
        tone="danger",
        question=lambda row: [
            f"Only the conditions “{row.name}” are removed; its contacts stay in {row.contact_list}.",
            "While a batch that is submitted or being sent uses it, it stays.",
        ],
    )
    def remove(self, request: HttpRequest, row: Segment) -> HttpResponse:
        name = row.name
        keeping.remove_segment(row)
        messages.success(request, f"The segment {name} is removed.")
        return redirect(self.url("changelist"))
