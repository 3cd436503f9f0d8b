"""One permanent row per phone number: it holds the consent state and is the lock that makes an opt-out win every race."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from smsportal.rows import Row


class ConsentKind(models.TextChoices):
    """Which way the person went."""

    OUT = "out", "Opted out"
    IN = "in", "Opted in"


class ConsentSource(models.TextChoices):
    """Where the news came from."""

    PROVIDER = "provider", "Reported by the provider"
    REPLY = "reply", "Reply of the person"
    CARRIER = "carrier", "Blocked by the person at the carrier"
    STAFF = "staff", "Entered by staff"
    IMPORT = "import", "Imported file"
    API = "api", "Program"


class PhoneNumber(Row):
    """A number in E.164. Never deleted while a message or a consent event points at it.

    The consent state is the greatest of all consent events in the order (staff block, time, kind with out above in);
    only `contacts.consent` writes it.
    """

    e164 = models.CharField("number", max_length=16, unique=True)
    opted_out = models.BooleanField(default=False, db_index=True, editable=False)
    staff_block = models.BooleanField(default=False, editable=False)
    consent_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["e164"]

    def __str__(self) -> str:
        return self.e164


class ConsentEvent(Row):
    """Append-only: one thing a person, a provider or staff said about texting a number."""

    number = models.ForeignKey(PhoneNumber, on_delete=models.PROTECT, related_name="consent_events")
    kind = models.CharField(max_length=3, choices=ConsentKind)
    source = models.CharField(max_length=10, choices=ConsentSource)
    at = models.DateTimeField(help_text="When it took effect: never later than when we learned of it.")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    evidence = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["number", "-id"])]

    def __str__(self) -> str:
        return f"{self.number} {self.get_kind_display()}"
