"""The thread with one number through one account: what we said and what came back."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Exists, OuterRef, Q

from contacts.models import Contact, PhoneNumber
from messaging.models.batch import Message
from messaging.models.webhook import WebhookItem
from smsportal.accounts.models import OwnedQuerySet, ProviderAccount, Unit, User
from smsportal.rows import Row


class ConversationQuerySet(OwnedQuerySet):
    """Conversations, seen by the units that wrote to the person or keep them in a list."""

    def visible_to(self, user: User | AnonymousUser) -> ConversationQuerySet:
        if user.has_perm("accounts.see_all_units"):
            return self
        units = user.units.all() if isinstance(user, User) else Unit.objects.none()
        written = Message.objects.filter(
            number=OuterRef("number"), batch__account=OuterRef("account"), batch__unit__in=units
        )
        kept = Contact.objects.filter(
            number=OuterRef("number"), contact_list__account=OuterRef("account"), contact_list__unit__in=units
        )
        return self.filter(Q(Exists(written)) | Q(Exists(kept)))


class Conversation(Row):
    """All turns with one number through one account."""

    account = models.ForeignKey(ProviderAccount, on_delete=models.CASCADE, related_name="conversations")
    number = models.ForeignKey(PhoneNumber, on_delete=models.PROTECT, related_name="conversations")
    needs_attention = models.BooleanField(default=False)
    last_text = models.CharField(max_length=300, blank=True)
    last_at = models.DateTimeField(null=True, db_index=True)

    objects = ConversationQuerySet.as_manager()

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
