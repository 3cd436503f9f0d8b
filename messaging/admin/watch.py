"""The page of one batch: before it begins what it would do, afterwards what becomes of it, live."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse

from messaging import controls
from messaging.admin import figures, minutes
from messaging.admin.previews import preview_page, steps
from messaging.admin.words import is_scheduled, sentence
from messaging.models import Alert, Batch, Message
from messaging.statuses import BatchState, ChunkState
from smsportal import clock, phones
from smsportal.accounts.pages import Page
from smsportal.accounts.parts import who

BEFORE = (BatchState.DRAFT, BatchState.PENDING_APPROVAL, BatchState.APPROVED, BatchState.REJECTED)
MOST_ROWS = 10
COUNTDOWN_S: Final = 120  # a start that can be undone for longer waits for its time; nobody counts its seconds
KEEP_S: Final = 1.0  # all who watch a batch are told the same for so long
COST: Final = 10  # and for so many times as long as it took to count, so that counting never fills the machine


class BatchPage(Page):
    """One batch, by its state: preview or watch."""

    template = "admin/messaging/batch_watch.html"
    row: Batch

    def get(self, request: HttpRequest) -> HttpResponse:
        if self.row.state in BEFORE or (self.row.state == BatchState.CANCELLED and not self.row.recipients):
            return preview_page(self, request)
        return self.watch_page(request)

    def watch_page(self, request: HttpRequest) -> HttpResponse:
        batch = self.row
        seen = look(batch) if batch.recipients <= minutes.SMALL else kept(batch).seen
        alerts = list(batch.alerts.filter(seen_at=None).select_related("batch"))
        return self.show(
            request,
            title=batch.name,
            batch=batch,
            watch=seen.numbers,
            parts=seen.parts,
            live=is_live(seen.numbers),
            refresh_s=refresh_s(batch, seen.numbers),
            undo_s=undo_s(batch),
            undo_url=self.admin.url("do", batch.pk, "undo"),
            may_undo=who(request).has_perm("messaging.send_batch"),
            later=is_scheduled(batch),
            alerts=alerts,
            told=is_told(batch, alerts),
            fall=list(steps(self, batch.waterfall or {})),
            numbers_url=self.admin.url("numbers", batch.pk),
            messages_url=messages_url(batch),
        )


def is_told(batch: Batch, alerts: list[Alert]) -> bool:
    """Whether one of `alerts` says what is wrong with `batch`: that which paused it raised it in the same moment."""
    paused = batch.moved_at if batch.state == BatchState.PAUSED else None
    return any(each.text == batch.problem or (paused and each.created_at >= paused) for each in alerts)


class NumbersPage(Page):
    """The figures of the watch page, for its script: 304 while they are what it knows already."""

    where = "<path:object_id>/numbers/"
    name = "numbers"
    row: Batch

    def get(self, request: HttpRequest) -> HttpResponse:
        news = kept(self.row)
        if request.headers.get("If-None-Match") == news.tag:
            answer = HttpResponse(status=304)
        else:
            answer = HttpResponse(news.body, content_type="application/json")
        answer["ETag"] = news.tag
        answer["Cache-Control"] = "private, no-cache"
        return answer


class Look(NamedTuple):
    """What is to be seen of a batch at one moment: numbers, and ready-made parts of the page by name."""

    numbers: dict[str, Any]
    parts: dict[str, str]


class News(NamedTuple):
    """A look, as the script gets it, and its ETag."""

    seen: Look
    body: bytes
    tag: str


def look(batch: Batch) -> Look:
    """Count a batch now. The same for everybody who may see it."""
    shown = {
        "batch": batch,
        "scheduled": is_scheduled(batch),
        "series": minutes.series(batch),
        "reasons": figures.reasons(batch),
        "latest": [(each, phones.display(each.number.e164), sentence(each)) for each in latest(batch)],
        "messages_url": messages_url(batch),
    }
    # Stripped, because a part that is empty hides what stands around it.
    parts = {name: render_to_string(f"admin/messaging/watch/{name}.html", shown).strip() for name in PARTS}
    return Look(figures.numbers(batch), parts)


PARTS: Final = ("chart", "minutes", "reasons", "latest")


def kept(batch: Batch) -> News:
    """The newest look at a batch that is fresh enough: a hundred who watch are not a hundred who count."""
    key = f"watch:{batch.uuid}:{batch.state}"
    known: News | None = cache.get(key)
    if known is not None:
        return known
    began = time.perf_counter()
    seen = look(batch)
    body = json.dumps({**seen.numbers, "live": is_live(seen.numbers), "parts": seen.parts}).encode()
    made = News(seen, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    cache.set(key, made, max(KEEP_S, COST * (time.perf_counter() - began)))
    return made


def is_live(numbers: Mapping[str, Any]) -> bool:
    """Whether anything may still change by itself."""
    return bool(numbers["state"] in figures.UNDER_WAY or numbers["going"] or numbers["waiting"] or numbers["unknown"])


def refresh_s(batch: Batch, numbers: Mapping[str, Any]) -> int:
    """After how many seconds a browser without JavaScript loads the page again; 0: not at all."""
    if undo_s(batch):
        return 2
    if batch.state in figures.AT_WORK:
        return 5
    return 30 if is_live(numbers) else 0


def undo_s(batch: Batch) -> int:
    """The seconds left in which the start can be undone before texts leave at once; 0: none, or far more than people count."""
    if batch.leaves_at is None or "undo" not in controls.possible(batch):
        return 0
    left = math.ceil((batch.leaves_at - clock.now()).total_seconds())
    return left if left <= COUNTDOWN_S else 0


def latest(batch: Batch) -> list[Message]:
    """Some texts of which something became last. Of a large batch those of the last requests: sorting all takes seconds."""
    rows = batch.messages.select_related("number", "contact", "chunk")
    if batch.recipients <= minutes.SMALL:
        return list(rows.order_by("-updated_at")[:MOST_ROWS])
    sent = batch.chunks.filter(state__in=[ChunkState.ACCEPTED, ChunkState.REJECTED, ChunkState.UNKNOWN]).order_by("-id")
    return list(
        rows.filter(chunk__in=list(sent.values_list("pk", flat=True)[:MOST_ROWS])).order_by("-chunk", "-id")[:MOST_ROWS]
    )


def messages_url(batch: Batch) -> str:
    """The batch's messages, to be filtered further."""
    return reverse("admin:messaging_message_changelist") + f"?batch__id__exact={batch.pk}"
