"""The answer to a send is not documented: whatever its shape, staff see the same batch in the end."""

from __future__ import annotations

from typing import Any

import pytest

from messaging import addresses
from messaging.models import Batch, Conversation
from messaging.tasks import drain_all
from smsportal.providers.base import Delivery
from smsportal.providers.ocelot import statuses
from smsportal.sandbox.app import Twins
from smsportal.tests.world import make_account, make_batch

# Delivered, blocked, delivered late, delivered twice, out of order, replies, opted out before, failed then delivered.
NUMBERS = [f"+1312555{last}" for last in ("0100", "0150", "0152", "0153", "0154", "0155", "0157", "0163")]
HARMLESS = ["array", "empty", "renamed", "nested", "extra_items", "doubled_items", "shuffled", "no_reference"]


def sent(twin: Twins, shape: str) -> Batch:
    twin.ocelot.switches.send_shape = shape
    twin.ocelot.hooks.urls["sms"] = addresses.new_endpoint(make_account())
    batch = make_batch(NUMBERS)
    drain_all()
    return Batch.objects.get(pk=batch.pk)


def seen(batch: Batch) -> dict[str, Any]:
    """What staff see of a batch and of its messages, each named by the last digits of its number."""
    messages = {
        each.number.e164[-4:]: each for each in batch.messages.select_related("number").order_by("number__e164")
    }
    return {
        "counts": {state: count for state, count in batch.counts().items() if count},
        "delivered": [last for last, each in messages.items() if each.delivery == Delivery.DELIVERED],
        "failed": [last for last, each in messages.items() if each.delivery == Delivery.FAILED],
        "opted out": [last for last, each in messages.items() if each.number.opted_out],
        "told": {last: each.error_text for last, each in messages.items() if each.delivery == Delivery.FAILED},
        "evidence": {each.evidence for each in messages.values()},
        "replies": [talk.number.e164[-4:] for talk in Conversation.objects.all()],
    }


def in_the_end(twin: Twins, shape: str) -> dict[str, Any]:
    batch = sent(twin, shape)
    twin.settle()
    drain_all()
    ids = {each["customerMessageId"].partition(".")[0]: each["messageUuid"] for each in twin.ocelot.sent}
    assert {str(each.uuid): each.remote_id for each in batch.messages.all()} == ids
    return seen(Batch.objects.get(pk=batch.pk))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("shape", ["object", *HARMLESS])
def test_the_shape_of_the_answer_changes_nothing_for_staff(twin: Twins, settings: Any, shape: str) -> None:
    settings.QUIET_HOURS = ""
    found = in_the_end(twin, shape)
    assert found == {
        "counts": {"accepted": len(NUMBERS)},
        "delivered": ["0100", "0152", "0153", "0154", "0155", "0163"],
        "failed": ["0150", "0157"],
        "opted out": ["0150", "0157"],
        "told": {"0150": statuses.BLOCKED.text, "0157": statuses.OPTED_OUT.text},
        "evidence": {""},
        "replies": ["0155"],
    }


@pytest.mark.django_db(transaction=True)
def test_texts_an_answer_leaves_out_are_unknown_until_their_receipts_come(twin: Twins, settings: Any) -> None:
    settings.QUIET_HOURS = ""
    batch = sent(twin, "missing_items")
    assert batch.counts()["unknown"] == batch.counts()["accepted"] == len(NUMBERS) / 2
    twin.settle()
    drain_all()
    batch = Batch.objects.get(pk=batch.pk)
    assert batch.counts()["accepted"] == len(NUMBERS)
    assert len(twin.ocelot.sent) == len(NUMBERS)  # nothing was sent twice to find out
