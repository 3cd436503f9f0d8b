"""What a batch was submitted for, which was forgotten once its first texts were prepared."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0009_calls_read_first")]

    operations = [migrations.AddField("batch", "planned", models.JSONField(editable=False, null=True))]
