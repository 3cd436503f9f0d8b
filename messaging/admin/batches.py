"""Batches in the admin: the list, and what may be done with one, each asked about in exact numbers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import formats, timezone
from unfold.decorators import display

from messaging import controls
from messaging.admin.compose import ComposePage, EditPage, MeasurePage
from messaging.admin.watch import BatchPage, NumbersPage, messages_url
from messaging.admin.words import BATCH_TONES, TAGS, how_many
from messaging.controls.resending import failed
from messaging.forms import CountForm
from messaging.models import Batch
from messaging.statuses import MOVES, BatchState, MessageState
from smsportal import clock, doorbell, phones
from smsportal.accounts.pages import PortalAdmin
from smsportal.accounts.parts import Deed, Fact, Link, OwnRowsFilter, deed, who

SEND = "messaging.send_batch"
APPROVE = "messaging.approve_batch"


def _in(action: str) -> Any:
    return lambda batch: batch.state in MOVES[action]


def _before_start(batch: Batch) -> list[str]:
    texts = how_many(batch)
    later = batch.send_at and batch.send_at > clock.now()
    when = f"on {formats.date_format(timezone.localtime(batch.send_at), 'DATETIME_FORMAT')}" if later else "at once"
    return [
        f"{texts:,} texts leave {when} from {phones.display(batch.sender)}.",
        "Whoever opts out before their text leaves is left out.",
        "You can pause or cancel while it runs; texts that have left cannot be called back.",
    ]


def _before_resume(batch: Batch) -> list[str]:
    counts = batch.counts()
    waiting = counts[MessageState.READY] + counts[MessageState.HELD]
    return [f"{waiting:,} texts still wait; they leave from now on."]


def _before_cancel(batch: Batch) -> list[str]:
    if batch.state in MOVES["edit"]:
        return ["Nothing has been sent. The batch is closed and cannot be started any more."]
    counts = batch.counts()
    waiting = counts[MessageState.READY] + counts[MessageState.HELD]
    under_way = counts[MessageState.CLAIMED] + counts[MessageState.SUBMITTING]
    return [
        f"{waiting:,} texts that wait are not sent, for good.",
        f"{under_way:,} are being handed over at this moment and may still leave.",
        f"{counts[MessageState.ACCEPTED]:,} have left already and cannot be called back.",
    ]


def _before_retry(batch: Batch) -> list[str]:
    return [
        f"{failed(batch).count():,} texts that were refused or did not arrive are sent once more.",
        "Texts that arrived, that are unknown, or whose person opted out are not touched.",
    ]


@admin.register(Batch)
class BatchAdmin(PortalAdmin):
    """The sendings."""

    change_page = BatchPage
    intro = (
        "A batch is one text to one or more lists. Write it, look at the preview, submit it, start it, and watch it go."
    )
    empty_title = "Nothing was sent yet"
    empty_text = "Choose “Add batch” to write your first one. Nothing leaves before you have seen the preview."
    list_display = ("name", "unit", "stands", "recipients", "send_at", "started_at", "author")
    list_filter = ("state", ("unit", OwnRowsFilter), "single")
    list_select_related = ("unit", "author")
    search_fields = ("name", "text")
    deeds = ("submit", "approve", "reject", "start", "pause", "resume", "retry_failed", "cancel")
    pages = (ComposePage, EditPage, MeasurePage, NumbersPage)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("unit", "account", "author", "submitter", "approver")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        return ComposePage.as_view(model_admin=self)(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # what was sent stays known

    @display(
        description="State",
        ordering="state",
        label={BatchState(state).label: TAGS[tone] for state, tone in BATCH_TONES.items()},
    )
    def stands(self, batch: Batch) -> str:
        return BatchState(batch.state).label

    def facts(self, request: HttpRequest, row: Batch) -> list[Fact]:
        found = [
            Fact("State", BatchState(row.state).label, BATCH_TONES[row.state]),
            Fact("From", phones.display(row.sender) if row.sender.startswith("+") else row.sender),
            Fact("Unit", row.unit),
            Fact("Written by", row.author or "a program"),
        ]
        if row.approver:
            found.append(Fact("Approved by", row.approver))
        if row.send_at:
            found.append(Fact("Send at", row.send_at))
        for label, at in (("Started", row.started_at), ("Finished", row.finished_at)):
            if at:
                found.append(Fact(label, at))
        return found

    def links(self, request: HttpRequest, row: Batch) -> list[Link]:
        may = who(request).has_perm
        found = []
        if row.recipients:
            found.append(Link("Messages", messages_url(row)))
        if row.state in MOVES["edit"] and may("messaging.change_batch"):
            found.append(Link("Edit", self.url("edit", row.pk)))
        return found

    def possible(self, request: HttpRequest, row: Batch) -> list[Deed]:
        """Nobody is offered to approve their own batch."""
        mine = request.user.pk in {row.author_id, row.submitter_id}
        return [each for each in super().possible(request, row) if not (mine and each.name in {"approve", "reject"})]

    # --- moves ------------------------------------------------------------------------------------------------------
    @deed("Submit", permission=SEND, tone="primary", when=_in("submit"))
    def submit(self, request: HttpRequest, batch: Batch) -> str:
        controls.submit(batch, actor=who(request))
        if batch.state == BatchState.PENDING_APPROVAL:
            return "Submitted. It is large, so a colleague who may approve batches must look at it first."
        return "Submitted. It is ready to be started."

    @deed("Approve", permission=APPROVE, tone="primary", when=_in("approve"))
    def approve(self, request: HttpRequest, batch: Batch) -> str:
        controls.approve(batch, actor=who(request))
        return "Approved, exactly as shown here. It is ready to be started."

    @deed("Send it back", permission=APPROVE, tone="danger", when=_in("reject"))
    def reject(self, request: HttpRequest, batch: Batch) -> str:
        controls.reject(batch, actor=who(request))
        return "Sent back. Its author may edit and submit it again."

    @deed("Start", permission=SEND, tone="primary", form=CountForm, question=_before_start, when=_in("start"))
    def start(self, request: HttpRequest, batch: Batch, **_: Any) -> str:
        controls.start(batch, actor=who(request))
        doorbell.ring("composing")
        return "Started."

    @deed("Pause", permission=SEND, when=_in("pause"))
    def pause(self, request: HttpRequest, batch: Batch) -> str:
        controls.pause(batch, actor=who(request))
        return "Paused. Requests on their way are finished; nothing more leaves until you resume it."

    @deed("Resume", permission=SEND, tone="primary", question=_before_resume, when=_in("resume"))
    def resume(self, request: HttpRequest, batch: Batch) -> str:
        controls.resume(batch, actor=who(request))
        doorbell.ring("composing")
        doorbell.ring("sending")
        return "Resumed."

    @deed(
        "Send what failed again",
        permission=SEND,
        question=_before_retry,
        when=lambda batch: batch.state in MOVES["retry-failed"] and failed(batch).exists(),
    )
    def retry_failed(self, request: HttpRequest, batch: Batch) -> str:
        controls.retry_failed(batch, actor=who(request))
        doorbell.ring("sending")
        return "What failed is being sent again."

    @deed("Cancel the batch", permission=SEND, tone="danger", question=_before_cancel, when=_in("cancel"))
    def cancel(self, request: HttpRequest, batch: Batch) -> str:
        controls.cancel(batch, actor=who(request))
        return "Cancelled."
