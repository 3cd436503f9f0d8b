"""Saved segments: the contacts of one list that meet some conditions, found anew each time they are asked for."""

from __future__ import annotations

from django.db import models

from contacts.models.lists import ContactList
from smsportal.accounts.models import OwnedQuerySet, Unit
from smsportal.rows import Row


class SegmentMatch(models.TextChoices):
    """How many of its conditions a contact must meet."""

    ALL = "all", "All of them"
    ANY = "any", "At least one of them"


class Segment(Row):
    """`conditions` is a list of `{"field": name, "test": word, "value": text}`; contacts/segments.py knows the tests."""

    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="segments")
    contact_list = models.ForeignKey(ContactList, on_delete=models.CASCADE, related_name="segments")
    name = models.CharField(max_length=120)
    match = models.CharField(max_length=3, choices=SegmentMatch, default=SegmentMatch.ALL)
    conditions = models.JSONField(default=list, blank=True)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["contact_list", "name"], name="one_segment_per_name_and_list")]

    def __str__(self) -> str:
        return f"{self.contact_list}: {self.name}"
