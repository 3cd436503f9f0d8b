"""When each kind of background work last ran: the row an alarm looks at."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """One row per lane of work."""

    lane = models.CharField(max_length=40, unique=True)
    at = models.DateTimeField()
    owner = models.CharField(max_length=80, blank=True)

    class Meta:
        ordering = ["lane"]

    def __str__(self) -> str:
        return self.lane
