"""The API calls of batches: draft, preview, submit, approve, start, steer, watch, put right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from contacts.models import PhoneNumber
from messaging import composing, controls
from messaging.filters import BatchFilter, MessageFilter
from messaging.models import Batch, Message
from messaging.serializers.batches import (
    BatchBodySerializer,
    BatchChangeSerializer,
    BatchSerializer,
    CorrectSerializer,
    FailuresSerializer,
    RetrySerializer,
    SeenSerializer,
    StartSerializer,
    TestSendSerializer,
)
from messaging.serializers.messages import MessageSerializer, ResolveSerializer
from messaging.serializers.previews import PreviewBodySerializer, PreviewSerializer, parts_of
from messaging.serializers.recipients import recipients_csv
from messaging.statuses import Got
from messaging.tallies import tally
from messaging.views.messages import APPROVE, SEND
from smsportal import doorbell, phones
from smsportal.accounts.serializers import owner
from smsportal.api.queries import refuse_unknown
from smsportal.api.rights import Call
from smsportal.api.views import View, version_asked
from smsportal.problems import Wrong


class Batches(View):
    """Sendings: lists and segments × text × sender × time. Texts to one number are not listed here."""

    model = Batch
    serializer_class = BatchSerializer
    filterset_class = BatchFilter
    calls = {
        "list": Call("messaging.view_batch", "sends:read"),
        "retrieve": Call("messaging.view_batch", "sends:read"),
        "create": Call("messaging.add_batch", "sends:create", BatchBodySerializer, status=201),
        "partial_update": Call("messaging.change_batch", "sends:create", BatchChangeSerializer),
        "preview": Call(
            "messaging.view_batch", "sends:read", PreviewBodySerializer, gives=PreviewSerializer, walks=True
        ),
        "submit": Call(*SEND, walks=True),
        "approve": Call(*APPROVE, SeenSerializer, walks=True),
        "reject": Call(*APPROVE),
        "start": Call(*SEND, StartSerializer, walks=True),
        "undo": Call(*SEND),
        "pause": Call(*SEND),
        "resume": Call(*SEND),
        "cancel": Call(*SEND, paged=True),
        "retry_failed": Call(*SEND, RetrySerializer, paged=True),
        "resolve": Call((SEND[0], APPROVE[0]), "sends:create", ResolveSerializer, paged=True),
        "correct": Call("messaging.add_batch", "sends:create", CorrectSerializer, status=201),
        "test_send": Call(*SEND, TestSendSerializer, gives=MessageSerializer, status=202),
        "failures": Call("messaging.view_message", "sends:read", gives=FailuresSerializer),
        "recipients": Call("messaging.view_message", "sends:read", file=True),
    }

    def rows(self) -> Any:
        seen = super().rows().filter(single=False) if self.action == "list" else super().rows()
        related = ("unit", "account", "template_version__template", "author", "submitter", "approver", "corrects")
        return seen.select_related(*related).defer("account__secrets").prefetch_related("lists", "segments")

    def context_for(self, rows: Sequence[Any]) -> dict[str, Any]:
        return {"tallies": tally(row for row in rows if isinstance(row, Batch))}

    def create(self, request: Request, **_: Any) -> Response:
        """Make a draft. Nothing is sent before it is submitted and started."""
        given = self.given()
        sources = [*given.get("lists", []), *given.get("segments", [])]
        unit = given.pop("unit", None) or (sources[0].unit if sources else None)
        return self._now(controls.create(actor=self.actor, unit=owner(self.actor, unit), **given))

    def partial_update(self, request: Request, **_: Any) -> Response:
        """Change a batch that has not begun; it is a draft again. With If-Match only the revision named."""
        batch = self.get_object()
        revision = version_asked(request)
        return self._now(controls.edit(batch, actor=self.actor, revision=revision, **self.given()))

    def preview(self, request: Request, **_: Any) -> Response:
        """What would become of the audience, sample texts, segments and warnings. Changes nothing."""
        batch, to = self.get_object(), self.given().get("to")
        controls.refuse_hidden(batch, self.actor)
        seen = composing.preview(batch)
        return self.answer(parts_of(seen, composing.preview_for(batch, to) if to else None))

    def submit(self, request: Request, **_: Any) -> Response:
        """Say that the draft is ready. A small batch is approved by that, a large one waits for a colleague."""
        batch = self.get_object()
        found = controls.before_submit(batch)
        return self.effect(lambda: self._now(controls.submit(batch, actor=self.actor, found=found)))

    def approve(self, request: Request, **_: Any) -> Response:
        """Let a colleague's batch go as it was submitted."""
        batch, seen = self.get_object(), self.given().get("snapshot")
        found = controls.before_approve(batch, actor=self.actor, seen=seen)
        return self.effect(lambda: self._now(controls.approve(batch, actor=self.actor, seen=seen, found=found)))

    def reject(self, request: Request, **_: Any) -> Response:
        """Send a colleague's batch back."""
        return self._moved(controls.reject)

    def start(self, request: Request, **_: Any) -> Response:
        """Begin to prepare and send an approved batch, now or at its `send_at`, at the earliest after `undo_s` seconds."""
        batch, given = self.get_object(), self.given()
        asked = {"undo_s": given["undo_s"], "typed": given.get("typed"), "seen": given.get("snapshot")}
        asked["late"] = given["late"]
        found = controls.before_start(batch, **asked)

        def begin() -> Response:
            controls.start(batch, actor=self.actor, found=found, **asked)
            doorbell.ring("composing")
            return self._now(batch)

        return self.effect(begin)

    def undo(self, request: Request, **_: Any) -> Response:
        """Take a start back while nothing of it is prepared; it is approved again."""
        return self._moved(controls.undo)

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

    def resolve(self, request: Request, **_: Any) -> Response:
        """Settle all texts nobody knows the fate of. Sending again takes an approver who did not write the batch."""
        resend = self.given()["resend"]
        self.need(*(APPROVE if resend else SEND))
        batch = self.get_object()
        controls.resolve_unknowns(batch, actor=self.actor, resend=resend)
        doorbell.ring("sending")
        return self._now(batch)

    def correct(self, request: Request, **_: Any) -> Response:
        """A new draft to those who got the text of this batch, or may have got it, and to nobody else."""
        return self._now(controls.correct(self.get_object(), actor=self.actor, **self.given()))

    def test_send(self, request: Request, **_: Any) -> Response:
        """Send the text to oneself as a real recipient would get it. It counts nowhere in the batch."""
        given = self.given()
        sample = _sample(given["sample"]) if "sample" in given else None
        batch = self.get_object()
        controls.refuse_hidden(batch, self.actor)
        message = controls.test_send(batch, actor=self.actor, to=given["to"], sample=sample)
        doorbell.ring("sending")
        return self.answer(message)

    def failures(self, request: Request, **_: Any) -> Response:
        """Why texts failed, in plain words, with what to do and whether sending them again makes sense."""
        return self.answer({"results": [each._asdict() for each in controls.failure_classes(self.get_object())]})

    @extend_schema(
        responses={(200, "text/csv"): OpenApiTypes.STR},
        parameters=[OpenApiParameter("group", enum=Got.values, description="Only these people; all when not given.")],
    )
    def recipients(self, request: Request, **_: Any) -> StreamingHttpResponse:
        """Who got the text, may have got it, did not: everyone of the batch as CSV, however many."""
        refuse_unknown(request, ["group"])
        batch = self.get_object()
        lines = recipients_csv(batch, request.query_params.get("group", ""))
        answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="recipients-{batch.uuid}.csv"'
        return answer

    def _moved(self, verb: Callable[..., Batch], *lanes: str, **more: Any) -> Response:
        batch = verb(self.get_object(), actor=self.actor, **more)
        for lane in lanes:
            doorbell.ring(lane)
        return self._now(batch)

    def _now(self, batch: Batch) -> Response:
        return self.answer(self.rows().get(pk=batch.pk))


def _sample(number: str) -> int:
    """The id of the recipient with this number, however it is written."""
    try:
        e164 = phones.to_e164(number)
    except phones.BadNumber as bad:
        raise Wrong(bad.message, errors={"sample": [bad.message]}) from bad
    found = PhoneNumber.objects.filter(e164=e164).values_list("pk", flat=True).first()
    if found is None:
        sentence = f"{phones.display(e164)} is in no list; name a number that would get this text."
        raise Wrong(sentence, errors={"sample": [sentence]})
    return found


class BatchMessages(View):
    """The texts of one batch."""

    model = Message
    serializer_class = MessageSerializer
    filterset_class = MessageFilter
    orderings = {"id": ("id",)}
    calls = {"list": Call("messaging.view_message", "sends:read")}

    def rows(self) -> Any:
        batch = self.parent(Batch.objects.visible_to(self.request.user))
        return batch.messages.select_related("batch", "contact", "number", "chunk").prefetch_related("receipts")
