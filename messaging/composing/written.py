"""Who fell at which step of the waterfall of a batch that is written: told from its messages, whatever the lists say since."""

from __future__ import annotations

from typing import Final

from django.db.models import Q, QuerySet

from messaging.composing.opening import Opening
from messaging.composing.steps import refuse_unknown
from messaging.composing.waterfalls import INVALID
from messaging.models import Batch, Message
from messaging.statuses import MessageState, Reason

# A text that was never to leave has no chunk; who opts out later keeps the one the text was in.
_LEFT_OUT: Final = (*INVALID, Reason.OPTED_OUT, Reason.CAPPED, Reason.EXPIRED)
_NEVER: Final = Q(chunk=None, state=MessageState.SKIPPED, reason__in=_LEFT_OUT)


def fallen(batch: Batch, step: str) -> QuerySet[Message] | None:
    """The messages of those who fell at `step` when `batch` was written, each number once, in the order of the numbers.

    None for `duplicates`, which get no message; the audience is all but these. Raises Wrong for a step that does not
    exist.
    """
    refuse_unknown(step)
    messages = Message.objects.filter(batch=batch).order_by("number_id")
    match step:
        case "duplicates":
            return None
        case "audience":
            return messages
        case "invalid":
            return messages.filter(_NEVER, reason__in=INVALID)
        case "quiet_hours":
            return messages.filter(_held(batch))
        case "will_send":
            return messages.exclude(_NEVER).exclude(_held(batch))
        case _:
            return messages.filter(_NEVER, reason=step)


def _held(batch: Batch) -> Q:
    """Those who had to wait for their hour: nothing says so once they are sent, but when and where they are does."""
    first = batch.messages.order_by("pk").values_list("created_at", flat=True).first()
    if first is None or not (batch.waterfall or {}).get("quiet_hours"):
        return Q(pk__in=[])
    opening = Opening(batch, at=first)
    zones = batch.chunks.order_by().values_list("zones", flat=True).distinct()
    return Q(pk__in=Message.objects.filter(batch=batch, chunk__zones__in=[own for own in zones if opening(own)]))
