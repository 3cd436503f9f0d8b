"""The columns every table shares: the UUID outsiders see, and when the row was made and last changed."""

from __future__ import annotations

import uuid

from django.db import models


class Row(models.Model):
    """`id` is ours and stays inside; `uuid` is what browsers, programs and providers see."""

    uuid = models.UUIDField("id", default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
