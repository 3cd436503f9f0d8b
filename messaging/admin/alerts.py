"""What staff must be told although nobody asked: shown on the first page and on the batch until somebody has seen it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from unfold.decorators import display

from messaging import guarding
from messaging.models import Alert
from messaging.models.alert import AlertKind
from smsportal.accounts.pages import Page, PortalAdmin
from smsportal.accounts.parts import Fact, Link, OwnRowsFilter, deed, who


class SeenFilter(admin.SimpleListFilter):
    """Alerts somebody has seen, or nobody yet."""

    title = "seen"
    parameter_name = "seen"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Not seen"), ("yes", "Seen")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        return queryset.filter(seen_at__isnull=self.value() == "no") if self.value() else queryset


class AlertPage(Page):
    """One alert: what happened, what to do, and who has seen it."""

    template = "admin/messaging/alert.html"
    row: Alert

    def get(self, request: HttpRequest) -> Any:
        return self.show(request, title=self.row.get_kind_display(), alert=self.row)


@admin.register(Alert)
class AlertAdmin(PortalAdmin):
    """Alerts, the newest first."""

    change_page = AlertPage
    intro = "What the portal found wrong by itself, and what to do about it. An alert stays on the first page until somebody has seen it."
    empty_title = "No alerts"
    empty_text = "When many texts of a batch fail or are unknown, many people opt out, a batch is overdue or a draft again, it is told here."
    list_display = ("kind_shown", "about", "said", "created_at", "seen_at", "seen_by")
    list_filter = ("kind", ("unit", OwnRowsFilter), SeenFilter)
    list_select_related = ("batch", "seen_by")
    deeds = ("seen",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("batch", "seen_by", "unit")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="Alert", ordering="kind", label={AlertKind(kind).label: "danger" for kind in AlertKind.values})
    def kind_shown(self, row: Alert) -> str:
        return str(row.get_kind_display())

    @display(description="Batch", ordering="batch")
    def about(self, row: Alert) -> str:
        return str(row.batch) if row.batch else "-"

    @display(description="What happened")
    def said(self, row: Alert) -> str:
        return row.told

    def facts(self, request: HttpRequest, row: Alert) -> list[Fact]:
        found = [Fact("Unit", row.unit), Fact("Raised", row.created_at)]
        if row.seen_at:
            found += [Fact("Seen", row.seen_at), Fact("By", row.seen_by or "somebody who is gone")]
        return found

    def links(self, request: HttpRequest, row: Alert) -> list[Link]:
        url = reverse("admin:messaging_batch_change", args=[row.batch_id]) if row.batch_id else ""
        return [Link("The batch", url, "primary")] if url else []

    @deed("I have seen it", permission="messaging.send_batch", when=lambda alert: alert.seen_at is None)
    def seen(self, request: HttpRequest, alert: Alert) -> str:
        guarding.see(alert, actor=who(request))
        return "Noted that you have seen it."
