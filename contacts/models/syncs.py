"""One mirroring run of one list: the plan that was shown, whether it was confirmed, and what came of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from contacts.models.lists import ContactList
from smsportal.accounts.models import OwnedQuerySet
from smsportal.claims import Claimable
from smsportal.rows import Row


class SyncRunState(models.TextChoices):
    """Where a run stands. `running` is work for a worker, also after a kill."""

    PLANNED = "planned", "Planned, nothing written"
    RUNNING = "running", "Running"
    FINISHED = "finished", "Finished"
    FAILED = "failed", "Failed"
    STALE = "stale", "Outdated: plan again"


class SyncRun(Row, Claimable):
    """`plan` holds counts and samples for people, `plan_hash` binds a confirmation to exactly this plan.

    `stage` says how far a destructive run came: "" → "copied" (the remote list is stored in `backup`) → "emptied"
    (the replace call was answered) → refilling. A run killed between two stages resumes at the later one it reached.
    """

    unit_path = "contact_list__unit"

    contact_list = models.ForeignKey(ContactList, on_delete=models.CASCADE, related_name="sync_runs")
    state = models.CharField(max_length=10, choices=SyncRunState, default=SyncRunState.PLANNED, editable=False)
    plan = models.JSONField(default=dict, editable=False)
    plan_hash = models.CharField(max_length=64, editable=False)
    report = models.JSONField(null=True, editable=False)
    stage = models.CharField(max_length=10, blank=True, editable=False)
    backup = models.JSONField(null=True, editable=False)
    problem = models.CharField(max_length=1000, blank=True, editable=False)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    retry_at = models.DateTimeField(null=True, editable=False)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.contact_list} · {self.get_state_display()}"
