"""Batches in the admin: the list, and what may be done with one, each asked about in exact numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from unfold.decorators import display

from messaging import controls
from messaging.admin.compose import ComposePage, EditPage, MeasurePage
from messaging.admin.outcome import OutcomeFile, OutcomePage
from messaging.admin.previews import PAGES as PREVIEW_PAGES
from messaging.admin.previews import differences
from messaging.admin.questions import (
    STANDING,
    before_cancel,
    before_closing,
    before_correct,
    before_resending,
    before_resume,
    before_retry,
    before_start,
    reached,
    refuse_second,
    unstarted,
)
from messaging.admin.refusals import why_not
from messaging.admin.watch import BatchPage, NumbersPage, messages_url, undo_s
from messaging.admin.words import BATCH_TONES, SCHEDULED, TAGS, how_many, standing
from messaging.forms.deeds import CorrectionForm, RetryForm, StartForm
from messaging.models import Batch
from messaging.statuses import MOVES, BatchState, MessageState
from smsportal import doorbell, phones
from smsportal.accounts.pages import PortalAdmin
from smsportal.accounts.parts import Deed, Fact, Link, OwnRowsFilter, deed, who
from smsportal.problems import Changed
from smsportal.text import plural

SEND = "messaging.send_batch"
APPROVE = "messaging.approve_batch"
SETTLING = ("close_unknown", "resend_unknown")
SECOND = ("approve", "reject", "resend_unknown")  # what takes a second person


def _in(action: str) -> Any:
    return lambda batch: action in controls.possible(batch)


def _has_unknown(batch: Batch) -> bool:
    return batch.messages.filter(state=MessageState.UNKNOWN).exists()


@admin.register(Batch)
class BatchAdmin(PortalAdmin):
    """The sendings."""

    change_page = BatchPage
    intro = (
        "A batch is one text to one or more lists. Write it, look at the preview, submit it, start it, and watch it go."
    )
    empty_title = "Nothing was sent yet"
    empty_text = "Choose “Write a batch” to begin your first one. Nothing leaves before you have seen the preview."
    list_display = ("name", "unit", "stands", "texts", "send_at", "started_at", "author")
    list_filter = ("state", ("unit", OwnRowsFilter), "single")
    list_select_related = ("unit", "author")
    search_fields = ("name", "text")
    deeds = (
        "submit", "approve", "reject", "start", "undo", "pause", "resume", "retry_failed", "correct",
        "close_unknown", "resend_unknown", "cancel",
    )  # fmt: skip
    pages = (ComposePage, EditPage, MeasurePage, *PREVIEW_PAGES, NumbersPage, OutcomePage, OutcomeFile)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("unit", "account", "author", "submitter", "approver")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        return ComposePage.as_view(model_admin=self)(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # what was sent stays known

    @display(
        description="State",
        ordering="state",
        label={SCHEDULED: "info", **{BatchState(state).label: TAGS[tone] for state, tone in BATCH_TONES.items()}},
    )
    def stands(self, batch: Batch) -> str:
        return standing(batch)

    @display(description="Texts", ordering="recipients")
    def texts(self, batch: Batch) -> str:
        return f"{number:,}" if (number := batch.recipients or how_many(batch)) else "-"

    def facts(self, request: HttpRequest, row: Batch) -> list[Fact]:
        found = [
            Fact("State", standing(row), BATCH_TONES[row.state]),
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

    def list_links(self, request: HttpRequest) -> list[Link]:
        may = who(request).has_perm("messaging.add_batch")
        return [Link("Write a batch", self.url("compose"), "primary")] if may else []

    def links(self, request: HttpRequest, row: Batch) -> list[Link]:
        may = who(request).has_perm
        found = []
        if row.recipients:
            found += [Link("Messages", messages_url(row)), Link("Who got it", self.url("outcome", row.pk))]
        if row.corrects_id:
            found.append(Link("What it corrects", self.url("change", row.corrects_id)))
        for each in row.corrections.order_by("pk") if row.state in STANDING else ():
            found.append(Link(f"Its correction: {BatchState(each.state).label.lower()}", self.url("change", each.pk)))
        if row.state in MOVES["edit"] and may("messaging.change_batch"):
            found.append(Link("Edit", self.url("edit", row.pk)))
        return found

    def possible(self, request: HttpRequest, row: Batch) -> list[Deed]:
        """Nobody is offered to approve or send again their own batch; a correction says how many would get it."""
        people = reached(row)
        hidden = {"correct"} if not people or unstarted(row) else set()
        found = []
        for each in super().possible(request, row):
            if each.name in hidden or (each.name in SECOND and row.is_of(request.user)):
                continue
            label = f"Send a correction to {people}" if each.name == "correct" else each.label
            found.append(replace(each, label=label))
        return found

    def why_not(self, request: HttpRequest, row: Batch, wanted: Deed) -> str:
        return why_not(row, wanted.name, who(request))

    def overview(self, request: HttpRequest, row: Batch) -> dict[str, Any]:
        """Facts, links and deeds at the top; what stands beside its cause elsewhere on the page is not said twice."""
        found = super().overview(request, row)
        settling = [(each, url) for each, url in found["deeds"] if each.name in SETTLING]
        elsewhere = {*SETTLING, "undo"} if undo_s(row) else set(SETTLING)
        found["deeds"] = [(each, url) for each, url in found["deeds"] if each.name not in elsewhere]
        return {**found, "settling": settling}

    # --- moves ------------------------------------------------------------------------------------------------------
    @deed("Submit", permission=SEND, tone="primary", when=_in("submit"))
    def submit(self, request: HttpRequest, batch: Batch) -> str:
        controls.submit(batch, actor=who(request))
        if batch.state == BatchState.PENDING_APPROVAL:
            return "Submitted. It is large, so a colleague who may approve batches must look at it first."
        return "Submitted. It is ready to be started."

    @deed("Approve", permission=APPROVE, tone="primary", when=_in("approve"))
    def approve(self, request: HttpRequest, batch: Batch) -> str:
        try:
            controls.approve(batch, actor=who(request), seen=request.POST.get("seen") or None)
        except Changed as changed:
            raise Changed(f"{changed.detail} {differences(request.POST.get('terms', ''), batch)}".strip()) from None
        return "Approved, exactly as shown here. It is ready to be started."

    @deed("Send it back", permission=APPROVE, tone="danger", when=_in("reject"))
    def reject(self, request: HttpRequest, batch: Batch) -> str:
        controls.reject(batch, actor=who(request))
        return "Sent back. Its author may edit and submit it again."

    @deed("Start", permission=SEND, tone="primary", form=StartForm, question=before_start, when=_in("start"))
    def start(self, request: HttpRequest, batch: Batch, count: str = "", seen: str = "") -> str:
        typed = int(count) if count else None
        asked = {"undo_s": settings.UNDO_SECONDS, "typed": typed, "seen": seen or None}
        controls.start(batch, actor=who(request), late=True, **asked)  # the page has said so
        doorbell.ring("composing")
        return "Started."

    @deed("Undo the start", permission=SEND, when=_in("undo"))
    def undo(self, request: HttpRequest, batch: Batch) -> str:
        controls.undo(batch, actor=who(request))
        return "The start is undone. Nothing has left."

    @deed("Pause", permission=SEND, when=_in("pause"))
    def pause(self, request: HttpRequest, batch: Batch) -> str:
        controls.pause(batch, actor=who(request))
        return "Paused. Requests on their way are finished; nothing more leaves until you resume it."

    @deed("Resume", permission=SEND, tone="primary", question=before_resume, when=_in("resume"))
    def resume(self, request: HttpRequest, batch: Batch) -> str:
        controls.resume(batch, actor=who(request))
        doorbell.ring("composing")
        doorbell.ring("sending")
        return "Resumed."

    @deed(
        "Send what failed again",
        permission=SEND,
        form=RetryForm,
        question=before_retry,
        when=lambda batch: (
            "retry-failed" in controls.possible(batch) and any(each.again for each in controls.failure_classes(batch))
        ),
    )
    def retry_failed(self, request: HttpRequest, batch: Batch, classes: list[str]) -> str:
        controls.retry_failed(batch, actor=who(request), classes=classes)
        doorbell.ring("sending")
        return "What failed for these reasons is being sent again."

    @deed(
        "Write the correction",
        permission=SEND,
        form=CorrectionForm,
        question=before_correct,
        when=lambda batch: batch.state in STANDING,
    )
    def correct(self, request: HttpRequest, batch: Batch, text: str, token: str) -> HttpResponseBase:
        refuse_second(batch, token)
        made = controls.correct(batch, actor=who(request), text=text, token=token)
        notes.success(request, "The correction is written. Nothing has left: look at the preview, then submit it.")
        return redirect(self.url("change", made.pk))

    @deed("Close all of them", permission=SEND, question=before_closing, when=_has_unknown)
    def close_unknown(self, request: HttpRequest, batch: Batch) -> str:
        return f"{plural(controls.resolve_unknowns(batch, actor=who(request), resend=False), 'text is', 'texts are')} closed."

    @deed(
        "Send all of them again",
        permission=APPROVE,
        tone="danger",
        question=before_resending,
        when=lambda batch: batch.state != BatchState.CANCELLED and _has_unknown(batch),
    )
    def resend_unknown(self, request: HttpRequest, batch: Batch) -> str:
        number = controls.resolve_unknowns(batch, actor=who(request), resend=True)
        doorbell.ring("sending")
        return f"{plural(number, 'text is', 'texts are')} being sent again."

    @deed("Cancel the batch", permission=SEND, tone="danger", question=before_cancel, when=_in("cancel"))
    def cancel(self, request: HttpRequest, batch: Batch) -> str | HttpResponseBase:
        controls.cancel(batch, actor=who(request))
        if not batch.recipients:
            return "Cancelled. Nothing has left."
        going = batch.messages.filter(state=MessageState.SUBMITTING).count()
        rest = f" but what is being handed over at this moment: {plural(going, 'text', 'texts')}" if going else ""
        notes.success(request, f"Cancelled. Nothing more leaves{rest}.")
        return redirect(self.url("outcome", batch.pk))
