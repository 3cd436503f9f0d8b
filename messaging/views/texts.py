"""The API calls of templates and senders."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef, Subquery
from rest_framework.request import Request
from rest_framework.response import Response

from messaging import senders, templating
from messaging.filters import SenderFilter, TemplateFilter
from messaging.models import Sender, Template, TemplateVersion
from messaging.serializers.texts import (
    RefreshedSerializer,
    RefreshSerializer,
    SenderSerializer,
    TemplateBodySerializer,
    TemplateChangeSerializer,
    TemplateSerializer,
)
from smsportal.accounts.serializers import owner
from smsportal.api.rights import Call
from smsportal.api.views import View, version_asked


class Templates(View):
    """Texts with placeholders, kept under a name."""

    model = Template
    serializer_class = TemplateSerializer
    filterset_class = TemplateFilter
    orderings = {"name": ("name", "id"), "-created_at": ("-created_at", "-id")}
    calls = {
        "list": Call("messaging.view_template", "sends:read"),
        "retrieve": Call("messaging.view_template", "sends:read"),
        "create": Call("messaging.add_template", "sends:create", TemplateBodySerializer, status=201),
        "partial_update": Call("messaging.change_template", "sends:create", TemplateChangeSerializer),
    }

    def rows(self) -> Any:
        newest = TemplateVersion.objects.filter(template=OuterRef("pk")).order_by("-version")
        return (
            super()
            .rows()
            .select_related("unit")
            .annotate(
                newest_text=Subquery(newest.values("text")[:1]), newest_version=Subquery(newest.values("version")[:1])
            )
            .exclude(newest_version=None)
        )

    def create(self, request: Request, **_: Any) -> Response:
        """Keep a new template."""
        given = self.given()
        unit = owner(self.actor, given.pop("unit", None))
        made = templating.create_template(actor=self.actor, unit=unit, **given)
        return self.answer(self.rows().get(pk=made.pk))

    def partial_update(self, request: Request, **_: Any) -> Response:
        """Rename it or give it a new wording; with If-Match only if its version is still the one named."""
        template = self.get_object()
        given = self.given()
        templating.change_template(template, actor=self.actor, version=version_asked(request), **given)
        return self.answer(self.rows().get(pk=template.pk))


class Senders(View):
    """The numbers and names texts may come from."""

    model = Sender
    serializer_class = SenderSerializer
    filterset_class = SenderFilter
    orderings = {"address": ("address", "id")}
    calls = {
        "list": Call("messaging.view_sender", "sends:read"),
        "refresh": Call(
            "messaging.change_sender", "sends:create", RefreshSerializer, gives=RefreshedSerializer, asks_provider=True
        ),
    }

    def rows(self) -> Any:
        return Sender.objects.filter(account__is_active=True).select_related("account").defer("account__secrets")

    def refresh(self, request: Request, **_: Any) -> Response:
        """Ask the provider which numbers an operator may send from."""
        given = self.given()
        return self.answer({"results": senders.refresh(given["account"], operator=given["operator"])})
