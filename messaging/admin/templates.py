"""Templates and senders in the admin: wordings with their versions, and the numbers a provider lends us."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from unfold.decorators import display

from messaging import templating, wording
from messaging.forms import SendersForm, TemplateForm
from messaging.models import Sender, Template, TemplateVersion
from messaging.senders import refresh
from smsportal import phones
from smsportal.accounts.pages import Page, PortalAdmin
from smsportal.accounts.parts import Fact, Link, OwnRowsFilter, who
from smsportal.problems import Problem


class NewTemplatePage(Page):
    """A new template."""

    where = "write/"
    name = "write"
    template = "admin/messaging/template.html"
    permission = "messaging.add_template"
    row: Template | None

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.form_page(request, TemplateForm(request=request))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form = TemplateForm(request.POST, request=request)
        if form.is_valid():
            given = form.cleaned_data
            try:
                made = templating.create_template(
                    actor=who(request), unit=given["unit"], name=given["name"], text=given["text"]
                )
            except Problem as problem:
                form.blame(problem)
            else:
                messages.success(request, "Kept. It can be chosen when a batch is written.")
                return redirect(self.admin.url("change", made.pk))
        return self.form_page(request, form)

    def form_page(self, request: HttpRequest, form: TemplateForm) -> HttpResponse:
        versions = list(self.row.versions.select_related("author")) if self.row else []
        return self.show(
            request,
            title=str(self.row) if self.row else "Write a template",
            form=form,
            versions=versions,
            may_change=self.row is None or self.admin.has_change_permission(request, self.row),
            measure_url=measure_url(),
        )


class TemplatePage(NewTemplatePage):
    """A template: its newest wording to be changed, its earlier ones to be read. A new wording is a new version."""

    permission = ""
    row: Template

    def get(self, request: HttpRequest) -> HttpResponse:
        newest = self.row.newest()
        initial = {"name": self.row.name, "text": newest.text if newest else "", "version": newest and newest.version}
        return self.form_page(request, TemplateForm(request=request, fixed_unit=True, initial=initial))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form = TemplateForm(request.POST, request=request, fixed_unit=True)
        if self.admin.has_change_permission(request, self.row) and form.is_valid():
            try:
                templating.change_template(self.row, actor=who(request), **form.cleaned_data)
            except Problem as problem:
                form.blame(problem)
            else:
                messages.success(request, "Kept. Batches written before keep the wording they were written with.")
                return redirect(self.after(request))
        return self.form_page(request, form)


def measure_url() -> str:
    """Where the length of a text is asked."""
    return reverse("admin:messaging_batch_measure")


@admin.register(Template)
class TemplateAdmin(PortalAdmin):
    """The wordings kept under a name."""

    change_page = TemplatePage
    intro = "A template is a text you use again. Changing it makes a new version; batches keep the version they were written with."
    empty_title = "No template yet"
    empty_text = "Write one for every text you send more than once."
    list_display = ("name", "unit", "version", "begins", "fields_used", "updated_at")
    list_filter = (("unit", OwnRowsFilter),)
    list_select_related = ("unit",)
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> Any:
        newest = TemplateVersion.objects.filter(template=OuterRef("pk")).order_by("-version")
        rows = super().get_queryset(request).select_related("unit")
        return rows.annotate(number=Subquery(newest.values("version")[:1]), words=Subquery(newest.values("text")[:1]))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        return NewTemplatePage.as_view(model_admin=self)(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # batches were written with it

    @display(description="Version", ordering="number")
    def version(self, row: Any) -> int:
        return int(row.number or 0)

    @display(description="Text")
    def begins(self, row: Any) -> str:
        words = row.words or ""
        return f"{words[:60]}…" if len(words) > 60 else words

    @display(description="Fields it uses")
    def fields_used(self, row: Any) -> str:
        return ", ".join(name.replace("_", " ") for name in wording.placeholders(row.words or "")) or "none"

    def facts(self, request: HttpRequest, row: Template) -> list[Fact]:
        return [Fact("Unit", row.unit), Fact("Version", getattr(row, "number", 0) or 0)]


class RefreshPage(Page):
    """Asks a provider which numbers it lends us."""

    where = "refresh/"
    name = "refresh"
    template = "admin/messaging/senders.html"
    permission = "messaging.change_sender"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show(request, title="Ask the provider for its numbers", form=SendersForm())

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form = SendersForm(request.POST)
        if not form.is_valid():
            return self.show(request, title="Ask the provider for its numbers", form=form)
        found = refresh(form.cleaned_data["account"], operator=form.cleaned_data["operator"])
        messages.success(request, f"The provider lends us {len(found)} numbers; the list is up to date.")
        return redirect(self.after(request))


@admin.register(Sender)
class SenderAdmin(PortalAdmin):
    """The numbers and names to write from."""

    intro = "The numbers people see when a text arrives. They belong to the provider; ask for them when one was added there."
    empty_title = "No number to write from yet"
    empty_text = "Choose “Ask the provider” and the numbers of your account appear here."
    list_display = ("shown", "label", "description", "account", "operator", "refreshed_at")
    list_filter = (("account", OwnRowsFilter),)
    list_select_related = ("account",)
    search_fields = ("address", "label")
    fields = ("account", "address", "label", "description", "campaign_ids", "operator", "refreshed_at")
    pages = (RefreshPage,)

    def list_links(self, request: HttpRequest) -> list[Link]:
        may = who(request).has_perm("messaging.change_sender")
        return [Link("Ask the provider", self.url("refresh"), "primary")] if may else []

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="Number", ordering="address")
    def shown(self, row: Sender) -> str:
        return phones.display(row.address) if row.address.startswith("+") else row.address
