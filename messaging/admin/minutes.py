"""What happened to a batch minute by minute: handed over, arrived, failed; as rows of a table and as a drawing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.cache import cache
from django.db.models import Count, DateTimeField, F, Func, Sum
from django.utils import timezone

from messaging.models import Attempt, Batch, Receipt
from messaging.sending.answers import Verdict
from smsportal import clock
from smsportal.providers.base import Delivery

MOST: Final = 60  # steps one drawing has room for, on a phone too
WIDTHS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)  # minutes of one step
SMALL: Final = 5_000  # recipients: up to here everything is counted anew at each look
AGAIN: Final = timedelta(minutes=3)  # further back than a transaction takes, so that no late row is missed
KEEP_S: Final = 600  # after that all is counted anew: a provider may report of a moment long past
HEIGHT: Final = 100
# Verdicts after which the texts of a request have left, or may have.
LEFT: Final = (Verdict.ACCEPTED, Verdict.UNKNOWN)

Counts = dict[datetime, list[int]]  # minute → handed over, arrived, failed


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the table, one bar of the drawing."""

    at: datetime
    left: int
    arrived: int
    failed: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """The steps as shapes in a box of `width` × HEIGHT, drawn from the top: bars, and two lines as SVG paths."""

    width: int
    top: int
    bars: list[tuple[int, float, float, Step]]  # x, y, height
    arrived: str
    failed: str


@dataclass(frozen=True, slots=True)
class Series:
    """A batch over time, oldest step first. `later`: reports that came long after the last text had left."""

    steps: list[Step]
    minutes: int  # of one step
    later: int

    @property
    def newest_first(self) -> list[Step]:
        return self.steps[::-1]

    @property
    def is_over_days(self) -> bool:
        return bool(self.steps) and timezone.localdate(self.steps[0].at) != timezone.localdate(self.steps[-1].at)

    def drawing(self) -> Drawing:
        """Where bars and lines stand; the scale ends at a round number."""
        top = _round_up(max((max(each.left, each.arrived, each.failed) for each in self.steps), default=1))
        bars = []
        for place, each in enumerate(self.steps):
            height = round(HEIGHT * each.left / top, 1)
            bars.append((place * 10, round(HEIGHT - height, 1), height, each))
        lines = [_line((each.arrived for each in self.steps), top), _line((each.failed for each in self.steps), top)]
        return Drawing(10 * len(self.steps), top, bars, *lines)


def series(batch: Batch) -> Series:
    """The batch from its first text to now, or to some time after its last one, in at most MOST steps."""
    return steps_of(_counts(batch), until=None if batch.finished_at else clock.now())


def left_lately(batch: Batch, seconds: float) -> int:
    """How many texts were handed over in the last `seconds`."""
    lately = _handed_over(batch).filter(finished_at__gt=clock.after(-seconds))
    return int(lately.aggregate(n=Sum("texts"))["n"] or 0)


def steps_of(counts: Counts, until: datetime | None) -> Series:
    """`counts` in steps of equal width, the narrowest that fits. `until`: where a batch at work ends."""
    if not counts:
        return Series([], 1, 0)
    first, last = min(counts), max(counts)
    handed = [at for at, (left, _, _) in counts.items() if left]
    if until is not None:
        last = max(last, until)
    elif handed:
        # Reports trickle in for days; drawn to their end, the sending itself would be one bar.
        last = min(last, max(handed) + max(max(handed) - min(handed), timedelta(minutes=30)))
    span = int((last - first).total_seconds()) // 60 + 1
    width = next((each for each in WIDTHS if -(-span // each) < MOST), WIDTHS[-1])
    begin = datetime.fromtimestamp(first.timestamp() // (width * 60) * width * 60, UTC)
    count = min(int((last - begin).total_seconds()) // (width * 60) + 1, MOST)
    sums, later = [[0, 0, 0] for _ in range(count)], 0
    for at, found in counts.items():
        place = int((at - begin).total_seconds()) // (width * 60)
        if place >= count:
            later += found[1] + found[2]
            continue
        sums[place] = [a + b for a, b in zip(sums[place], found, strict=True)]
    steps = [Step(begin + timedelta(minutes=width * place), *each) for place, each in enumerate(sums)]
    return Series(steps, width, later)


def _counts(batch: Batch) -> Counts:
    """Per minute, from the requests and the reports. Of a large batch, only what is new since the last look is read."""
    if batch.recipients <= SMALL:
        return dict(_read(batch, None))
    key, now = f"minutes:{batch.uuid}", clock.now()
    known: Counts
    known, since, ends = cache.get(key) or ({}, None, now + timedelta(seconds=KEEP_S))
    fresh = dict(_read(batch, since))
    known = {at: found for at, found in known.items() if since is None or at < since} | fresh
    since = (now - AGAIN).replace(second=0, microsecond=0)
    cache.set(key, (known, since, ends), max((ends - now).total_seconds(), 1))
    return known


def _read(batch: Batch, since: datetime | None) -> Iterator[tuple[datetime, list[int]]]:
    """Minutes from `since` on, each with its three counts."""
    handed, reports = _handed_over(batch), Receipt.objects.filter(message__batch=batch)
    if since is not None:
        handed = handed.filter(finished_at__gte=since)
        # By their time, then by their batch: SQLite, which cannot tell how little is new, would read all of the batch's.
        reports = Receipt.objects.filter(at__gte=since).alias(of=F("message__batch_id") + 0).filter(of=batch.pk)
    found: Counts = {}
    rows: Iterable[Any] = handed.order_by().annotate(minute=_Minute("finished_at")).values_list("minute")
    for minute, number in rows.annotate(n=Sum("texts")):  # type: ignore[attr-defined]
        found.setdefault(minute, [0, 0, 0])[0] = number
    wanted = {Delivery.DELIVERED: 1, Delivery.FAILED: 2}
    rows = reports.filter(delivery__in=wanted).order_by().annotate(minute=_Minute("at"))
    for minute, rank, number in rows.values_list("minute", "delivery").annotate(n=Count("pk")):
        found.setdefault(minute, [0, 0, 0])[wanted[rank]] = number
    yield from found.items()


def _handed_over(batch: Batch) -> Any:
    return Attempt.objects.filter(chunk__batch=batch, outcome__in=LEFT, finished_at__isnull=False)


class _Minute(Func):
    """A moment cut to its minute, by means each database has built in: Django's TruncMinute calls Python per row on SQLite."""

    output_field = DateTimeField()

    def as_postgresql(self, compiler: Any, connection: Any, **more: Any) -> Any:
        return self.as_sql(compiler, connection, template="date_trunc('minute', %(expressions)s)", **more)

    def as_sqlite(self, compiler: Any, connection: Any, **more: Any) -> Any:
        return self.as_sql(compiler, connection, template="substr(%(expressions)s, 1, 16)", **more)


def _round_up(number: int) -> int:
    """The next 1, 2 or 5 times a power of ten."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if factor * size >= number:
                return factor * size
        size *= 10


def _line(values: Iterable[int], top: int) -> str:
    """An SVG path that runs level through each step."""
    parts = []
    for place, value in enumerate(values):
        y = round(HEIGHT - HEIGHT * value / top, 1)
        parts.append(f"{'V' if place else 'M0 '}{y}H{(place + 1) * 10}")
    return "".join(parts)
