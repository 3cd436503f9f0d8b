"""The columns of a row that has a counterpart at a provider."""

from __future__ import annotations

from django.db import models


class SyncState(models.TextChoices):
    """How a row stands to its counterpart."""

    NEVER = "never", "Never synced"
    PENDING = "pending", "Waiting to be synced"
    RUNNING = "running", "Being synced"
    IN_STEP = "in_step", "In step"
    DRIFTED = "drifted", "Differs from the provider"
    ERROR = "error", "Could not be synced"


class Mirrored(models.Model):
    """`pushed` is the digest of what the provider was last known to hold: ours differs from it → we changed the row."""

    remote_id = models.CharField(max_length=120, blank=True, db_index=True, editable=False)
    remote = models.JSONField(null=True, blank=True, editable=False)
    pushed = models.CharField(max_length=64, blank=True, editable=False)
    sync_state = models.CharField(max_length=10, choices=SyncState, default=SyncState.NEVER, editable=False)
    sync_error = models.CharField(max_length=1000, blank=True, editable=False)
    synced_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True
