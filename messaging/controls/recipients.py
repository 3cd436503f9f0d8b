"""Who got the text of a batch and who did not, row by row, and for which reasons texts failed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from django.db.models import Count, Max, Q, QuerySet

from messaging.models import Batch, Message
from messaging.statuses import DELIVERY_WORDS, WHO_GOT, Got, MessageState
from smsportal import providers
from smsportal.problems import Wrong
from smsportal.providers.base import Delivery

PAGE: Final = 2000
REFUSED_OR_FAILED: Final = Q(state=MessageState.REJECTED) | Q(state=MessageState.ACCEPTED, delivery=Delivery.FAILED)


class Recipient(NamedTuple):
    """One text and what became of it, in words of the API; `to` in E.164."""

    to: str
    first_name: str
    last_name: str
    text: str
    state: str
    reason: str
    delivery: str
    error_code: str
    error_text: str
    id: str


class FailureClass(NamedTuple):
    """Texts that failed for one reason. `number`: how many would be sent again; `again`: whether that makes sense.

    `opted_out`: further ones whose people opted out since; they are not sent again.
    """

    code: str
    title: str
    advice: str
    number: int
    again: bool
    opted_out: int = 0


def outcome_counts(batch: Batch) -> dict[str, int]:
    """How many people got the text, may have got it, did not: together, the recipients. One query."""
    return Message.objects.filter(batch=batch).aggregate(
        **{str(name): Count("pk", filter=q) for name, q in WHO_GOT.items()}
    )


def outcome_rows(batch: Batch, group: str) -> Iterator[Recipient]:
    """Everyone of `group` (got, may_have, did_not), however many, in memory that does not grow.

    Read in pages along the (batch, number) index, so no transaction is held open while somebody downloads. Raises
    Wrong for another group.
    """
    if group not in WHO_GOT:
        raise Wrong(f"There is no group “{group}”; there are {', '.join(Got.values)}.", errors={"group": ["Unknown."]})
    return _rows(Message.objects.filter(WHO_GOT[group], batch=batch))


def _rows(messages: QuerySet[Message]) -> Iterator[Recipient]:
    names = (
        "number_id",
        "number__e164",
        "contact__first_name",
        "contact__last_name",
        "text",
        "state",
        "reason",
        "delivery",
    )
    rows = messages.order_by("number_id").values_list(*names, "error_code", "error_text", "uuid")
    last = 0
    while page := list(rows.filter(number_id__gt=last)[:PAGE]):
        for _, to, first, surname, text, state, reason, delivery, code, said, uuid in page:
            word = DELIVERY_WORDS[delivery]
            yield Recipient(to, first or "", surname or "", text, state, reason, word, code, said, str(uuid))
        last = page[-1][0]


def failed(batch: Batch, classes: Collection[str] = ()) -> QuerySet[Message]:
    """The messages of `batch` worth another try: refused or reported as failed, not opted out.

    `classes`: only those with one of these error codes.
    """
    found = _failed(batch).filter(number__opted_out=False)
    return found.filter(error_code__in=classes) if classes else found


def _failed(batch: Batch) -> QuerySet[Message]:
    """Refused or reported as failed, but for those of whom a report says that they have the text all the same."""
    return Message.objects.filter(REFUSED_OR_FAILED, batch=batch).exclude(WHO_GOT[Got.GOT])


def failure_classes(batch: Batch) -> list[FailureClass]:
    """Why texts of `batch` failed, by the provider's error code, the most frequent first. One query."""
    provider = providers.get(batch.account.provider)
    out = Q(number__opted_out=True)
    found = (
        _failed(batch)
        .order_by()
        .values_list("error_code")
        .annotate(waits=Count("pk", filter=~out), out=Count("pk", filter=out), said=Max("error_text"))
    )
    classes = []
    for code, waits, gone, said in found:
        trouble = provider.explain(code, said)
        classes.append(FailureClass(code, trouble.title, trouble.advice, waits, trouble.again and waits > 0, gone))
    return sorted(classes, key=lambda each: (-each.number, -each.opted_out, each.code))


def refuse_unknown_classes(batch: Batch, classes: Collection[str]) -> None:
    """Raise Wrong when no text of `batch` failed with one of these codes."""
    there = [each.code for each in failure_classes(batch)] if classes else []
    if unknown := [each for each in classes if each not in there]:
        known = f"There are: {_quoted(there)}." if there else "Nothing in it failed that could be sent again."
        sentence = f"No text of this batch failed with {_quoted(unknown)}. {known}"
        raise Wrong(sentence, errors={"classes": [sentence]})


def _quoted(codes: Collection[str]) -> str:
    return ", ".join(f"“{each}”" for each in codes)
