"""What staff must be told although nobody asked: shown until somebody says that they have seen it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from messaging.models.batch import Batch
from messaging.statuses import in_words
from smsportal.accounts.models import OwnedQuerySet, Unit
from smsportal.rows import Row


class AlertKind(models.TextChoices):
    """Why it was raised."""

    FAILURES = "failures", "Many texts fail"
    UNKNOWN = "unknown", "Many texts are unknown"
    OPT_OUTS = "opt_outs", "Many people opt out"
    OVERDUE = "overdue", "Overdue"
    DOUBLE = "double", "Sent twice"
    VOIDED = "voided", "Not sent: a draft again"


class Alert(Row):
    """One thing that went wrong with a batch; `text` says what and what to do next."""

    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="alerts")
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, null=True, blank=True, related_name="alerts")
    kind = models.CharField(max_length=10, choices=AlertKind)
    text = models.CharField(max_length=500)
    seen_at = models.DateTimeField(null=True, db_index=True)
    seen_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.text

    @property
    def told(self) -> str:
        """`text`; as what was said then, once somebody has moved the batch, for its advice may apply no longer."""
        moved = self.batch.moved_at if self.batch else None
        if self.batch is None or moved is None or moved <= self.created_at:
            return self.text
        since = f"{timezone.localtime(moved):%d %B at %H:%M:%S}"
        return f"It was said then: “{self.text}” The batch was changed since, on {since}: it is {in_words(self.batch.state)} now."
