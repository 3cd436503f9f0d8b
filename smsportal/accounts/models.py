"""Who works here and with which keys: people, their offices, API tokens, provider accounts, repeated API calls."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db import models
from django.db.models import Q
from knox.models import AbstractAuthToken

from smsportal import clock, providers
from smsportal.accounts.fields import EncryptedJSONField
from smsportal.providers.base import Account, Provider
from smsportal.rows import Row


class Unit(Row):
    """The office that owns lists, templates and batches; people see the rows of their units."""

    name = models.CharField(max_length=120, unique=True)
    time_zone = models.CharField(max_length=64, default="America/New_York")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person who signs in, or a program that calls the API."""

    units = models.ManyToManyField(Unit, blank=True, related_name="members")
    phone = models.CharField(
        "own phone number", max_length=16, blank=True, help_text="E.164; where test texts to oneself go."
    )

    class Meta(AbstractUser.Meta):
        permissions = [("see_all_units", "Can see the rows of all units")]

    def home(self) -> Unit | None:
        """The unit that owns what this person makes when no unit is named."""
        return self.units.order_by("id").first() or (
            Unit.objects.order_by("id").first() if self.has_perm("accounts.see_all_units") else None
        )


class OwnedQuerySet(models.QuerySet[Any]):
    """Rows that belong to a unit, directly or through `unit_path`."""

    def visible_to(self, user: User | AnonymousUser) -> OwnedQuerySet:
        """Only the rows of the units of `user`; all of them with the right to see all units."""
        if user.has_perm("accounts.see_all_units"):
            return self
        path = getattr(self.model, "unit_path", "unit")
        return self.filter(**{f"{path}__in": user.units.all()}) if isinstance(user, User) else self.none()


class ApiToken(AbstractAuthToken):
    """A bearer token of a program: only its hash is stored. `scopes` like `lists:read`, or `all`."""

    uuid = models.UUIDField("id", default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=120)
    scopes = models.JSONField(default=list)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API token"
        ordering = ["-created"]

    def __str__(self) -> str:
        return f"{self.name} ({self.token_key}…)"

    def allows(self, scope: str) -> bool:
        """Whether this token may do `scope`; the user's own permissions are checked besides."""
        return "all" in self.scopes or scope in self.scopes


class IdempotencyKey(models.Model):
    """The answer given to a POST that named an Idempotency-Key, to be given again to the same POST."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)  # null: the first call is still running
    answer = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="one_answer_per_key")]


class ProviderAccount(Row):
    """Credentials and address of one account at a provider, and whether sending through it is open."""

    slug = models.SlugField(unique=True)
    provider = models.CharField(max_length=40, choices=providers.choices)
    name = models.CharField(max_length=120)
    base_url = models.URLField(help_text="Where the provider's API begins, without a slash at the end.")
    secrets = EncryptedJSONField(default=dict, blank=True, editable=False)
    options = models.JSONField(default=dict, blank=True)
    operator = models.EmailField(blank=True, help_text="Operator the conversations are assigned to by default.")
    is_sandbox = models.BooleanField(default=False, help_text="Points at a twin: no real text is sent.")
    is_active = models.BooleanField(default=True)
    # Between the portal and the provider, learned from its answers.
    max_per_call = models.PositiveIntegerField(null=True, blank=True, editable=False)
    # Requests of this account that may be under way at once, over all workers; smaller after bad answers. Null: all.
    window = models.PositiveIntegerField(null=True, blank=True, editable=False)
    bad_answers = models.PositiveIntegerField(default=0, editable=False)
    paused_until = models.DateTimeField(null=True, blank=True, editable=False)
    circuit_open = models.BooleanField(default=False, editable=False)
    circuit_reason = models.CharField(max_length=500, blank=True, editable=False)

    class Meta:
        ordering = ["slug"]
        permissions = [("check_provideraccount", "Can ask a provider whether an account works")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def open(cls) -> Q:
        """Accounts that may be sent through now."""
        return Q(is_active=True, circuit_open=False) & (Q(paused_until=None) | Q(paused_until__lte=clock.now()))

    def settings(self) -> Account:
        """What the provider's code needs to know of this account."""
        return Account(
            slug=self.slug,
            provider=self.provider,
            base_url=self.base_url.rstrip("/"),
            secrets=self.secrets,
            options=self.options,
        )

    def at_provider(self) -> Provider:
        """The provider, ready to be called for this account."""
        return providers.open_account(self.settings())
