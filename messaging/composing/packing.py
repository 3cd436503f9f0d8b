"""Puts the people of a batch into chunks of one provider request each, so that whoever shares a chunk may be texted at the same hours.

Chunks stay open from page to page: but for the last one of its kind, each is as full as the provider takes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db.models import OuterRef, Subquery

from messaging import hours, zones
from messaging.composing.audience import Person
from messaging.composing.opening import Opening
from messaging.models import Batch, Chunk, Message
from messaging.statuses import ChunkState
from smsportal.providers.base import Abilities
from smsportal.sql import update_each

_KEPT: Final = (
    2000  # chunks kept open: a batch of personal texts to a provider that wants one text per call has no end of them
)


class ChunkGone(Exception):  # the end of a page, not an error
    """A chunk that was being filled is not waiting any more, so nothing may be added to it."""


@dataclass(slots=True, eq=False)
class Parcel:
    """A chunk being filled. `pk` is None until it is written; `size` counts the texts of this page, too."""

    pk: int | None
    zones: str
    opens: datetime | None
    size: int
    seen: set[str] = field(default_factory=set)  # the zones of people who are in it

    def takes(self, more: str) -> bool:
        """Note `more` zones as those of the next text. False when there is no room to write them down."""
        if more not in self.seen:
            joined = zones.join([*self.zones.split("|"), *more.split("|")]) if self.zones else more
            if len(joined) > zones.LONGEST:
                return False
            self.zones = joined
            self.seen.add(more)
        return True


class Packer:
    """The open chunks of one batch. While there are quiet hours or holidays, each chunk has people of equal zones only.

    While there are none, people go together as they come, lest a small batch fall into many requests. Such a chunk
    carries the zones of all its people: should quiet hours be set before it leaves, it waits until they end everywhere.
    """

    def __init__(self, batch: Batch, abilities: Abilities, opening: Opening) -> None:
        self.batch, self.opening = batch.pk, opening
        self.limit, self.shared = abilities.max_per_call, abilities.shared_text
        self.apart = hours.window(opening.quiet) is not None or bool(opening.holidays)
        self.open: dict[tuple[str, str], Parcel] = {}
        if batch.expanded_to:
            self._take_up()

    def pack(self, people: Iterable[Person]) -> list[tuple[Person, Parcel]]:
        """Each person with the chunk they are in, which is written. Within the transaction of the page.

        Raises ChunkGone.
        """
        packed: list[tuple[Person, Parcel]] = []
        fresh: list[Parcel] = []
        begun: dict[int, Parcel] = {}  # of earlier pages
        for person in people:
            key = person.zones if self.apart else "", person.text if self.shared else ""
            parcel = self.open.get(key)
            if parcel is None or not parcel.takes(person.zones):
                parcel = self._begin(key, person.zones)
                fresh.append(parcel)
            elif parcel.pk is not None:
                begun[parcel.pk] = parcel
            parcel.size += 1
            if parcel.size >= self.limit:
                del self.open[key]
            packed.append((person, parcel))
        self._write(fresh, begun)
        return packed

    def _begin(self, key: tuple[str, str], own: str) -> Parcel:
        parcel = Parcel(None, own, self.opening(own), 0, {own})
        if len(self.open) >= _KEPT:
            del self.open[next(iter(self.open))]
        self.open[key] = parcel
        return parcel

    def _write(self, fresh: list[Parcel], begun: dict[int, Parcel]) -> None:
        rows = [Chunk(batch_id=self.batch, size=each.size, zones=each.zones, not_before=each.opens) for each in fresh]
        for parcel, chunk in zip(fresh, Chunk.objects.bulk_create(rows), strict=True):
            parcel.pk = chunk.pk
        sizes = [(pk, each.size, each.zones) for pk, each in sorted(begun.items())]
        if update_each(Chunk, ["size", "zones"], sizes, where="state = 'ready'") != len(sizes):
            raise ChunkGone

    def _take_up(self) -> None:
        """Go on filling what an earlier worker began, as far as it would be held until the same moment today."""
        first = Message.objects.filter(chunk=OuterRef("pk")).order_by("pk").values("text")[:1]
        chunks = Chunk.objects.filter(batch=self.batch, state=ChunkState.READY, size__lt=self.limit)
        text = Subquery(first)
        columns: list[Any] = ["pk", "zones", "not_before", "size", *([text] if self.shared else [])]
        for pk, own, opens, size, *texts in chunks.order_by("-pk").values_list(*columns)[:_KEPT]:
            if self.opening(own) == opens:
                key = own if self.apart else "", texts[0] if texts else ""
                self.open.setdefault(key, Parcel(pk, own, opens, size, {own}))
