"""What we say and from where: templates with their versions, and the senders a provider lends us."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from smsportal.accounts.models import OwnedQuerySet, ProviderAccount, Unit
from smsportal.rows import Row


class Template(Row):
    """A text with placeholders, kept under a name. Its text is that of its newest version."""

    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="templates")
    name = models.CharField(max_length=120)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["unit", "name"], name="one_template_per_name_and_unit")]

    def __str__(self) -> str:
        return self.name

    def newest(self) -> TemplateVersion | None:
        return self.versions.order_by("-version").first()


class TemplateVersion(models.Model):
    """One wording of a template; never changed, so that a batch can pin it."""

    template = models.ForeignKey(Template, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    text = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-version"]
        constraints = [models.UniqueConstraint(fields=["template", "version"], name="one_text_per_version")]

    def __str__(self) -> str:
        return f"{self.template} v{self.version}"


class Sender(Row):
    """A number or name we may send from: what the provider calls its 1:1 phone numbers."""

    account = models.ForeignKey(ProviderAccount, on_delete=models.CASCADE, related_name="senders")
    address = models.CharField(max_length=32, help_text="E.164, or a name where the provider allows one.")
    label = models.CharField(max_length=200, blank=True)
    description = models.CharField(max_length=500, blank=True)
    campaign_ids = models.JSONField(default=list, blank=True)
    operator = models.EmailField(blank=True)
    remote = models.JSONField(null=True, blank=True, editable=False)
    refreshed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["account", "address"]
        constraints = [models.UniqueConstraint(fields=["account", "address"], name="one_sender_per_address")]

    def __str__(self) -> str:
        return f"{self.label} ({self.address})" if self.label else self.address
