"""A staged upload and its checked rows: nothing reaches the list before it is applied."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models

from contacts.models.lists import ContactList
from smsportal.accounts.models import OwnedQuerySet, User
from smsportal.claims import Claimable
from smsportal.rows import Row


class ImportState(models.TextChoices):
    """Where an import stands. `checking` and `applying` are work for a worker."""

    CHECKING = "checking", "Being checked"
    CHECKED = "checked", "Checked, not applied"
    APPLYING = "applying", "Being applied"
    APPLIED = "applied", "Applied"
    UNDONE = "undone", "Undone"
    FAILED = "failed", "Cannot be read"


class RowState(models.TextChoices):
    """What applying a row would do."""

    NEW = "new", "New contact"
    CHANGED = "changed", "Changes a contact"
    SAME = "same", "Already in the list"
    REFUSED = "refused", "Has errors"
    DUPLICATE = "duplicate", "Repeats an earlier row"


class ImportManager(models.Manager["Import"]):
    """Imports without their content, which may be 20 MB: it is read when it is asked for."""

    def get_queryset(self) -> OwnedQuerySet:
        return OwnedQuerySet(self.model, using=self._db).defer("content")

    def visible_to(self, user: User | AnonymousUser) -> OwnedQuerySet:
        return self.get_queryset().visible_to(user)


class Import(Row, Claimable):
    """One uploaded file. `columns` are its headers in order, `mapping` names the field each header fills."""

    unit_path = "contact_list__unit"

    contact_list = models.ForeignKey(ContactList, on_delete=models.CASCADE, related_name="imports")
    state = models.CharField(max_length=10, choices=ImportState, default=ImportState.CHECKING, editable=False)
    file_name = models.CharField(max_length=255)
    content = models.BinaryField(editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    columns = models.JSONField(default=list, editable=False)
    mapping = models.JSONField(default=dict, blank=True)
    rows = models.PositiveIntegerField(default=0, editable=False)
    new = models.PositiveIntegerField(default=0, editable=False)
    changed = models.PositiveIntegerField(default=0, editable=False)
    same = models.PositiveIntegerField(default=0, editable=False)
    refused = models.PositiveIntegerField(default=0, editable=False)
    duplicates = models.PositiveIntegerField(default=0, editable=False)
    errors_by_code = models.JSONField(default=dict, editable=False)
    accept = models.CharField(max_length=20, blank=True, editable=False)  # good | all_or_nothing
    problem = models.CharField(max_length=500, blank=True, editable=False)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False)
    applied_at = models.DateTimeField(null=True, editable=False)

    objects = ImportManager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.file_name


class ImportRow(models.Model):
    """One row of the file: what it says, what is wrong with it, and what the contact held before."""

    upload = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="checked_rows")
    number = models.PositiveIntegerField(help_text="The row's number in the file; the header is row 1.")
    state = models.CharField(max_length=10, choices=RowState)
    cells = models.JSONField(default=list)  # as in the file
    fields = models.JSONField(default=dict)  # by field name, cleaned; the phone number in E.164 when it is good
    errors = models.JSONField(default=list)  # [{field, code, message, value}]
    before = models.JSONField(null=True)  # the contact's fields before this import, null for a new one
    e164 = models.CharField(max_length=16, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["upload", "number"], name="one_row_per_number")]
        indexes = [models.Index(fields=["upload", "state", "number"]), models.Index(fields=["upload", "e164"])]
