"""The API calls of batches: draft, preview, submit, approve, start, steer, watch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from messaging import composing, controls
from messaging.filters import BatchFilter, MessageFilter
from messaging.models import Batch, Message
from messaging.serializers.batches import (
    BatchBodySerializer,
    BatchChangeSerializer,
    BatchSerializer,
    PreviewSerializer,
    RetrySerializer,
)
from messaging.serializers.messages import MessageSerializer
from messaging.tallies import tally
from smsportal import doorbell
from smsportal.accounts.serializers import owner
from smsportal.api.rights import Call
from smsportal.api.views import View, version_asked

_SEND = Call("messaging.send_batch", "sends:create")
_APPROVE = Call("messaging.approve_batch", "sends:approve")


class Batches(View):
    """Sendings: lists × text × sender × time. Texts to one number are not listed here."""

    model = Batch
    serializer_class = BatchSerializer
    filterset_class = BatchFilter
    calls = {
        "list": Call("messaging.view_batch", "sends:read"),
        "retrieve": Call("messaging.view_batch", "sends:read"),
        "create": Call("messaging.add_batch", "sends:create", BatchBodySerializer, status=201),
        "partial_update": Call("messaging.change_batch", "sends:create", BatchChangeSerializer),
        "preview": Call("messaging.view_batch", "sends:read", gives=PreviewSerializer),
        "submit": _SEND,
        "approve": _APPROVE,
        "reject": _APPROVE,
        "start": _SEND,
        "pause": _SEND,
        "resume": _SEND,
        "cancel": _SEND,
        "retry_failed": Call("messaging.send_batch", "sends:create", RetrySerializer),
    }

    def rows(self) -> Any:
        seen = super().rows().filter(single=False) if self.action == "list" else super().rows()
        related = ("unit", "account", "template_version__template", "author", "submitter", "approver")
        return seen.select_related(*related).defer("account__secrets").prefetch_related("lists")

    def context_for(self, rows: Sequence[Any]) -> dict[str, Any]:
        return {"tallies": tally(row for row in rows if isinstance(row, Batch))}

    def create(self, request: Request, **_: Any) -> Response:
        """Make a draft. Nothing is sent before it is submitted and started."""
        given = self.given()
        lists = given.get("lists", [])
        unit = given.pop("unit", None) or (lists[0].unit if lists else None)
        return self._now(controls.create(actor=self.actor, unit=owner(self.actor, unit), **given))

    def partial_update(self, request: Request, **_: Any) -> Response:
        """Change a batch that has not begun; it is a draft again. With If-Match only the revision named."""
        batch = self.get_object()
        revision = version_asked(request)
        return self._now(controls.edit(batch, actor=self.actor, revision=revision, **self.given()))

    def preview(self, request: Request, **_: Any) -> Response:
        """What would become of the audience, sample texts, segments and warnings. Changes nothing."""
        return self.answer(composing.preview(self.get_object()))

    def submit(self, request: Request, **_: Any) -> Response:
        """Say that the draft is ready. A small batch is approved by that, a large one waits for a colleague."""
        return self._moved(controls.submit)

    def approve(self, request: Request, **_: Any) -> Response:
        """Let a colleague's batch go as it was submitted."""
        return self._moved(controls.approve)

    def reject(self, request: Request, **_: Any) -> Response:
        """Send a colleague's batch back."""
        return self._moved(controls.reject)

    def start(self, request: Request, **_: Any) -> Response:
        """Begin to prepare and send an approved batch, now or at its `send_at`."""
        return self._moved(controls.start, "composing")

    def pause(self, request: Request, **_: Any) -> Response:
        """Let nothing more leave."""
        return self._moved(controls.pause)

    def resume(self, request: Request, **_: Any) -> Response:
        """Go on where it was paused."""
        return self._moved(controls.resume, "composing", "sending")

    def cancel(self, request: Request, **_: Any) -> Response:
        """Send nothing more for good."""
        return self._moved(controls.cancel)

    def retry_failed(self, request: Request, **_: Any) -> Response:
        """Send again what failed in a finished batch, or only what failed with the error codes named."""
        return self._moved(controls.retry_failed, "sending", classes=self.given()["classes"])

    def _moved(self, verb: Callable[..., Batch], *lanes: str, **more: Any) -> Response:
        batch = verb(self.get_object(), actor=self.actor, **more)
        for lane in lanes:
            doorbell.ring(lane)
        return self._now(batch)

    def _now(self, batch: Batch) -> Response:
        return self.answer(self.rows().get(pk=batch.pk))


class BatchMessages(View):
    """The texts of one batch."""

    model = Message
    serializer_class = MessageSerializer
    filterset_class = MessageFilter
    orderings = {"id": ("id",)}
    calls = {"list": Call("messaging.view_message", "sends:read")}

    def rows(self) -> Any:
        batch = self.parent(Batch.objects.visible_to(self.request.user))
        return batch.messages.select_related("batch", "contact", "number").prefetch_related("receipts")
