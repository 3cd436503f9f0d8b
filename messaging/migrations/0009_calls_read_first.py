"""An index for the webhook calls that are read before all others: those to an account's own address."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0008_editors")]

    operations = [
        migrations.AddIndex(
            "webhookcall",
            models.Index(fields=["state", "attempt", "id"], condition=models.Q(attempt=None), name="calls_read_first"),
        ),
    ]
