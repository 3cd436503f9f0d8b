"""Pauses a batch by itself when far too many of its texts fail, are unknown or make people opt out, and tells staff why.

Only texts that left since the latest move of a person count: whoever resumes a paused batch has seen what was wrong,
and is not stopped again for the same texts.

What counts as failing is what is known to have: refused in the answer, or reported as failed. A share of all texts that
left hides a spike behind its own speed, because those nobody can have reported on yet are counted, too; a share of the
reports alone shows one where there is none, because some failures are reported at once and arrivals seconds later. So
the texts that left some time ago are judged by themselves as well. Neither share is ever too large.

Unknown is worse than failed, because somebody must decide on each: of those that left some time ago, too large a share
is a spike of its own. The rest of an account that fails makes it grow slowly; it does not tell anybody.

A batch with nothing left to send is not paused, which would serve nobody; staff are told all the same, for as long as
reports may be expected.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum

from contacts.models import ConsentEvent, ConsentKind, ConsentSource, PhoneNumber
from messaging.controls.recipients import failure_classes
from messaging.models import Alert, AlertKind, Attempt, Batch, Message
from messaging.sending.answers import Verdict
from messaging.sending.outcomes import OPEN_CHUNKS
from messaging.statuses import BatchState, MessageState
from smsportal import clock
from smsportal.accounts.models import User
from smsportal.providers.base import Delivery
from smsportal.text import clean

log = logging.getLogger(__name__)

# Answers after which the texts of a request have left, or were refused one by one.
_LEFT: Final = (Verdict.ACCEPTED, Verdict.UNKNOWN, Verdict.REJECTED)
# What people do themselves about a text; an opt-out that staff or a file enter is no answer to it.
_BY_THE_PERSON: Final = (ConsentSource.REPLY, ConsentSource.PROVIDER, ConsentSource.CARRIER)
_FATES: Final = {
    "refused": Q(state=MessageState.REJECTED),
    "accepted": Q(state=MessageState.ACCEPTED),
    "failed": Q(state=MessageState.ACCEPTED, delivery=Delivery.FAILED),
    "unknown": Q(state=MessageState.UNKNOWN),
    # A killed worker leaves many, and most are proven within minutes: they are bad news once they were looked for in vain.
    "lasting": Q(state=MessageState.UNKNOWN) & (Q(chunk__looks__gt=0) | Q(chunk__look_at=None)),
}
_PAGE: Final = 2000
SETTLED_S: Final = 20  # after which most texts of a batch are reported on, where they are at all
_SETTLED: Final = f"its texts that left more than {SETTLED_S} seconds ago"
REPORTS_S: Final = 60 * 60  # how long after its last text a batch is still judged by the reports that come


@dataclass(frozen=True, slots=True)
class Spike:
    """Too large a share: what is wrong, and what to look at."""

    kind: AlertKind
    said: str
    look: str


def guard() -> int:
    """Pause every running batch whose failures, unknown texts or opt-outs spike, and raise an alert. Returns how many.

    A spike is more than PAUSE_AT_FAILED_PERCENT that failed, or that are unknown, or PAUSE_AT_OPTED_OUT_PERCENT of at
    least PAUSE_AFTER texts that left since the batch was started, resumed or retried. Of a batch with nothing left to
    send, alerts are all it raises, each once. Any number of guards may run at once.
    """
    if not (settings.PAUSE_AT_FAILED_PERCENT or settings.PAUSE_AT_OPTED_OUT_PERCENT):
        return 0
    judged = Q(state=BatchState.RUNNING) | Q(state=BatchState.FINISHED, finished_at__gte=clock.after(-REPORTS_S))
    batches = Batch.objects.filter(judged, recipients__gte=_enough())
    return sum(_stop(batch) for batch in batches.select_related("account").defer("account__secrets"))


def spikes(batch: Batch) -> list[Spike]:
    """What is wrong with `batch` by now, and was not told yet."""
    since, told = _since(batch), _told(batch)
    attempts = Attempt.objects.filter(chunk__batch=batch, created_at__gte=since, outcome__in=_LEFT)
    left = attempts.aggregate(texts=Sum("texts"))["texts"] or 0
    if left < _enough():
        return []
    sent = Message.objects.filter(batch=batch, chunk__in=attempts.values("chunk"))
    found: list[Spike] = []
    if settings.PAUSE_AT_FAILED_PERCENT and not {AlertKind.FAILURES, AlertKind.UNKNOWN} <= told:
        settled = _fates(batch, _settled(attempts))
        if AlertKind.FAILURES not in told:
            found += _failures(batch, {"its texts": _fates(batch, attempts), _SETTLED: settled})
        if AlertKind.UNKNOWN not in told:
            found += _unknown(settled)
    if settings.PAUSE_AT_OPTED_OUT_PERCENT and AlertKind.OPT_OUTS not in told:
        found += _opt_outs(sent, since, left)
    return found


def _enough() -> int:
    """How many texts a share must be of to mean anything."""
    return max(1, int(settings.PAUSE_AFTER))


def _since(batch: Batch) -> datetime:
    return batch.moved_at or batch.created_at


def _told(batch: Batch) -> set[str]:
    return set(Alert.objects.filter(batch=batch, created_at__gte=_since(batch)).values_list("kind", flat=True))


def _settled(attempts: QuerySet[Attempt]) -> QuerySet[Attempt]:
    """Those answered some time ago, and those whose worker is gone: they are judged long after."""
    return attempts.filter(Q(finished_at__lt=clock.after(-SETTLED_S)) | Q(finished_at=None))


def _fates(batch: Batch, attempts: QuerySet[Attempt]) -> dict[str, int]:
    sent = Message.objects.filter(batch=batch, chunk__in=attempts.values("chunk"))
    return sent.aggregate(**{name: Count("pk", filter=which) for name, which in _FATES.items()})


def _share(bad: int, of: int) -> int:
    """Of how many percent `bad` is a spike of texts that fail; 0: it is none."""
    is_spike = of >= _enough() and bad * 100 > of * settings.PAUSE_AT_FAILED_PERCENT
    return 100 * bad // of if is_spike else 0


def _failures(batch: Batch, cohorts: dict[str, dict[str, int]]) -> list[Spike]:
    for whose, n in cohorts.items():
        answered = n["refused"] + n["accepted"]
        share = _share(n["refused"] + n["failed"], answered)
        if not share:
            continue
        parts = [f"{name}: {n[name]:,}" for name in ("refused", "failed") if n[name]]
        why = next((each.title for each in failure_classes(batch)), "")
        said = f"At least {share} % of {whose} failed ({', '.join(parts)} of {answered:,})."
        return [Spike(AlertKind.FAILURES, said + (f" Most often: {why}." if why else ""), "Look at the reasons")]
    return []


def _unknown(settled: dict[str, int]) -> Iterator[Spike]:
    left = settled["refused"] + settled["accepted"] + settled["unknown"]
    if share := _share(settled["lasting"], left):
        said = f"Of {settled['lasting']:,} of {left:,} of {_SETTLED} ({share} %) nobody knows whether they were sent."
        look = "Look whether the provider is in trouble, wait for its receipts, settle what stays unknown"
        yield Spike(AlertKind.UNKNOWN, said, look)


def _opt_outs(sent: QuerySet[Message], since: datetime, left: int) -> Iterator[Spike]:
    gone = _opted_out(sent, since)
    if gone * 100 > left * settings.PAUSE_AT_OPTED_OUT_PERCENT:
        said = f"After {gone:,} of {left:,} texts that left ({100 * gone // left} %) people opted out."
        yield Spike(AlertKind.OPT_OUTS, said, "Look whether it is the right text to the right people")


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


def _stop(batch: Batch) -> bool:
    """Raise an alert for each spike of `batch`, and pause it if anything of it is left to send. False: there is none."""
    found = spikes(batch)
    if not found:
        return False
    with transaction.atomic():
        # As it was when it was judged: whoever has moved it meanwhile knows better.
        same = Batch.objects.filter(pk=batch.pk, state=batch.state, moved_at=batch.moved_at)
        if same.select_for_update().first() is None or {each.kind for each in found} & _told(batch):
            return False
        going = batch.state == BatchState.RUNNING and batch.chunks.filter(state__in=OPEN_CHUNKS).exists()
        if going:
            _pause(same, " ".join(f"{each.said} {each.look}, then resume or cancel it." for each in found))
        Alert.objects.bulk_create(_alert(batch, each, paused=going) for each in found)
    log.error("Batch %s %s: %s", batch.pk, "paused itself" if going else "went wrong", [each.said for each in found])
    return True


def _pause(same: QuerySet[Batch], why: str) -> None:
    now = clock.now()
    same.update(
        state=BatchState.PAUSED,
        resume_to=BatchState.RUNNING,
        problem=clean(f"It paused itself. {why}", 500),
        moved_by=None,
        moved_at=now,
        updated_at=now,
    )


def _alert(batch: Batch, spike: Spike, *, paused: bool) -> Alert:
    if paused:
        text = f"“{batch.name}” paused itself. {spike.said} {spike.look}, then resume or cancel it."
    else:
        text = f"“{batch.name}”: {spike.said} {spike.look}; nothing of it is left to send."
    return Alert(unit_id=batch.unit_id, batch=batch, kind=spike.kind, text=clean(text, 500))


def see(alert: Alert, *, actor: User | None) -> Alert:
    """Note that somebody has seen `alert`; the first keeps the credit."""
    Alert.objects.filter(pk=alert.pk, seen_at=None).update(seen_at=clock.now(), seen_by=actor, updated_at=clock.now())
    alert.refresh_from_db()
    return alert
