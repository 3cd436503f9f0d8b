"""The page of a batch that has not begun: who gets which text and who does not, what is approved, a test to oneself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import uuid4
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils import formats

from messaging import composing, controls
from messaging.admin.words import how_many, sentence, waterfall
from messaging.composing.previewing import has_sources, survey, what_changed
from messaging.composing.waterfalls import INVALID
from messaging.controls.checking import NO_LIST
from messaging.forms import ToMyselfForm
from messaging.models import Batch, Message
from messaging.statuses import BatchState
from smsportal import clock, doorbell, phones
from smsportal.accounts.models import IdempotencyKey, User
from smsportal.accounts.pages import Page
from smsportal.accounts.parts import who
from smsportal.problems import Problem, Wrong
from smsportal.text import clean

SUBMITTED: Final = (BatchState.PENDING_APPROVAL, BatchState.APPROVED)
PEOPLE_A_PAGE: Final = 50
# Findings whose people stand at a step of the waterfall.
_STEP_OF: Final = {"expires": "expired", **{code: code for code in ("blank", "too_long", "capped", "quiet_hours")}}
# What is to be known of a step of a batch whose texts are written.
_NOTES: Final = {
    "audience": "Every number once; who stands in the lists twice is listed under that line.",
    "duplicates": "By the lists as they are now: they may have changed since the texts were prepared.",
}


class Step(NamedTuple):
    """One line of the waterfall; `part` is a reason within the step above it, `sign` what it does to the sum."""

    said: str
    number: int
    url: str
    sign: str = ""
    part: bool = False
    last: bool = False


def preview_page(page: Page, request: HttpRequest) -> HttpResponse:
    """What the batch of `page` would do. Nothing is written, so a refresh shows the lists as they are now."""
    batch: Batch = page.row
    problem, hidden, seen, digest = _surveyed(batch, who(request))
    listless = not has_sources(batch)
    if listless and batch.state in (BatchState.DRAFT, BatchState.REJECTED):
        problem = Wrong(NO_LIST)
    stale = batch.state in SUBMITTED and seen is not None and digest != batch.snapshot
    overview = page.admin.overview(request, batch)
    deeds, verdicts = overview["deeds"], {"reject"} if stale or hidden else {"approve", "reject"}
    elsewhere = {"approve", "reject", "start"} if stale else {"approve", "reject"}
    return page.show(
        request,
        template="admin/messaging/batch_preview.html",
        title=batch.name,
        batch=batch,
        preview=seen,
        problem=problem,
        hidden=hidden,
        stale=what_changed(batch).rstrip(",") if stale else "",
        listless=listless,
        fall=list(steps(page, seen.waterfall, seen.invalid)) if seen else [],
        findings=[(each, _link(page, each.code)) for each in seen.findings] if seen else [],
        samples=[shown(each) for each in seen.samples] if seen else [],
        looked_up=look_up(batch, request) if seen else None,
        test=test_form(page, request) if seen else None,
        when=when(batch),
        texts=how_many(batch),
        sender=phones.display(batch.sender) if batch.sender.startswith("+") else batch.sender,
        is_mine=batch.is_of(request.user),
        verdicts=[each for each in deeds if each[0].name in verdicts],
        terms=json.dumps(terms(batch)),
        overview={**overview, "deeds": [each for each in deeds if each[0].name not in elsewhere]},
    )


def _surveyed(batch: Batch, person: User) -> tuple[Problem | None, bool, composing.Preview | None, str]:
    """What is wrong with `batch`, whether its people are hidden from `person`, and else what `survey` found."""
    try:
        controls.refuse_hidden(batch, person)
    except Wrong as wrong:
        return wrong, True, None, ""
    try:
        return None, False, *survey(batch)
    except Problem as problem:
        return problem, False, None, ""


def steps(page: Page, fall: Mapping[str, Any], invalid: Mapping[str, int] | None = None) -> Iterator[Step]:
    """The waterfall line by line, each leading to its people; steps nobody falls at are left out but the first and last.

    `invalid`: of those who cannot be written to, how many for which reason.
    """
    for key, said in waterfall(page.row):
        number = fall.get(key, 0)
        first, last = key == "audience", key == "will_send"
        if not (number or first or last):
            continue
        sign = "" if first or last or key == "quiet_hours" else "− "
        yield Step(said, number, people_url(page, key), sign, last=last)
        if key == "invalid":
            reasons = [(reason, (invalid or {}).get(str(reason), 0)) for reason in INVALID]
            for reason, part in [each for each in reasons if each[1]]:
                yield Step(reason.label, part, people_url(page, str(reason)), part=True)


def people_url(page: Page, step: str) -> str:
    return page.admin.url("people", page.row.pk, step)


def _link(page: Page, code: str) -> str:
    return people_url(page, _STEP_OF[code]) if code in _STEP_OF else ""


def shown(sample: composing.Sample) -> dict[str, Any]:
    """A sample as the page shows it."""
    return {"sample": sample, "to": phones.display(sample.to), "out": bool(sample.reason), "size": _size(sample)}


def _size(sample: composing.Sample) -> str:
    size = f"{sample.segments} segment{'' if sample.segments == 1 else 's'}, {len(sample.text):,} characters"
    return f"{size}, Unicode because of {' '.join(sample.culprits[:8])}" if sample.culprits else size


def look_up(batch: Batch, request: HttpRequest) -> dict[str, Any] | None:
    """What the person asked for in `?to=` would get, or why nobody is found; None when nobody was asked for."""
    asked = request.GET.get("to", "").strip()
    if not asked:
        return None
    try:
        return {"asked": asked, **shown(composing.preview_for(batch, asked))}
    except Wrong as nobody:
        return {"asked": asked, "problem": nobody.detail}


def test_form(page: Page, request: HttpRequest) -> dict[str, Any] | None:
    """The form of a test to oneself, for who may send."""
    person = who(request)
    if not person.has_perm("messaging.send_batch"):
        return None
    url = page.admin.url("test", page.row.pk)
    return {"form": ToMyselfForm(phone=person.phone), "url": url, "token": uuid4().hex}


def terms(batch: Batch) -> dict[str, str]:
    """What an approver says yes to, item by item, so that it can be told what became another."""
    return {
        "text": batch.text,
        "texts": f"{how_many(batch):,}",
        "to": ", ".join(map(str, [*batch.lists.all(), *batch.segments.all()])),
        "from": batch.sender,
        **{said.lower(): moment for said, moment in when(batch)},
        "answers go to": batch.operator or "nobody",
    }


def differences(shown: str, batch: Batch) -> str:
    """A sentence on what is another in `batch` than in the terms `shown` (as JSON) to somebody; blank for nothing."""
    try:
        before = json.loads(shown)
    except ValueError:
        return ""
    now = terms(batch)
    names = dict.fromkeys([*now, *before]) if isinstance(before, dict) else {}
    found = [
        f"{name} (it was “{clean(str(before.get(name, 'not set')), 200)}”, now “{clean(now.get(name, 'not set'), 200)}”)"
        for name in names
        if before.get(name) != now.get(name)
    ]
    return f"What changed: {'; '.join(found)}." if found else ""


def when(batch: Batch) -> list[tuple[str, str]]:
    """When it is sent and when no more, in the zone of its unit, which is named."""
    found = [("Sent", at(batch.send_at, batch) if batch.send_at else "as soon as it is started")]
    if (
        batch.send_at
        and batch.send_at <= clock.now()
        and batch.state not in (BatchState.REJECTED, BatchState.CANCELLED)
    ):
        found = [("Sent", f"as soon as it is started; {at(batch.send_at, batch)} has passed")]
    if batch.expires_at:
        found.append(("Not after", at(batch.expires_at, batch)))
    return found


def at(moment: datetime, batch: Batch) -> str:
    """`moment` on the clocks of the batch's unit."""
    there = moment.astimezone(ZoneInfo(batch.unit.time_zone))
    return f"{formats.date_format(there, 'DATETIME_FORMAT')} ({batch.unit.time_zone.replace('_', ' ')})"


class PeoplePage(Page):
    """Those who fall at one step of the waterfall, page by page, each with the reason and the remedy.

    Once its texts are written, they tell who fell there and what became of them since; of those who stood in the lists
    twice, who get no text of their own, only the lists can tell.
    """

    where = "<path:object_id>/people/<slug:step>/"
    name = "people"
    template = "admin/messaging/people.html"
    permission = "messaging.view_batch"
    row: Batch

    def get(self, request: HttpRequest, step: str) -> HttpResponse:
        after = key(request.GET.get("after", "")) or 0
        fallen = composing.fallen(self.row, step) if self.row.recipients else None
        if fallen is None:
            controls.refuse_hidden(self.row, who(request))
        return self.show(
            request,
            **(fallers(self.row, step, after) if fallen is None else fates(fallen, after)),
            note=_NOTES.get(step, "") if self.row.recipients else "",
            title=f"{self.row}: {composing.STEPS[step]}",
            said=composing.STEPS[step],
            begun=after > 0,
            back=self.after(request),
            overview={},
        )


def fallers(batch: Batch, step: str, after: int) -> dict[str, Any]:
    """Those who fall at `step` by the lists as they are now, and where the next page of them begins."""
    found = composing.people(batch, step, after, PEOPLE_A_PAGE)
    return {"entries": [(each, phones.display(each.to)) for each in found.entries], "after": found.after}


def fates(fallen: QuerySet[Message], after: int) -> dict[str, Any]:
    """What became of those who fell at a step, and where the next page of them begins."""
    rows = fallen.filter(number__gt=after).select_related("number", "contact", "chunk")
    found = list(rows[: PEOPLE_A_PAGE + 1])
    shown_now = found[:PEOPLE_A_PAGE]
    return {
        "fates": [(each, phones.display(each.number.e164), sentence(each)) for each in shown_now],
        "after": shown_now[-1].number_id if len(found) > PEOPLE_A_PAGE else None,
    }


class TestPage(Page):
    """Sends the text to oneself, once for each time the form is shown."""

    where = "<path:object_id>/test/"
    name = "test"
    permission = "messaging.send_batch"
    row: Batch

    def get(self, request: HttpRequest) -> HttpResponseBase:
        return redirect(self.after(request))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        controls.refuse_hidden(self.row, who(request))
        sample = key(request.POST.get("sample", ""))
        to = request.POST.get("to", "")
        with transaction.atomic():
            if first_time(request):
                message = controls.test_send(self.row, actor=who(request), to=to, sample=sample)
                doorbell.ring("sending")
                shown_to = phones.display(message.number.e164)
                messages.success(request, f"A test is on its way to {shown_to}. It counts nowhere in this batch.")
        return redirect(self.after(request))


def key(given: str) -> int | None:
    """The key of a row that an address or a form names; None for what can be none in either database."""
    return int(given) if given.isascii() and given.isdigit() and len(given) < 18 else None


def first_time(request: HttpRequest) -> bool:
    """Whether the form with this token is sent for the first time; call it in the transaction of what it does."""
    token = request.POST.get("token", "")[:64]
    if not token:
        return True
    # A key of the API has no blank in it, so the two never meet.
    once = {"user": who(request), "key": f"form {token}"}
    return IdempotencyKey.objects.get_or_create(**once, defaults={"fingerprint": "", "status": 200})[1]


PAGES: Final = (PeoplePage, TestPage)
