"""One sending: the batch, its chunks (one provider request each), its messages, attempts and receipts."""

from __future__ import annotations

from typing import TypedDict

from django.conf import settings
from django.db import models
from django.db.models import Count, Q

from contacts.models import Contact, ContactList, PhoneNumber
from messaging.models.template import TemplateVersion
from messaging.statuses import DELIVERY_TITLES, BatchState, ChunkState, MessageState, Reason
from smsportal.accounts.models import OwnedQuerySet, ProviderAccount, Unit
from smsportal.claims import Claimable
from smsportal.providers.base import Delivery
from smsportal.rows import Row


class Waterfall(TypedDict):
    """How an audience becomes those written to: audience = the sum of all the others."""

    audience: int
    duplicates: int
    invalid: int
    opted_out: int
    capped: int
    quiet_hours: int
    will_send: int


class Batch(Row, Claimable):
    """Audience × frozen text × sender × time. A 1:1 text is a batch with `single` set and one message."""

    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="batches")
    name = models.CharField(max_length=200)
    single = models.BooleanField(default=False, editable=False)
    state = models.CharField(max_length=20, choices=BatchState, default=BatchState.DRAFT, editable=False)
    revision = models.PositiveIntegerField(default=1, editable=False)
    account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, related_name="batches")
    channel = models.CharField(max_length=20, default="sms")
    sender = models.CharField(max_length=32)
    operator = models.EmailField(blank=True)
    lists = models.ManyToManyField(ContactList, blank=True, related_name="batches")
    template_version = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, null=True, blank=True)
    text = models.TextField(help_text="The text as it stands in this revision, placeholders included.")
    provider_options = models.JSONField(default=dict, blank=True)
    send_at = models.DateTimeField(null=True, blank=True)
    # What was approved: a hash over text, audience, sender and time. Any change voids it.
    snapshot = models.CharField(max_length=64, blank=True, editable=False)
    waterfall = models.JSONField(null=True, editable=False)
    recipients = models.PositiveIntegerField(default=0, editable=False)
    expanded_to = models.PositiveBigIntegerField(default=0, editable=False)  # PhoneNumber.id composing has reached
    resume_to = models.CharField(max_length=20, blank=True, editable=False)  # the state `resume` leads back to
    problem = models.CharField(max_length=500, blank=True, editable=False)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    submitter = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    # Who made the latest move, and when: what the second of two people clicking is told.
    moved_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    moved_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "batches"
        permissions = [
            ("send_batch", "Can submit, start and control batches and send single texts"),
            ("approve_batch", "Can approve batches of others"),
        ]

    def __str__(self) -> str:
        return self.name

    def counts(self) -> dict[str, int]:
        """Messages by state, every state named. Their sum is `recipients`, at every commit."""
        found = dict(self.messages.order_by().values_list("state").annotate(n=Count("id")))
        return {state: found.get(state, 0) for state in MessageState.values}


class Chunk(Claimable):
    """The messages of one provider request. `not_before` holds it back after a throttle or a lost connection."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="chunks")
    state = models.CharField(max_length=10, choices=ChunkState, default=ChunkState.READY)
    size = models.PositiveIntegerField()
    not_before = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["batch", "state", "id"]),
            models.Index(
                fields=["state", "lease_until"],
                name="chunk_at_work",
                condition=Q(state__in=["claimed", "submitting"]),
            ),
        ]


class Message(Row):
    """One text to one number in one batch. `attempt` counts how often we set out to hand it over."""

    unit_path = "batch__unit"

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="messages")
    chunk = models.ForeignKey(Chunk, on_delete=models.SET_NULL, null=True, related_name="messages")
    contact = models.ForeignKey(Contact, on_delete=models.SET_NULL, null=True, related_name="messages")
    number = models.ForeignKey(PhoneNumber, on_delete=models.PROTECT, related_name="messages")
    text = models.TextField()
    segments = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=12, choices=MessageState, default=MessageState.READY)
    reason = models.CharField(max_length=20, choices=Reason, blank=True)
    evidence = models.CharField(max_length=20, blank=True)  # how an unknown one was resolved: receipt, inference, staff
    attempt = models.PositiveSmallIntegerField(default=0)
    delivery = models.PositiveSmallIntegerField(choices=DELIVERY_TITLES, default=Delivery.NONE)
    reported_failed = models.BooleanField(default=False)
    reported_delivered = models.BooleanField(default=False)
    double_send = models.BooleanField(default=False)  # an earlier attempt turned out to have been sent as well
    error_code = models.CharField(max_length=100, blank=True)
    error_text = models.CharField(max_length=500, blank=True)
    remote_id = models.CharField(max_length=120, blank=True, db_index=True)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["batch", "number"], name="one_text_per_number_and_batch")]
        indexes = [
            models.Index(fields=["batch", "state", "delivery"]),
            models.Index(fields=["chunk", "state"]),
            models.Index(fields=["number", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.text[:40]}"

    @property
    def reference(self) -> str:
        """Our id of the latest attempt, as the provider echoes it."""
        return f"{self.uuid}.{self.attempt}"


class Attempt(Row):
    """One request for one chunk: written before it leaves, completed after. Open ones are what we do not know yet."""

    chunk = models.ForeignKey(Chunk, on_delete=models.CASCADE, related_name="attempts")
    fence = models.PositiveIntegerField()
    texts = models.PositiveIntegerField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(
        max_length=20, blank=True
    )  # the decision of messaging/sending/answers.py; blank while open
    status = models.PositiveSmallIntegerField(null=True)
    remote_id = models.CharField(max_length=120, blank=True)
    answer = models.TextField(blank=True)  # the first 2,000 characters

    class Meta:
        ordering = ["-id"]


class Receipt(models.Model):
    """One thing a provider said of one message: in its answer to the send, or later by webhook."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="receipts")
    attempt = models.PositiveSmallIntegerField()
    source = models.CharField(max_length=10)  # answer | webhook | inference | staff
    delivery = models.PositiveSmallIntegerField(choices=DELIVERY_TITLES, default=Delivery.NONE)
    status = models.CharField(max_length=100, blank=True)  # the provider's own word
    error_code = models.CharField(max_length=100, blank=True)
    error_text = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
