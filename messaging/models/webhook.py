"""What providers send us: the addresses they call, the raw calls, and each element of a call with its own fate."""

from __future__ import annotations

from django.db import models

from contacts.models import PhoneNumber
from messaging.models.batch import Attempt, Message
from smsportal.accounts.models import ProviderAccount
from smsportal.claims import Claimable
from smsportal.rows import Row


class WebhookEndpoint(Row):
    """A secret address given to a provider. Only the token's hash is stored; two may live while one is rotated out."""

    account = models.ForeignKey(ProviderAccount, on_delete=models.CASCADE, related_name="webhook_endpoints")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=8, editable=False)  # the first characters, to tell two apart
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.account} {self.hint}…"


class CallState(models.TextChoices):
    """Of a raw call. `new` is work for a worker."""

    NEW = "new", "Waiting to be read"
    DONE = "done", "Read"
    PARKED = "parked", "Cannot be read"


class WebhookCall(Row, Claimable):
    """One POST as received. The same body again only raises `deliveries`."""

    account = models.ForeignKey(ProviderAccount, on_delete=models.CASCADE, related_name="webhook_calls")
    attempt = models.ForeignKey(Attempt, on_delete=models.SET_NULL, null=True, blank=True)
    sha256 = models.CharField(max_length=64)
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    deliveries = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=8, choices=CallState, default=CallState.NEW)
    problem = models.CharField(max_length=500, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("replay_webhookcall", "Can process webhook calls again")]
        constraints = [models.UniqueConstraint(fields=["account", "sha256"], name="one_call_per_body")]
        indexes = [
            models.Index(fields=["state", "id"]),
            # Those to an account's own address, which are read first; `next_call` asks for them in this very order.
            # PostgreSQL would look for the first of them by id alone, through all that were ever read. And SQLite uses
            # a condition only where the statement has it word for word, and the state is a mark in it.
            models.Index(fields=["state", "attempt", "id"], condition=models.Q(attempt=None), name="calls_read_first"),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.created_at:%Y-%m-%d %H:%M:%S}"


class ItemState(models.TextChoices):
    """Of one element of a call. `new` and `unmatched` are tried again."""

    NEW = "new", "Waiting"
    APPLIED = "applied", "Applied"
    UNMATCHED = "unmatched", "Belongs to nothing we know"
    UNRECOGNISED = "unrecognised", "Not understood, kept"
    CONFLICT = "conflict", "Repeats an event with another content"
    PARKED = "parked", "Failed"


class WebhookItem(Row):
    """One element of a call. `key` is the same for every repetition of the same news, so that it counts once."""

    call = models.ForeignKey(WebhookCall, on_delete=models.CASCADE, related_name="items")
    account = models.ForeignKey(ProviderAccount, on_delete=models.CASCADE, related_name="+")
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=20)
    key = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    raw = models.JSONField()
    state = models.CharField(max_length=12, choices=ItemState, default=ItemState.NEW)
    repeats = models.PositiveIntegerField(default=0)
    message = models.ForeignKey(Message, on_delete=models.SET_NULL, null=True, blank=True)
    number = models.ForeignKey(PhoneNumber, on_delete=models.SET_NULL, null=True, blank=True)
    effect = models.CharField(max_length=300, blank=True)
    problem = models.CharField(max_length=1000, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["call", "position"]
        constraints = [models.UniqueConstraint(fields=["account", "key"], name="one_item_per_news")]
        indexes = [models.Index(fields=["state", "retry_at"])]

    def __str__(self) -> str:
        return f"{self.kind}, element {self.position + 1}"
