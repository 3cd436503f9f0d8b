"""Numbers in the admin: whether they may be texted, why, since when; opt-outs recorded and lifted with a reason."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.decorators import display

from contacts import consent
from contacts.admin.search import HELP, by_number
from contacts.forms import OptOutForm, ReasonForm
from contacts.models import ConsentEvent, ConsentKind, ConsentSource, Contact, PhoneNumber
from smsportal import phones
from smsportal.accounts.pages import Page, PortalAdmin
from smsportal.accounts.parts import Fact, Link, deed, who

MOST_SHOWN = 100


class NumberPage(Page):
    """One number: its state, everything that was said about it, and the lists it is in."""

    template = "admin/contacts/number.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        contacts = Contact.objects.visible_to(request.user).filter(number=self.row, removed_at=None)
        return self.show(
            request,
            title=phones.display(self.row.e164),
            events=self.row.consent_events.select_related("actor")[:MOST_SHOWN],
            contacts=contacts.select_related("contact_list")[:MOST_SHOWN],
        )


class OptOutPage(Page):
    """Records an opt-out that reached staff by phone, mail or at the desk."""

    where = "opt-out/"
    name = "opt_out"
    template = "admin/contacts/opt_out.html"
    permission = "contacts.add_consentevent"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show(request, title="Add an opt-out", form=OptOutForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = OptOutForm(request.POST)
        if not form.is_valid():
            return self.show(request, title="Add an opt-out", form=form)
        e164 = form.cleaned_data["phone_number"]
        number = PhoneNumber.objects.get(pk=consent.numbers_for([e164])[e164])
        consent.opt_out(number, source=ConsentSource.STAFF, actor=who(request), reason=form.cleaned_data["reason"])
        messages.success(request, f"{phones.display(e164)} is opted out: no batch texts it from now on.")
        return redirect(self.admin.url("change", number.pk))


@admin.register(PhoneNumber)
class PhoneNumberAdmin(PortalAdmin):
    """The numbers, and who of them opted out."""

    change_page = NumberPage
    intro = "Whether a number may be texted. An opt-out counts for every list, unit and provider at once."
    empty_title = "No numbers yet"
    empty_text = "Numbers come with the first import. To record an opt-out before that, choose “Add an opt-out”."
    list_display = ("number", "state", "consent_at", "created_at")
    list_filter = ("opted_out", "staff_block")
    search_fields = ("e164",)
    search_help_text = HELP
    deeds = ("opt_out", "lift")
    pages = (OptOutPage,)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return by_number(queryset, search_term, number="e164"), False

    def list_links(self, request: HttpRequest) -> list[Link]:
        if not who(request).has_perm("contacts.add_consentevent"):
            return []
        return [Link("Add an opt-out", self.url("opt_out"), "primary")]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="Number", ordering="e164")
    def number(self, row: PhoneNumber) -> str:
        return phones.display(row.e164)

    @display(description="May be texted", ordering="opted_out", label={"Yes": "success", "No: opted out": "danger"})
    def state(self, row: PhoneNumber) -> str:
        return "No: opted out" if row.opted_out else "Yes"

    def facts(self, request: HttpRequest, row: PhoneNumber) -> list[Fact]:
        found = [
            Fact("Number", phones.display(row.e164)),
            Fact("May be texted", self.state(row), "bad" if row.opted_out else "good"),
        ]
        if row.consent_at:
            found.append(Fact("Since", row.consent_at))
        if row.staff_block:
            found.append(Fact("Blocked by staff", "Only staff can lift it", "warn"))
        return found

    @deed(
        "Opt out",
        permission="contacts.add_consentevent",
        tone="danger",
        form=ReasonForm,
        question=lambda row: [f"No batch texts {phones.display(row.e164)} any more, whichever list it is in."],
        when=lambda row: not row.opted_out,
    )
    def opt_out(self, request: HttpRequest, row: PhoneNumber, *, reason: str) -> str:
        consent.opt_out(row, source=ConsentSource.STAFF, actor=who(request), reason=reason)
        return f"{phones.display(row.e164)} is opted out."

    @deed(
        "Lift the opt-out",
        permission="contacts.change_phonenumber",
        form=ReasonForm,
        question=lambda row: [
            f"{phones.display(row.e164)} may be texted again. Do this only when the person asked for it.",
            "If the carrier or the provider blocks the number too, the person must text START to our number.",
        ],
        when=lambda row: row.opted_out,
    )
    def lift(self, request: HttpRequest, row: PhoneNumber, *, reason: str) -> str:
        consent.lift(row, actor=who(request), reason=reason)
        return f"{phones.display(row.e164)} may be texted again."


@admin.register(ConsentEvent)
class ConsentEventAdmin(PortalAdmin):
    """The history of consent: read only, for good."""

    intro = "Everything anybody said about texting a number: who, when, from where. Nothing here is ever changed."
    empty_title = "Nobody opted out or in yet"
    empty_text = "Replies like STOP, reports of the provider and what staff record appear here by themselves."
    list_display = ("phone", "said", "source", "at", "actor", "reason")
    list_filter = ("kind", "source")
    list_select_related = ("number", "actor")
    search_fields = ("number__e164",)
    search_help_text = HELP
    fields = ("number", "kind", "source", "at", "actor", "reason", "evidence", "created_at")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return by_number(queryset, search_term), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="Number", ordering="number__e164")
    def phone(self, row: ConsentEvent) -> str:
        return phones.display(row.number.e164)

    @display(description="Said", label={ConsentKind.OUT.label: "danger", ConsentKind.IN.label: "success"})
    def said(self, row: ConsentEvent) -> str:
        return ConsentKind(row.kind).label
