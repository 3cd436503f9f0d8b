"""What the demo did, as a table in which every line must sum, compared with what the provider says it received."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from contacts.models import ConsentEvent, ConsentKind, ConsentSource, Contact, Import, ImportRow, PhoneNumber, RowState
from messaging.models import Batch, Message
from messaging.statuses import MessageState, Reason
from smsportal.mirror.models import SyncState
from smsportal.providers.base import Delivery


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a total counted by itself, and the parts it must be the sum of."""

    title: str
    total: int
    parts: tuple[tuple[str, int], ...]

    @property
    def sums(self) -> bool:
        return self.total == sum(count for _, count in self.parts)

    def __str__(self) -> str:
        shown = [f"{count:,} {what}" for what, count in self.parts if count] or ["0"]
        mark = "✓" if self.sums else f"✗ the parts make {sum(count for _, count in self.parts):,}"
        return f"{self.title:<22}{self.total:>7,} = {' + '.join(shown)}  {mark}"


def lines(uploads: Sequence[Import], batch: Batch) -> list[Line]:
    """The table, read from the database."""
    return [*_imported(uploads), *_mirrored(uploads), *_sent(batch), *_closed(batch)]


def _imported(uploads: Sequence[Import]) -> list[Line]:
    rows = ImportRow.objects.filter(upload__in=uploads)
    state = Counter(rows.values_list("state", flat=True))
    good = state[RowState.NEW] + state[RowState.CHANGED] + state[RowState.SAME]
    # A row may have several bad cells; the first one is the reason it is counted under.
    refused = Counter(
        errors[0]["code"] for errors in rows.filter(state=RowState.REFUSED).values_list("errors", flat=True)
    )
    read = sum(upload.rows for upload in uploads)
    return [
        Line(
            "rows read",
            read,
            (("good", good), ("refused", state[RowState.REFUSED]), ("repeat a row", state[RowState.DUPLICATE])),
        ),
        Line(
            "good",
            sum(upload.new + upload.changed + upload.same for upload in uploads),
            (("new", state[RowState.NEW]), ("changed", state[RowState.CHANGED]), ("the same", state[RowState.SAME])),
        ),
        Line("refused", sum(upload.refused for upload in uploads), _parts(refused)),
    ]


def _mirrored(uploads: Sequence[Import]) -> list[Line]:
    contacts = Contact.objects.present().filter(contact_list__in={upload.contact_list_id for upload in uploads})
    state = Counter(contacts.values_list("sync_state", flat=True))
    rest = {
        SyncState(key).label.lower(): n for key, n in state.items() if key not in (SyncState.IN_STEP, SyncState.ERROR)
    }
    return [
        Line(
            "contacts",
            contacts.count(),
            (
                ("mirrored to Ocelot", state[SyncState.IN_STEP]),
                ("rejected there", state[SyncState.ERROR]),
                *_parts(rest),
            ),
        )
    ]


def _sent(batch: Batch) -> list[Line]:
    messages = Message.objects.filter(batch=batch)
    waterfall: Mapping[str, int] = batch.waterfall or {}
    counts = batch.counts()
    skipped = Counter(messages.filter(state=MessageState.SKIPPED).values_list("reason", flat=True))
    accepted = messages.filter(state=MessageState.ACCEPTED)
    came = accepted.aggregate(
        delivered=Count("id", filter=Q(delivery__gte=Delivery.DELIVERED)),
        failed=Count("id", filter=Q(delivery=Delivery.FAILED)),
        open=Count("id", filter=Q(delivery__lt=Delivery.FAILED)),
    )
    failed = Counter(accepted.filter(delivery=Delivery.FAILED).values_list("error_code", flat=True))
    lost = messages.exclude(evidence="")
    proven = Counter(lost.filter(state=MessageState.ACCEPTED).values_list("evidence", flat=True))
    left_out = ((what.replace("_", " "), n) for what, n in waterfall.items() if what not in ("audience", "will_send"))
    return [
        Line("audience", waterfall.get("audience", 0), (*left_out, ("to be sent", waterfall.get("will_send", 0)))),
        Line("messages", batch.recipients, tuple((MessageState(state).label.lower(), n) for state, n in counts.items())),
        Line(
            "not sent",
            counts[MessageState.SKIPPED],
            _parts({Reason(reason).label.lower(): n for reason, n in skipped.items()}),
        ),
        Line(
            "sent",
            counts[MessageState.ACCEPTED],
            (("delivered", came["delivered"]), ("failed", came["failed"]), ("without a final report", came["open"])),
        ),
        Line("failed", came["failed"], _parts(failed)),
        Line("answer lost", lost.count() + counts[MessageState.UNKNOWN], (
            *((f"proven sent by {how}", n) for how, n in proven.items()), ("unknown", counts[MessageState.UNKNOWN])
        )),
        Line("unknown", counts[MessageState.UNKNOWN], (("waiting for a person", messages.filter(state=MessageState.UNKNOWN).count()),)),
    ]  # fmt: skip


def _closed(batch: Batch) -> list[Line]:
    """Who may no longer be texted, by the first thing that said so."""
    people = PhoneNumber.objects.filter(contacts__contact_list__in=batch.lists.all(), opted_out=True)
    closed = set(people.values_list("pk", flat=True))
    first: dict[int, str] = {}
    events = ConsentEvent.objects.filter(number__in=closed, kind=ConsentKind.OUT).order_by("id")
    for number, source in events.values_list("number", "source"):
        first.setdefault(number, ConsentSource(source).label.lower())
    return [Line("opted out", len(closed), _parts(Counter(first.values())))]


def _parts(counted: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    shown = sorted(counted.items(), key=lambda part: (-part[1], part[0]))
    return tuple((what.replace("_", " "), count) for what, count in shown)


def complaints(batch: Batch, received: Iterable[Mapping[str, Any]], *, never: Iterable[str]) -> list[str]:
    """Where the provider's own log disagrees with our table; empty when it agrees.

    `received` are the texts the provider accepted, `never` the numbers that must not be among them.
    """
    to = Counter(_e164(each["to"]) for each in received)
    ours = set(Message.objects.filter(batch=batch, state=MessageState.ACCEPTED).values_list("number__e164", flat=True))
    found = [f"{number} got {times} texts." for number, times in to.items() if times > 1]
    found += [f"{number} got a text we do not count as sent." for number in sorted(set(to) - ours)]
    found += [f"{number} counts as sent, but the provider has no such text." for number in sorted(ours - set(to))]
    found += [f"{number} had opted out and got a text." for number in never if number in to]
    return found


def _e164(number: str) -> str:
    digits = "".join(filter(str.isdigit, number))
    return f"+{digits}" if len(digits) == 11 else f"+1{digits}"
