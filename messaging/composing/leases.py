"""The claim under which one worker at a time composes a batch."""

from __future__ import annotations

from typing import Final

from django.db.models import QuerySet

from messaging.models import Batch
from messaging.statuses import BatchState
from smsportal.claims import Claim

LEASE_S: Final = 180  # many times what a page takes; every page renews it


def mine(held: Claim) -> QuerySet[Batch]:
    """The claimed batch, as long as it is being composed and nobody else has claimed it."""
    return Batch.objects.filter(pk=held.pk, fence=held.fence, state=BatchState.EXPANDING)
