"""The API calls of webhook calls: what providers sent, what became of each element, and reading it again."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch
from rest_framework.request import Request
from rest_framework.response import Response

from messaging import events
from messaging.filters import WebhookCallFilter
from messaging.models import WebhookCall, WebhookItem
from messaging.serializers.webhooks import WebhookCallDetailSerializer, WebhookCallSerializer
from smsportal import doorbell
from smsportal.api.rights import Call
from smsportal.api.views import View
from smsportal.problems import Conflict


class WebhookCalls(View):
    """The raw calls of the providers. They concern all units, so only those who run the portal see them."""

    model = WebhookCall
    serializer_class = WebhookCallSerializer
    filterset_class = WebhookCallFilter
    calls = {
        "list": Call("messaging.view_webhookcall", "events:read"),
        "retrieve": Call("messaging.view_webhookcall", "events:read", gives=WebhookCallDetailSerializer),
        "replay": Call("messaging.replay_webhookcall", "events:write", gives=WebhookCallDetailSerializer),
    }

    def rows(self) -> Any:
        calls = WebhookCall.objects.select_related("account").defer("account__secrets")
        if self.action == "list":
            return calls.defer("body")
        items = WebhookItem.objects.select_related("message", "number").order_by("position")
        return calls.prefetch_related(Prefetch("items", items))

    def replay(self, request: Request, **_: Any) -> Response:
        """Read the call again with the code of today. What was applied stays applied, once."""
        call = self.get_object()
        done = events.replay([call])
        if done.busy:
            raise Conflict("A worker is reading this call just now; ask again in a moment.")
        doorbell.ring("hooks")
        return self.answer(self.rows().get(pk=call.pk))
