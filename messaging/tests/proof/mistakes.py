"""The mistakes that are planted into the real code, one at a time: a proof that lets one of them pass proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from django.db import transaction

from messaging import sending, sweeping
from messaging.models import Chunk, Message
from messaging.sending import claiming, intents, outcomes
from messaging.sending.answers import Decision, Verdict, decide
from messaging.statuses import ChunkState, MessageState
from smsportal import clock
from smsportal.providers.base import Answer, Fate

Planting = Callable[[], AbstractContextManager[Any]]


def planted(name: str) -> AbstractContextManager[Any]:
    """Within this block, and in every process forked in it, the code makes the mistake `name`; "" is none."""
    return PLANTINGS[name]() if name else nullcontext()


def retries_a_timeout() -> AbstractContextManager[Any]:
    def hopeful(outcome: Answer | Exception, size: int) -> Decision:
        decision = decide(outcome, size)
        return replace(decision, verdict=Verdict.LATER) if decision.verdict is Verdict.UNKNOWN else decision

    return patch.object(sending, "decide", hopeful)


def takes_503_for_refused() -> AbstractContextManager[Any]:
    def hopeful(outcome: Answer | Exception, size: int) -> Decision:
        decision = decide(outcome, size)
        return replace(decision, verdict=Verdict.LATER) if decision.status == 503 else decision

    return patch.object(sending, "decide", hopeful)


def sweeps_to_ready() -> AbstractContextManager[Any]:
    def ready(chunk_id: int) -> bool:
        Message.objects.filter(chunk=chunk_id, state=MessageState.SUBMITTING).update(state=MessageState.READY)
        return bool(Chunk.objects.filter(pk=chunk_id).update(state=ChunkState.READY, owner="", lease_until=None))

    return patch.object(sweeping, "_judge", ready)


def sweeps_nothing() -> AbstractContextManager[Any]:
    return patch.object(sweeping, "_judge", lambda chunk_id: False)


def commits_no_intent() -> AbstractContextManager[Any]:
    real = intents.intend

    def forgotten(taken: Sequence[Any], **given: Any) -> list[Any]:
        with transaction.atomic():
            made = real(taken, **given)
            transaction.set_rollback(True)
        return made

    return patch.object(sending, "intend", forgotten)


def intends_without_the_fence() -> AbstractContextManager[Any]:
    real = intents.intend

    def anyway(taken: Sequence[Any], **given: Any) -> list[Any]:
        for each in taken:
            Chunk.objects.filter(pk=each.held.pk).update(
                state=ChunkState.CLAIMED, fence=each.held.fence, lease_until=clock.after(60)
            )
            Message.objects.filter(chunk=each.held.pk).update(state=MessageState.READY)
        return real(taken, **given)

    return patch.object(sending, "intend", anyway)


def posts_when_stale() -> AbstractContextManager[Any]:
    return patch.object(sending, "FRESH_S", float("inf"))


def claims_what_is_being_submitted() -> AbstractContextManager[Any]:
    real = claiming._turn

    def greedy(*given: Any) -> Any:
        Chunk.objects.filter(state=ChunkState.SUBMITTING, lease_until__lt=clock.now()).update(state=ChunkState.CLAIMED)
        Message.objects.filter(chunk__state=ChunkState.CLAIMED, state=MessageState.SUBMITTING).update(
            state=MessageState.READY
        )
        return real(*given)

    return patch.object(claiming, "_turn", greedy)


def writes_one_answer_for_a_group() -> AbstractContextManager[Any]:
    real = outcomes.record
    return patch.object(outcomes, "record", lambda done: real([(intent, done[0][1]) for intent, _ in done]))


def believes_every_item() -> AbstractContextManager[Any]:
    def believing(outcome: Answer | Exception, size: int) -> Decision:
        decision = decide(outcome, size)
        receipts = tuple(type(each)(each.reference, Fate.ACCEPTED, each.remote_id) for each in decision.receipts)
        return replace(decision, receipts=receipts)

    return patch.object(sending, "decide", believing)


PLANTINGS: dict[str, Planting] = {
    "retries a timeout": retries_a_timeout,
    "takes 503 for refused": takes_503_for_refused,
    "sweeps to ready": sweeps_to_ready,
    "sweeps nothing": sweeps_nothing,
    "commits no intent": commits_no_intent,
    "intends without the fence": intends_without_the_fence,
    "posts when stale": posts_when_stale,
    "claims what is being submitted": claims_what_is_being_submitted,
    "writes one answer for a group": writes_one_answer_for_a_group,
    "believes every item": believes_every_item,
}
