"""Pauses a batch by itself when far too many of its texts fail or make people opt out, and tells staff why.

Only texts that left since the latest move of a person count: whoever resumes a paused batch has seen what was wrong,
and is not stopped again for the same texts.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, Sum

from contacts.models import ConsentEvent, ConsentKind, ConsentSource, PhoneNumber
from messaging.controls.recipients import REFUSED_OR_FAILED, failure_classes
from messaging.models import Alert, AlertKind, Attempt, Batch, Message
from messaging.sending.answers import Verdict
from messaging.statuses import BatchState
from smsportal import clock
from smsportal.accounts.models import User
from smsportal.text import clean

log = logging.getLogger(__name__)

# Answers after which the texts of a request have left, or were refused one by one.
_LEFT: Final = (Verdict.ACCEPTED, Verdict.UNKNOWN, Verdict.REJECTED)
# What people do themselves about a text; an opt-out that staff or a file enter is no answer to it.
_BY_THE_PERSON: Final = (ConsentSource.REPLY, ConsentSource.PROVIDER, ConsentSource.CARRIER)
_PAGE: Final = 2000


@dataclass(frozen=True, slots=True)
class Spike:
    """Too large a share of the texts that left."""

    kind: AlertKind
    number: int
    left: int
    why: str = ""

    def __str__(self) -> str:
        share = f"{self.number:,} of {self.left:,} texts that left ({100 * self.number // self.left} %)"
        if self.kind == AlertKind.OPT_OUTS:
            return (
                f"After {share} people opted out. Look whether it is the right text to the right people, "
                "then resume or cancel it."
            )
        reason = f", most often: {self.why}" if self.why else ""
        return f"{share} failed{reason}. Look at the reasons, then resume or cancel it."


def guard() -> int:
    """Pause every running batch whose failures or opt-outs spike, and raise an alert for each. Returns how many.

    A spike is more than PAUSE_AT_FAILED_PERCENT or PAUSE_AT_OPTED_OUT_PERCENT of at least PAUSE_AFTER texts that left
    since the batch was started, resumed or retried. Any number of guards may run at once.
    """
    if not (settings.PAUSE_AT_FAILED_PERCENT or settings.PAUSE_AT_OPTED_OUT_PERCENT):
        return 0
    running = Batch.objects.filter(state=BatchState.RUNNING, recipients__gte=max(1, settings.PAUSE_AFTER))
    return sum(_paused(batch) for batch in running.select_related("account").defer("account__secrets"))


def spikes(batch: Batch) -> list[Spike]:
    """What is wrong with `batch` by now."""
    since = batch.moved_at or batch.created_at
    attempts = Attempt.objects.filter(chunk__batch=batch, created_at__gte=since, outcome__in=_LEFT)
    left = attempts.aggregate(texts=Sum("texts"))["texts"] or 0
    if left < max(1, settings.PAUSE_AFTER):
        return []
    sent = Message.objects.filter(batch=batch, chunk__in=attempts.values("chunk"))
    found = []
    if settings.PAUSE_AT_FAILED_PERCENT:
        failed = sent.filter(REFUSED_OR_FAILED).count()
        if failed * 100 > left * settings.PAUSE_AT_FAILED_PERCENT:
            found.append(Spike(AlertKind.FAILURES, failed, left, failure_classes(batch)[0].title))
    if settings.PAUSE_AT_OPTED_OUT_PERCENT:
        gone = _opted_out(sent, since)
        if gone * 100 > left * settings.PAUSE_AT_OPTED_OUT_PERCENT:
            found.append(Spike(AlertKind.OPT_OUTS, gone, left))
    return found


def _opted_out(sent: QuerySet[Message], since: datetime) -> int:
    """How many of those who were sent to opted out themselves from `since` on.

    From the few who did so lately to their messages, not the other way about, however large the batch is.
    """
    lately = PhoneNumber.objects.filter(opted_out=True, consent_at__gte=since).order_by("pk")
    last, found = 0, 0
    while page := list(lately.filter(pk__gt=last).values_list("pk", flat=True)[:_PAGE]):
        themselves = ConsentEvent.objects.filter(
            number__in=page, kind=ConsentKind.OUT, source__in=_BY_THE_PERSON, at__gte=since
        )
        found += sent.filter(number__in=set(themselves.values_list("number", flat=True))).count()
        last = page[-1]
    return found


def _paused(batch: Batch) -> bool:
    found = spikes(batch)
    if not found:
        return False
    with transaction.atomic():
        # As it was when it was judged: whoever has moved it meanwhile knows better.
        same = Batch.objects.filter(pk=batch.pk, state=BatchState.RUNNING, moved_at=batch.moved_at)
        now = clock.now()
        paused = same.update(
            state=BatchState.PAUSED,
            resume_to=BatchState.RUNNING,
            problem=clean(f"It paused itself. {' '.join(map(str, found))}", 500),
            moved_by=None,
            moved_at=now,
            updated_at=now,
        )
        if paused:
            Alert.objects.bulk_create(
                Alert(
                    unit_id=batch.unit_id,
                    batch=batch,
                    kind=each.kind,
                    text=clean(f"“{batch.name}” paused itself. {each}", 500),
                )
                for each in found
            )
            log.error("Batch %s paused itself: %s", batch.pk, "; ".join(map(str, found)))
    return bool(paused)


def see(alert: Alert, *, actor: User | None) -> Alert:
    """Note that somebody has seen `alert`; the first keeps the credit."""
    Alert.objects.filter(pk=alert.pk, seen_at=None).update(seen_at=clock.now(), seen_by=actor, updated_at=clock.now())
    alert.refresh_from_db()
    return alert
