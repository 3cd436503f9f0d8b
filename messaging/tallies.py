"""How many messages of which batch stand where: one grouped query for any number of batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count

from messaging.models import Batch, Message
from messaging.statuses import DELIVERY_WORDS, MessageState, shown_state


@dataclass(frozen=True, slots=True)
class Tally:
    """Messages by state, skipped ones by reason, all by delivery word. Every state and word is named, also at 0."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MessageState.values, 0))
    skipped: dict[str, int] = field(default_factory=dict)
    delivery: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DELIVERY_WORDS.values(), 0))

    def add(self, state: str, reason: str, delivery: int, number: int) -> None:
        self.counts[state] += number
        self.delivery[DELIVERY_WORDS[delivery]] += number
        if state == MessageState.SKIPPED:
            self.skipped[reason] = self.skipped.get(reason, 0) + number


def tally(batches: Iterable[Batch]) -> dict[int, Tally]:
    """Batch id → its tally, from one query, so that its sums belong to one moment."""
    found = {batch.pk: Tally() for batch in batches}
    if found:
        columns = ("batch", "state", "chunk__state", "reason", "delivery")
        grouped = Message.objects.filter(batch__in=found).order_by().values_list(*columns)
        for batch, state, chunk_state, reason, delivery, number in grouped.annotate(n=Count("pk")):
            found[batch].add(shown_state(state, chunk_state), reason, delivery, number)
    return found
