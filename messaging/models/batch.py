"""One sending: the batch, its chunks (one provider request each), its messages, attempts and receipts."""

from __future__ import annotations

from typing import TypedDict

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Count, Q

from contacts.models import Contact, ContactList, PhoneNumber, Segment
from messaging.models.template import TemplateVersion
from messaging.statuses import DELIVERY_TITLES, BatchState, ChunkState, MessageState, Reason, shown_state
from smsportal.accounts.models import OwnedQuerySet, ProviderAccount, Unit, User
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
    expired: int
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
    segments = models.ManyToManyField(Segment, blank=True, related_name="batches")
    # A correction: its audience is who got the text of this batch, or may have got it, and no earlier correction.
    corrects = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="corrections")
    template_version = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, null=True, blank=True)
    text = models.TextField(help_text="The text as it stands in this revision, placeholders included.")
    provider_options = models.JSONField(default=dict, blank=True)
    send_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="What has not left by then is not sent.")
    # When preparing may begin: `send_at` or the end of the moment in which a start can be undone. Null: at once.
    leaves_at = models.DateTimeField(null=True, editable=False)
    late_allowed = models.BooleanField(default=False, editable=False)  # a person agreed to send it although overdue
    # Of the form it was written in: sent twice (a second click, the back button), a form makes one batch.
    token = models.CharField(max_length=64, blank=True, editable=False)
    # What was approved: a hash over name, text, audience, sender and time. Any change voids it.
    snapshot = models.CharField(max_length=64, blank=True, editable=False)
    waterfall = models.JSONField(null=True, editable=False)
    # The waterfall as it was submitted: from the first text prepared on, the other one counts those prepared.
    planned = models.JSONField(null=True, editable=False)
    recipients = models.PositiveIntegerField(default=0, editable=False)
    expanded_to = models.PositiveBigIntegerField(default=0, editable=False)  # PhoneNumber.id composing has reached
    resume_to = models.CharField(max_length=20, blank=True, editable=False)  # the state `resume` leads back to
    problem = models.CharField(max_length=500, blank=True, editable=False)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    submitter = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    # Whoever changed it once; their words may still be in it.
    editors = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+", blank=True, editable=False)
    # Who made the latest move, and when: what the second of two people clicking is told.
    moved_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    moved_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "batches"
        constraints = [
            models.UniqueConstraint(fields=["unit", "token"], condition=~Q(token=""), name="one_batch_per_form")
        ]
        permissions = [
            ("send_batch", "Can submit, start and control batches and send single texts"),
            ("approve_batch", "Can approve batches of others"),
        ]

    def __str__(self) -> str:
        return self.name

    def is_of(self, person: User | AnonymousUser) -> bool:
        """Whether `person` wrote, edited or submitted it: nobody approves their own."""
        if person.pk is None:
            return False
        return person.pk in {self.author_id, self.submitter_id} or self.editors.filter(pk=person.pk).exists()

    def counts(self) -> dict[str, int]:
        """Messages by state, every state named. Their sum is `recipients`, at every commit."""
        counts = dict.fromkeys(MessageState.values, 0)
        for state, chunk_state, number in (
            self.messages.order_by().values_list("state", "chunk__state").annotate(n=Count("id"))
        ):
            counts[shown_state(state, chunk_state)] += number
        return counts


class Chunk(Claimable):
    """The messages of one provider request. `not_before`: until when quiet hours or a holiday hold it."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="chunks")
    state = models.CharField(max_length=10, choices=ChunkState, default=ChunkState.READY)
    size = models.PositiveIntegerField()
    not_before = models.DateTimeField(null=True, blank=True)
    # The time zones its people may be in, as `messaging.zones` writes them: all of them must be outside quiet hours.
    zones = models.CharField(max_length=500, blank=True)
    # Unknown: how often the provider's transcripts were searched for it, when next, and what was found.
    looks = models.PositiveSmallIntegerField(default=0)
    look_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["batch", "state", "id"]),
            models.Index(
                fields=["state", "lease_until"],
                name="chunk_at_work",
                condition=Q(state__in=["claimed", "submitting"]),
            ),
            models.Index(fields=["look_at"], name="chunk_to_look_up", condition=Q(look_at__isnull=False)),
        ]


class Message(Row):
    """One text to one number in one batch. `attempt` counts how often we set out to hand it over."""

    unit_path = "batch__unit"

    # Every change of a message writes all its indexes anew, so it has few: those below serve these three keys, too.
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="messages", db_index=False)
    chunk = models.ForeignKey(Chunk, on_delete=models.SET_NULL, null=True, related_name="messages", db_index=False)
    contact = models.ForeignKey(Contact, on_delete=models.SET_NULL, null=True, related_name="messages")
    number = models.ForeignKey(PhoneNumber, on_delete=models.PROTECT, related_name="messages", db_index=False)
    text = models.TextField()
    segments = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=12, choices=MessageState, default=MessageState.READY)
    reason = models.CharField(max_length=20, choices=Reason, blank=True)
    # How an unknown one was resolved: receipt, inference, or staff, who wrote it off or had it sent again.
    evidence = models.CharField(max_length=20, blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    delivery = models.PositiveSmallIntegerField(choices=DELIVERY_TITLES, default=Delivery.NONE)
    reported_failed = models.BooleanField(default=False)
    reported_delivered = models.BooleanField(default=False)
    double_send = models.BooleanField(default=False)  # an earlier attempt turned out to have been sent as well
    error_code = models.CharField(max_length=100, blank=True)
    error_text = models.CharField(max_length=500, blank=True)
    remote_id = models.CharField(max_length=120, blank=True)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["batch", "number"], name="one_text_per_number_and_batch")]
        indexes = [
            # None on what sending writes: PostgreSQL then changes a row in place, and need not write every index anew.
            models.Index(fields=["chunk"]),
            models.Index(fields=["number", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.text[:40]}"

    @property
    def standing(self) -> str:
        """`state` as people are told it: a worker's claim is written on the chunk alone."""
        return shown_state(self.state, self.chunk.state if self.chunk else None)

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
        indexes = [
            models.Index(fields=["finished_at"]),  # what left in the last minute
            models.Index(fields=["remote_id"]),
        ]


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
        indexes = [models.Index(fields=["at"])]  # what arrived since a page was last looked at
