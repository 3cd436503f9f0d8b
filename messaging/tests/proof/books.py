"""The checker: compares what the portal says of every text with what the twin's ledger says, and the books with themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from django.db.models import Q

from messaging.models import Attempt, Batch, Chunk, Message
from messaging.statuses import ChunkState, MessageState
from messaging.tests.proof.twin import UNNAMED, Ledger

NOT_SENT = frozenset({MessageState.HELD, MessageState.READY, MessageState.SKIPPED, MessageState.REJECTED})
OPEN = frozenset({MessageState.HELD, MessageState.READY, MessageState.SUBMITTING})
OPEN_CHUNKS = (ChunkState.READY, ChunkState.CLAIMED, ChunkState.SUBMITTING)


@dataclass(slots=True)
class Books:
    """What was counted. Everything in `wrong` must be empty; `unknown` is what nobody can know, shown as such."""

    texts: int = 0
    accepted: int = 0
    unknown: int = 0
    skipped: int = 0
    rejected: int = 0
    doubled: list[str] = field(default_factory=list)  # the twin accepted more than one text to the person
    lost: list[str] = field(default_factory=list)  # neither sent nor shown as not sent: it waits for ever
    shown_as_not_sent: list[str] = field(default_factory=list)  # although the twin has it
    shown_as_sent: list[str] = field(default_factory=list)  # although the twin never had it
    unknown_with_evidence: list[str] = field(default_factory=list)
    without_intent: list[str] = field(default_factory=list)  # requests that no committed attempt explains
    posted_twice: list[str] = field(default_factory=list)  # requests made more than once for one attempt
    after_stop: list[str] = field(default_factory=list)  # intents later than the commit of an opt-out or a pause
    unbalanced: list[str] = field(default_factory=list)  # batches whose states do not add up

    @property
    def wrong(self) -> dict[str, list[str]]:
        """What must not be, by name, with what it was found on."""
        lists = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: found for name, found in lists.items() if isinstance(found, list) and found}

    def name(self, where: str) -> None:
        """Say of everything wrong where it was found."""
        for found in self.wrong.values():
            found[:] = [f"{where}: {what}" for what in found]

    def add_wrong(self, other: Books) -> None:
        """Take over what is wrong in `other`, but not its counts."""
        for name, found in other.wrong.items():
            getattr(self, name).extend(found)

    def __add__(self, other: Books) -> Books:
        return Books(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


def check(ledger: Ledger, batches: Sequence[Batch], *, is_whole: bool = True) -> Books:
    """`batches` against `ledger`, when nothing is under way any more and receipts and look-ups are through.

    So nothing may be open, and whatever the twin has must be known. `is_whole`: everything in the ledger must be of
    these batches; else it is a part of one, with what another batch's request may have left in it.
    """
    books, mine = Books(), Q(batch__in=[batch.pk for batch in batches])
    taken: defaultdict[str, list[str]] = defaultdict(list)
    for reference, times in ledger.taken.items():
        taken[reference.partition(".")[0]] += [reference] * len(times)
    rows = Message.objects.filter(mine).order_by().values_list("uuid", "state", "delivery", "attempt")
    for uuid, state, delivery, attempt in rows.iterator(chunk_size=10_000):
        references = taken.pop(str(uuid), [])
        # A text that was tried before may stand in the transcript because of that: there a look-up tells nothing.
        _of_one(books, str(uuid), state, references, is_known=bool(delivery or (references and attempt == 1)))
    if is_whole:
        books.lost += [f"{reference}: not even a row" for reference in taken]
    attempts = Attempt.objects.all() if is_whole else Attempt.objects.filter(uuid__in=set(ledger.posts) - {UNNAMED})
    known = {uuid.hex for uuid in attempts.values_list("uuid", flat=True)}
    books.without_intent += [attempt for attempt in ledger.posts if attempt not in known]
    books.posted_twice += [attempt for attempt, times in ledger.posts.items() if times > 1]
    _balance(books, batches, mine)
    return books


def _of_one(books: Books, name: str, state: str, taken: Sequence[str], *, is_known: bool) -> None:
    books.texts += 1
    books.accepted += state == MessageState.ACCEPTED
    books.unknown += state == MessageState.UNKNOWN
    books.skipped += state == MessageState.SKIPPED
    books.rejected += state == MessageState.REJECTED
    if len(taken) > 1:
        books.doubled.append(f"{name} {len(taken)} times, as {' and '.join(taken)}")
    if state in OPEN:
        books.lost.append(f"{name} is {state} for ever")
    if taken and state in NOT_SENT:
        books.shown_as_not_sent.append(f"{name} is {state}")
    if not taken and state == MessageState.ACCEPTED:
        books.shown_as_sent.append(name)
    if state == MessageState.UNKNOWN and is_known:
        books.unknown_with_evidence.append(name)


def _balance(books: Books, batches: Sequence[Batch], mine: Q) -> None:
    """Recipients are the sum of the states, in every batch; and no chunk says other than its messages."""
    for batch in batches:
        counts = batch.counts()
        if sum(counts.values()) != batch.recipients:
            books.unbalanced.append(f"{batch.name}: {batch.recipients} recipients, {counts}")
    found = Chunk.objects.filter(mine, state__in=OPEN_CHUNKS).values_list("pk", "state")
    books.unbalanced += [f"chunk {pk} is {state} for ever" for pk, state in found]
    waiting = Message.objects.filter(mine, state__in=[MessageState.READY, MessageState.HELD]).exclude(
        chunk__state__in=[ChunkState.READY, ChunkState.CLAIMED]
    )
    books.unbalanced += [f"message {pk} waits in a chunk nobody takes" for pk in waiting.values_list("pk", flat=True)]


def after_stops(ledger: Ledger, stops: Mapping[str, float]) -> list[str]:
    """Texts to a number that were intended after its opt-out was committed (E.164 → seconds since 1970).

    An attempt's row is made before its intent commits: one that is younger than the opt-out did not look.
    """
    made = {each.hex: at.timestamp() for each, at in Attempt.objects.values_list("uuid", "created_at")}
    # The latest of each chunk: it is tried again only when all of it was refused.
    chunk_of = dict(Attempt.objects.order_by("pk").values_list("chunk_id", "uuid"))
    found = []
    for reference, number in ledger.numbers.items():
        if number not in stops:
            continue
        uuid, _, _ = reference.partition(".")
        chunk = Message.objects.filter(uuid=uuid).values_list("chunk_id", flat=True).first()
        attempt = chunk_of.get(chunk)
        if attempt and made[attempt.hex] > stops[number]:
            found.append(f"{reference} to {number}")
    return found
