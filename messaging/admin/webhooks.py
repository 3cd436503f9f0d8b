"""Reports from providers in the admin: the raw calls, each element with its fate, processing again, the addresses."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from messaging import addresses, events
from messaging.models import CallState, ItemState, WebhookCall, WebhookEndpoint, WebhookItem
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.accounts.pages import Page, PortalAdmin
from smsportal.accounts.parts import Fact, Link, OwnRowsFilter, deed, who
from smsportal.mirror.admin import as_pretty_json
from smsportal.problems import Conflict

MOST_ITEMS = 200
ITEM_LABELS = {
    ItemState.NEW.label: "info",
    ItemState.APPLIED.label: "success",
    ItemState.UNMATCHED.label: "warning",
    ItemState.UNRECOGNISED.label: "warning",
    ItemState.CONFLICT.label: "danger",
    ItemState.PARKED.label: "danger",
}
ITEM_TONES = {"info": "info", "success": "good", "warning": "warn", "danger": "bad"}


def pretty(body: bytes | memoryview) -> str:
    """A raw body as people can read it: JSON laid out, anything else as it came."""
    text = bytes(body).decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


class ReadOnly(PortalAdmin):
    """Kept as it came."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class CallPage(Page):
    """One raw call and what became of each of its elements."""

    template = "admin/messaging/webhook_call.html"
    row: WebhookCall

    def get(self, request: HttpRequest) -> HttpResponse:
        items = self.row.items.select_related("message")[:MOST_ITEMS]
        return self.show(
            request,
            title=str(self.row),
            call=self.row,
            body=pretty(self.row.body),
            headers=as_pretty_json(self.row.headers),
            items=[(each, ITEM_TONES[ITEM_LABELS[ItemState(each.state).label]]) for each in items],
        )


@admin.register(WebhookCall)
class WebhookCallAdmin(ReadOnly):
    """The raw calls."""

    change_page = CallPage
    intro = "Every report a provider sent, exactly as it came, and what it changed. Nothing is ever thrown away."
    empty_title = "No provider has reported anything yet"
    empty_text = (
        "Reports arrive when texts are sent. If they should and do not, check the webhook address at the provider."
    )
    list_display = ("created_at", "account", "stands", "elements", "deliveries", "problem")
    list_filter = ("state", ("account", OwnRowsFilter))
    list_select_related = ("account",)
    search_fields = ("sha256",)
    search_help_text = "The fingerprint of a body"
    deeds = ("replay",)

    def get_queryset(self, request: HttpRequest) -> Any:
        counted = WebhookItem.objects.filter(call=OuterRef("pk")).order_by().values("call").annotate(n=Count("pk"))
        rows = super().get_queryset(request).select_related("account")
        return rows.annotate(n_items=Coalesce(Subquery(counted.values("n")), 0))

    @display(
        description="State",
        ordering="state",
        label={CallState.NEW.label: "info", CallState.DONE.label: "success", CallState.PARKED.label: "danger"},
    )
    def stands(self, row: WebhookCall) -> str:
        return CallState(row.state).label

    @display(description="Elements")
    def elements(self, row: Any) -> int:
        return int(row.n_items)

    def facts(self, request: HttpRequest, row: WebhookCall) -> list[Fact]:
        tones = {CallState.NEW: "info", CallState.DONE: "good", CallState.PARKED: "bad"}
        found = [
            Fact("State", CallState(row.state).label, tones[CallState(row.state)]),
            Fact("From", row.account),
            Fact("Received", row.created_at),
            Fact("Times received", row.deliveries),
        ]
        if row.problem:
            found.append(Fact("Problem", row.problem, "bad"))
        return found

    @deed("Process again", permission="messaging.replay_webhookcall", tone="primary")
    def replay(self, request: HttpRequest, row: WebhookCall) -> str:
        told = events.replay([row])
        if told.busy:
            raise Conflict("A worker is reading this call at this moment; try again in a minute.")
        return "Processed again. What had been applied before stays applied, once."


@admin.register(WebhookItem)
class WebhookItemAdmin(ReadOnly):
    """The elements of the calls."""

    intro = "One row per piece of news. “Not understood” and “belongs to nothing we know” are kept and can be processed again."
    empty_title = "No news yet"
    empty_text = "Each element of a provider's report becomes a row here."
    list_display = ("created_at", "kind", "stands", "effect", "problem", "repeats", "account")
    list_filter = ("state", ("account", OwnRowsFilter))
    list_select_related = ("account",)
    search_fields = ("key",)
    fields = ("account", "kind", "state", "effect", "problem", "key", "repeats", "message", "number", "laid_out")
    readonly_fields = ("laid_out",)

    @display(description="State", ordering="state", label=ITEM_LABELS)
    def stands(self, row: WebhookItem) -> str:
        return ItemState(row.state).label

    @display(description="As it came")
    def laid_out(self, row: WebhookItem) -> str:
        return format_html('<pre class="raw">{}</pre>', as_pretty_json(row.raw))

    def links(self, request: HttpRequest, row: WebhookItem) -> list[Link]:
        return [Link("The whole call", reverse("admin:messaging_webhookcall_change", args=[row.call_id]))]


class NewAddressPage(Page):
    """Makes an address for a provider to report to, and shows it once."""

    where = "new/"
    name = "new"
    template = "admin/messaging/webhook_address.html"
    permission = "messaging.add_webhookendpoint"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.form_page(request)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        account = ProviderAccount.objects.filter(pk=request.POST.get("account") or 0).first()
        if account is None:
            messages.error(request, "Choose the account the address is for.")
            return self.form_page(request)
        address = addresses.new_endpoint(account, rotate=bool(request.POST.get("rotate")))
        return self.form_page(request, address=address, account=account)

    def form_page(self, request: HttpRequest, **more: Any) -> HttpResponse:
        accounts = ProviderAccount.objects.filter(is_active=True)
        return self.show(request, title="Make a webhook address", accounts=accounts, **more)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnly):
    """The addresses given to providers."""

    intro = "The secret addresses providers report to. Only a fingerprint is kept; an address is shown once, when it is made."
    empty_title = "No provider has an address to report to"
    empty_text = (
        "Make one and enter it at the provider; without it, delivery reports come only for each send by itself."
    )
    list_display = ("account", "hint", "created_at", "retired_at")
    list_select_related = ("account",)
    fields = ("account", "hint", "created_at", "retired_at")
    deeds = ("retire",)
    pages = (NewAddressPage,)

    def list_links(self, request: HttpRequest) -> list[Link]:
        may = who(request).has_perm("messaging.add_webhookendpoint")
        return [Link("Make an address", self.url("new"), "primary")] if may else []

    @deed(
        "Retire the address",
        permission="messaging.delete_webhookendpoint",
        tone="danger",
        question=lambda row: ["Whatever the provider still sends to this address is refused from then on."],
        when=lambda row: row.retired_at is None,
    )
    def retire(self, request: HttpRequest, row: WebhookEndpoint) -> HttpResponse:
        WebhookEndpoint.objects.filter(pk=row.pk).update(retired_at=clock.now())
        messages.success(request, "The address is retired.")
        return redirect(self.url("changelist"))
