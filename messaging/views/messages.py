"""The API calls of one text: sending it, looking at it, settling it when nobody knows its fate."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from messaging import controls
from messaging.models import Message
from messaging.serializers.messages import MessageBodySerializer, MessageSerializer, ResolveSerializer
from smsportal import doorbell
from smsportal.accounts.serializers import owner
from smsportal.api.rights import Call
from smsportal.api.views import View

SEND, APPROVE = ("messaging.send_batch", "sends:create"), ("messaging.approve_batch", "sends:approve")


class Messages(View):
    """One text to one number."""

    model = Message
    serializer_class = MessageSerializer
    calls = {
        "retrieve": Call("messaging.view_message", "sends:read"),
        "create": Call("messaging.send_batch", "sends:create", MessageBodySerializer, status=202),
        "resolve": Call((SEND[0], APPROVE[0]), "sends:create", ResolveSerializer),
    }

    def rows(self) -> Any:
        return super().rows().select_related("batch", "contact", "number", "chunk").prefetch_related("receipts")

    def create(self, request: Request, **_: Any) -> Response:
        """Send one text. The answer comes before it leaves; ask for the message to see what became of it."""
        given = self.given()
        unit = owner(self.actor, given.pop("unit", None))
        message = controls.send_single(actor=self.actor, unit=unit, **given)
        doorbell.ring("sending")
        return self.answer(self.rows().get(pk=message.pk))

    def resolve(self, request: Request, **_: Any) -> Response:
        """Settle a text nobody knows the fate of. Sending again takes an approver who did not write the batch."""
        message, resend = self.get_object(), self.given()["resend"]
        self.need(*(APPROVE if resend else SEND))
        controls.resolve_unknown(message, actor=self.actor, resend=resend)
        doorbell.ring("sending")
        return self.answer(self.rows().get(pk=message.pk))
