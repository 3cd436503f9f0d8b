"""The thread with one number through one account: what we said and what came back."""

from __future__ import annotations

from django.db import models

from contacts.models import PhoneNumber
from messaging.models.batch import Message
from messaging.models.webhook import WebhookItem
from smsportal.accounts.models import ProviderAccount
from smsportal.rows import Row


class Conversation(Row):
    """All turns with one number through one account."""

    account = models.ForeignKey(ProviderAccount, on_delete=models.CASCADE, related_name="conversations")
    number = models.ForeignKey(PhoneNumber, on_delete=models.PROTECT, related_name="conversations")
    needs_attention = models.BooleanField(default=False)
    last_text = models.CharField(max_length=300, blank=True)
    last_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        ordering = ["-last_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["account", "number"], name="one_conversation_per_number")]

    def __str__(self) -> str:
        return str(self.number)


class Direction(models.TextChoices):
    """Who spoke."""

    IN = "in", "From the person"
    OUT = "out", "From us"


class Turn(models.Model):
    """One text of a conversation. What we sent is read from the messages; only what came in is stored here."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="turns")
    direction = models.CharField(max_length=3, choices=Direction, default=Direction.IN)
    text = models.TextField(blank=True)
    at = models.DateTimeField()
    message = models.ForeignKey(Message, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    item = models.OneToOneField(WebhookItem, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["at", "id"]
