"""The page of one batch: before it begins what it would do, afterwards what becomes of it, live."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone

from messaging.admin.words import WATERFALL, sentence
from messaging.composing import previewing
from messaging.models import Batch
from messaging.statuses import DELIVERY_TITLES, BatchState, MessageState, Reason
from smsportal import clock, phones
from smsportal.accounts.pages import Page
from smsportal.problems import Problem
from smsportal.providers.base import Delivery

BEFORE = (BatchState.DRAFT, BatchState.PENDING_APPROVAL, BatchState.APPROVED, BatchState.REJECTED)
AT_WORK = (BatchState.EXPANDING, BatchState.RUNNING)
WAITING = (MessageState.HELD, MessageState.READY, MessageState.CLAIMED, MessageState.SUBMITTING)
MOST_ROWS = 10
MOST_REASONS = 12


class BatchPage(Page):
    """One batch, by its state: preview or watch."""

    template = "admin/messaging/batch_watch.html"
    row: Batch

    def get(self, request: HttpRequest) -> HttpResponse:
        if self.row.state in BEFORE or (self.row.state == BatchState.CANCELLED and not self.row.recipients):
            return self.preview_page(request)
        return self.watch_page(request)

    def preview_page(self, request: HttpRequest) -> HttpResponse:
        """What it would do. Nothing is written, so a refresh shows the lists as they are now."""
        problem, seen = None, None
        try:
            seen = previewing.preview(self.row)
        except Problem as found:
            problem = found
        return self.show(
            request,
            template="admin/messaging/batch_preview.html",
            title=self.row.name,
            batch=self.row,
            preview=seen,
            problem=problem,
            fall=as_rows(seen.waterfall) if seen else [],
            samples=[(phones.display(each.to), each) for each in seen.samples] if seen else [],
            is_mine=request.user.pk in {self.row.author_id, self.row.submitter_id},
        )

    def watch_page(self, request: HttpRequest) -> HttpResponse:
        rows = self.row.messages.select_related("number", "contact").order_by("-updated_at")
        return self.show(
            request,
            title=self.row.name,
            batch=self.row,
            watch=numbers(self.row),
            at_work=self.row.state in AT_WORK,
            later=self.row.state == BatchState.EXPANDING and self.row.send_at and self.row.send_at > clock.now(),
            fall=as_rows(self.row.waterfall or {}),
            numbers_url=self.admin.url("numbers", self.row.pk),
            messages_url=messages_url(self.row),
            latest=[(each, phones.display(each.number.e164), sentence(each)) for each in rows[:MOST_ROWS]],
        )


class NumbersPage(Page):
    """The figures of the watch page, for its script."""

    where = "<path:object_id>/numbers/"
    name = "numbers"
    row: Batch

    def get(self, request: HttpRequest) -> JsonResponse:
        return JsonResponse(numbers(self.row))


def messages_url(batch: Batch) -> str:
    """The batch's messages, to be filtered further."""
    return reverse("admin:messaging_message_changelist") + f"?batch__id__exact={batch.pk}"


def as_rows(fall: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Key, sentence and count of each step of a waterfall, steps nobody falls at left out but the first and the last."""
    always = {"audience", "will_send"}
    return [(key, said, fall.get(key, 0)) for key, said in WATERFALL if key in always or fall.get(key, 0)]


def numbers(batch: Batch) -> dict[str, Any]:
    """Everything the watch page counts, from two grouped queries. The states always sum up to the recipients."""
    groups = list(batch.messages.order_by().values_list("state", "delivery").annotate(n=Count("id")))
    states = {state: sum(n for each, _, n in groups if each == state) for state in MessageState.values}
    delivery = {rank: sum(n for state, each, n in groups if each == rank and state == MessageState.ACCEPTED)
                for rank, _ in DELIVERY_TITLES}  # fmt: skip
    total = sum(states.values())
    arrived = delivery[Delivery.DELIVERED] + delivery[Delivery.READ]
    failed = delivery[Delivery.FAILED] + states[MessageState.REJECTED]
    unknown = states[MessageState.UNKNOWN]
    unclear = states[MessageState.UNKNOWN] + states[MessageState.WRITTEN_OFF]
    waiting = sum(states[state] for state in WAITING)
    parts = {"arrived": arrived, "going": states[MessageState.ACCEPTED] - arrived - delivery[Delivery.FAILED],
             "unclear": unclear, "failed": failed}  # fmt: skip
    return {
        "state": batch.state,
        "state_title": BatchState(batch.state).label,
        "problem": batch.problem,
        "stopped": stopped(batch) if waiting or batch.state == BatchState.EXPANDING else "",
        "total": total,
        "waiting": waiting,
        "left": total - waiting - states[MessageState.SKIPPED],
        "skipped": states[MessageState.SKIPPED],
        "unknown": unknown,
        **parts,
        "bar": {name: percent(n, total) for name, n in parts.items()},
        "states": [(state, MessageState(state).label, n) for state, n in states.items()],
        "delivery": [(int(rank), str(title), delivery[rank]) for rank, title in DELIVERY_TITLES],
        "reasons": reasons(batch),
        "pace": pace(batch, total - waiting - states[MessageState.SKIPPED], waiting),
    }


def percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def reasons(batch: Batch) -> list[tuple[str, int]]:
    """Why texts did not leave or arrive, the most frequent first."""
    bad = batch.messages.filter(state__in=[MessageState.SKIPPED, MessageState.REJECTED])
    failed = batch.messages.filter(state=MessageState.ACCEPTED, delivery=Delivery.FAILED)
    found: dict[str, int] = {}
    for rows in (bad, failed):
        counted = rows.order_by().values_list("reason", "error_text", "error_code").annotate(n=Count("id"))
        for reason, text, code, n in counted.order_by("-n")[:MOST_REASONS]:
            why = text or code or (Reason(reason).label if reason else "The provider gave no reason")
            found[why] = found.get(why, 0) + n
    return sorted(found.items(), key=lambda each: -each[1])[:MOST_REASONS]


def stopped(batch: Batch) -> str:
    """Why nothing leaves although the batch runs, and what happens next; nothing when texts leave."""
    account = batch.account
    if batch.state not in AT_WORK:
        return ""
    if not account.is_active:
        return f"{account} is switched off. Nothing leaves until an administrator switches it on again."
    if account.circuit_open:
        why = account.circuit_reason.rstrip(".") or "the provider does not answer as it should"
        return f"Nothing leaves at the moment: {why}. {account} is asked again every half minute; then it goes on by itself."
    if account.paused_until and account.paused_until > clock.now():
        return f"The provider asked for a break until {timezone.localtime(account.paused_until):%H:%M:%S}; then it goes on by itself."
    return ""


def pace(batch: Batch, left: int, waiting: int) -> str:
    """How fast it goes and about how long it still takes; nothing while nothing can be said."""
    if batch.state not in AT_WORK or not batch.started_at or not left or not waiting:
        return ""
    seconds = max((clock.now() - batch.started_at).total_seconds(), 1.0)
    rate = left / seconds
    minutes = math.ceil(waiting / rate / 60)
    return f"{rate:,.1f} texts a second, about {minutes:,} more minute{'s' if minutes != 1 else ''}"
