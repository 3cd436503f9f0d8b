"""What the page of a batch counts: states, deliveries, rate and time left, and the reasons in plain words."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db.models import Count, Min
from django.utils import formats, timezone

from messaging import controls
from messaging.admin.minutes import left_lately
from messaging.admin.words import SKIPPED, how_many, is_scheduled, standing
from messaging.models import Batch
from messaging.statuses import DELIVERY_TITLES, BatchState, ChunkState, MessageState, Reason
from smsportal import clock
from smsportal.providers.base import Delivery
from smsportal.text import plural

AT_WORK: Final = (BatchState.EXPANDING, BatchState.RUNNING)
UNDER_WAY: Final = (*AT_WORK, BatchState.PAUSED)
WAITING: Final = (MessageState.HELD, MessageState.READY, MessageState.CLAIMED)
LATELY_S: Final = 60


class Why(NamedTuple):
    """Why some texts did not leave or arrive, what to do about it, how many, and the address of their list."""

    title: str
    advice: str
    number: int
    query: str


def numbers(batch: Batch) -> dict[str, Any]:
    """Everything the page counts but the minutes and reasons. The states always sum up to the recipients."""
    states, delivery = _counted(batch)
    total = sum(states.values())
    arrived = delivery[Delivery.DELIVERED] + delivery[Delivery.READ]
    unclear = states[MessageState.UNKNOWN] + states[MessageState.WRITTEN_OFF]
    waiting = sum(states[state] for state in WAITING)
    accepted, submitting = states[MessageState.ACCEPTED], states[MessageState.SUBMITTING]
    left = total - waiting - submitting - states[MessageState.SKIPPED]
    parts = {"arrived": arrived, "going": accepted + submitting - arrived - delivery[Delivery.FAILED],
             "unclear": unclear, "failed": delivery[Delivery.FAILED] + states[MessageState.REJECTED]}  # fmt: skip
    return {
        "state": batch.state,
        "state_title": standing(batch),
        "problem": batch.problem,
        "stopped": stopped(batch) if waiting or batch.state == BatchState.EXPANDING else "",
        "total": total,
        "waiting": waiting,
        "left": left,
        "skipped": states[MessageState.SKIPPED],
        "unknown": states[MessageState.UNKNOWN],
        **parts,
        "bar": {name: _percent(n, total) for name, n in parts.items()},
        "states": [(state, MessageState(state).label, n) for state, n in states.items()],
        "elsewhere": total - accepted,
        "delivery": [(int(rank), str(title), delivery[rank]) for rank, title in DELIVERY_TITLES],
        "pace": pace(batch, states),
        "said": _said(batch, left, total),
        "missing": missing(batch) if batch.expanded_to else "",
    }


def _counted(batch: Batch) -> tuple[dict[str, int], dict[int, int]]:
    """Messages by state, and the accepted ones by delivery: from an index alone, however many there are."""
    states, delivery = dict.fromkeys(MessageState.values, 0), {int(rank): 0 for rank, _ in DELIVERY_TITLES}
    for state, rank, n in batch.messages.order_by().values_list("state", "delivery").annotate(n=Count("id")):
        states[state] += n
        if state == MessageState.ACCEPTED:
            delivery[rank] += n
    # A claim is written on the chunk alone.
    taken = batch.messages.filter(
        chunk__batch=batch, chunk__state=ChunkState.CLAIMED, state__in=[MessageState.READY, MessageState.HELD]
    )
    for state, n in taken.order_by().values_list("state").annotate(n=Count("id")):
        found = min(n, states[state])
        states[state] -= found
        states[MessageState.CLAIMED] += found
    if planned := _planned(batch):
        states[MessageState.HELD if is_scheduled(batch) else MessageState.READY] = planned
    return states, delivery


def _planned(batch: Batch) -> int:
    """How many texts were submitted of a batch that is started and of which none is prepared yet."""
    return 0 if batch.recipients or batch.expanded_to or batch.state not in UNDER_WAY else how_many(batch)


def unprepared(batch: Batch) -> int | None:
    """For how many more people than are counted a batch was submitted; None when that is not known any more.

    They have no text, for it was paused or cancelled before, or is being prepared.
    """
    preparing = BatchState.EXPANDING in (batch.state, batch.resume_to)
    if not preparing and (batch.state != BatchState.CANCELLED or batch.started_at is None):
        return 0
    if not batch.expanded_to:
        return how_many(batch)
    if batch.planned is None:
        return None if preparing else 0
    # Who opted out since the batch was submitted has no text to get, but was counted.
    people = batch.planned["audience"] - batch.planned["duplicates"] - batch.recipients
    texts = batch.planned["will_send"] + batch.planned["quiet_hours"] - how_many(batch)
    return max(0, min(int(people), int(texts)))


def missing(batch: Batch) -> str:
    """Who is in no number of a batch, for nothing is prepared for them, and what becomes of them; "" for nobody."""
    if (rest := unprepared(batch)) == 0:
        return ""
    if batch.state == BatchState.CANCELLED:
        return f"{those(batch, rest, 'was', 'were')} to get it; nothing was prepared for them, so they did not get it."
    if batch.state == BatchState.EXPANDING:
        return f"{those(batch, rest)} to get it; their texts are being prepared and are not counted yet."
    return f"{those(batch, rest)} to get it; nothing is prepared for them yet, so they are not counted here."


def those(batch: Batch, rest: int | None, one: str = "is", many: str = "are") -> str:
    """So many more people with their verb."""
    if rest is None:
        return f"The rest of its people {many}"
    more = "more " if batch.expanded_to else ""
    return plural(rest, f"{more}person {one}", f"{more}people {many}")


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def reasons(batch: Batch) -> list[Why]:
    """Why texts did not leave or arrive and what to do next, the most frequent first."""
    skipped = batch.messages.filter(state=MessageState.SKIPPED).order_by().values_list("reason")
    found = [
        Why(Reason(reason).label if reason else "Not sent", SKIPPED.get(reason, ""), n, f"state__exact=skipped&reason__exact={reason}")
        for reason, n in skipped.annotate(n=Count("id"))
    ]  # fmt: skip
    for each in controls.failure_classes(batch):
        advice = each.advice
        if each.opted_out:
            advice += (
                f" {plural(each.opted_out, 'person', 'people')} of these opted out since and are not written to again."
            )
        found.append(Why(each.title, advice.strip(), each.number + each.opted_out, f"error_code__exact={each.code}"))
    return sorted(found, key=lambda each: -each.number)


def stopped(batch: Batch) -> str:
    """Why nothing leaves although the batch runs, and what happens next; nothing when texts leave."""
    account = batch.account
    if batch.state not in AT_WORK:
        return ""
    if not account.is_active:
        return f"{account} is switched off. Nothing leaves until an administrator switches it on again."
    if account.circuit_open:
        why = account.circuit_reason.rstrip(".") or "the provider does not answer as it should"
        return f"Nothing leaves at the moment: {why}. {account} is tried again {_tried(account.paused_until)}; when it answers, it goes on by itself."
    if account.paused_until and account.paused_until > clock.now():
        return f"The provider asked for a break until {timezone.localtime(account.paused_until):%H:%M:%S}; then it goes on by itself."
    return ""


def _tried(at: datetime | None) -> str:
    return f"at {timezone.localtime(at):%H:%M:%S}" if at and at > clock.now() else "within half a minute"


def pace(batch: Batch, states: dict[str, int]) -> str:
    """How fast it goes and when it will be done, from the last minute; nothing while nothing can be said."""
    if batch.state != BatchState.RUNNING or batch.started_at is None:
        return ""
    due = states[MessageState.READY] + states[MessageState.CLAIMED] + states[MessageState.SUBMITTING]
    said = []
    if due and not stopped(batch):
        said.append(_progress(batch, due, states[MessageState.SUBMITTING]))
    if held := states[MessageState.HELD]:
        opens = batch.chunks.filter(state=ChunkState.READY, not_before__gt=clock.now()).aggregate(at=Min("not_before"))
        when = f", the first of them until {moment(opens['at'])}" if opens["at"] else ""
        said.append(f"{plural(held, 'text waits', 'texts wait')} for quiet hours or a holiday to end{when}.")
    return " ".join(said)


def _progress(batch: Batch, due: int, submitting: int) -> str:
    since = max(filter(None, [batch.started_at, batch.leaves_at]))
    seconds = min(max((clock.now() - since).total_seconds(), 1.0), LATELY_S)
    if lately := left_lately(batch, seconds):
        return _speed(lately / seconds, due)
    if seconds >= LATELY_S:
        return "Nothing has left in the last minute."
    return "The first texts are on their way to the provider." if submitting else "No text has left yet."


def _speed(rate: float, due: int) -> str:
    minutes = math.ceil(due / rate / 60)
    done = moment(clock.after(due / rate))
    left = plural(minutes, "more minute", "more minutes")
    return f"{rate:,.1f} texts a second in the last minute, about {left}: done about {done}."


def moment(at: datetime) -> str:
    """A time of today as people write it, any other with its day."""
    local = timezone.localtime(at)
    today = local.date() == timezone.localdate(clock.now())
    return str(formats.date_format(local, "TIME_FORMAT" if today else "DATETIME_FORMAT"))


def _said(batch: Batch, left: int, total: int) -> str:
    """What is read out to who cannot see the page: changes with the state and with every tenth, not with every text."""
    label = standing(batch)
    if batch.state != BatchState.RUNNING or not total:
        return f"{label}. {batch.problem}".strip()
    return f"{label}: {left * 10 // total * 10}% of {plural(total, 'text', 'texts')} handed over."
