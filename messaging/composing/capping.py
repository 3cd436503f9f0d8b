"""Who got so many texts of batches lately that one more is too many, or this very text minutes ago. Writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet

from messaging.models import Attempt, Batch, Message
from messaging.statuses import MessageState
from smsportal import clock
from smsportal.sql import read

DAY: Final = timedelta(hours=24)
SAME_TEXT: Final = timedelta(minutes=10)

_WILL_LEAVE: Final = (MessageState.HELD, MessageState.READY, MessageState.CLAIMED, MessageState.SUBMITTING)
_LEFT: Final = (MessageState.ACCEPTED, MessageState.UNKNOWN, MessageState.WRITTEN_OFF)
# Rows are numbered when they are made and seen when that is committed: pages of other workers may come a little later.
_OUT_OF_ORDER: Final = timedelta(minutes=10)
# Numbers are locked by neighbours, some thousand under one lock, and all of them under so many locks: the database has
# room for some thousand of them, and a page of numbers far apart must not take it all.
_NEIGHBOURS: Final = 4096
_LOCKS: Final = 64
_KEY: Final = 0x636170  # "cap"; nothing else here uses locks of this first key


def hold(numbers: Iterable[int]) -> None:
    """Let no other batch be composed to these numbers (PhoneNumber.id) until the transaction ends.

    Of two batches composed at the same moment, the later page then finds the texts of the earlier one. Always in one
    order, so that no two wait for each other. SQLite has one writer at a time anyway.
    """
    if connection.vendor == "postgresql":
        locks = sorted({number // _NEIGHBOURS % _LOCKS for number in numbers})
        read("SELECT pg_advisory_xact_lock(%s, each) FROM unnest(%s::int[]) AS each", _KEY, locks)


class Texted(NamedTuple):
    """What a number got or will get of other batches: texts within a day, and whether this one is among the latest."""

    texts: int
    same: bool


class _Other(NamedTuple):
    """Another batch that counts; `recipients` grows with every page of it."""

    pk: int
    started: datetime
    finished: datetime | None
    recipients: int


class Lately:
    """The texts of other batches around the moment `batch` is sent; single texts and answers are not counted.

    Made once per walk over an audience. It asks nothing more when no other batch was sent lately, and else one or two
    queries per page: along (number, -id), from the first message on that can matter, however long the history is.
    """

    def __init__(self, batch: Batch) -> None:
        moment = max(clock.now(), batch.send_at or clock.now())
        self.most: int = settings.MAX_TEXTS_PER_DAY
        self.day, self.minutes = moment - DAY, moment - SAME_TEXT
        others = Batch.objects.filter(single=False, recipients__gt=0).exclude(pk=batch.pk)
        self.others = others if self.most else others.none()
        self.recent = _active_since(self.others, self.day)
        self.batches = [each.pk for each in self.recent]
        self.latest = [each.pk for each in self.recent if each.finished is None or each.finished >= self.minutes]
        first = min((each.started for each in self.recent), default=None)
        self.floor = _first_made_since(first - _OUT_OF_ORDER) if first else 0

    def changed(self) -> bool:
        """Whether texts were added to other batches since this was made. One query."""
        return _active_since(self.others, self.day) != self.recent

    def over(self, texts: Iterable[tuple[int, str]]) -> set[int]:
        """Of numbers (PhoneNumber.id) and what each would be sent, those it would be too much for."""
        wanted = dict(texts) if self.batches else {}
        if not wanted:
            return set()
        counted = self._since(self.day, self.batches, wanted).values("number").annotate(n=Count("pk"))
        capped = set(counted.filter(n__gte=self.most).values_list("number", flat=True))
        return capped | self._same(wanted)

    def told(self, texts: Iterable[tuple[int, str]]) -> dict[int, Texted]:
        """As `over`, in figures for people to read: of every number asked about."""
        wanted = dict(texts)
        counted = self._since(self.day, self.batches, wanted).values("number").annotate(n=Count("pk"))
        counts, same = dict(counted.values_list("number", "n")), self._same(wanted)
        return {number: Texted(counts.get(number, 0), number in same) for number in wanted}

    def _same(self, wanted: dict[int, str]) -> set[int]:
        if not self.latest:
            return set()
        rows = self._since(self.minutes, self.latest, wanted).values_list("number", "text")
        return {number for number, text in rows if wanted[number] == text}

    def _since(self, since: datetime, batches: list[int], numbers: Collection[int]) -> QuerySet[Any]:
        """Their messages that left since then or will leave. A text that was held left when its attempt was made."""
        attempted = Attempt.objects.filter(chunk=OuterRef("chunk"), created_at__gte=since)
        left = Q(state__in=_LEFT) & (Q(created_at__gte=since) | Exists(attempted))
        rows = Message.objects.filter(pk__gte=self.floor, number__in=list(numbers), batch__in=batches)
        return rows.filter(Q(state__in=_WILL_LEAVE) | left).order_by()


def _active_since(others: QuerySet[Batch], since: datetime) -> list[_Other]:
    """Batches of which something may have left since then or may still leave."""
    rows = others.filter(Q(finished_at=None) | Q(finished_at__gte=since)).order_by("pk")
    columns = rows.values_list("pk", "started_at", "finished_at", "recipients")
    return [_Other(pk, started, finished, number) for pk, started, finished, number in columns if started is not None]


def _first_made_since(moment: datetime) -> int:
    """The id of the first message made since `moment`, found in some twenty looks at the primary key."""
    low, high = 0, (Message.objects.aggregate(last=Max("pk"))["last"] or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = Message.objects.filter(pk__gte=middle).order_by("pk").values_list("pk", "created_at").first()
        if row is None or row[1] >= moment:
            high = middle
        else:
            low = row[0] + 1
    return low
