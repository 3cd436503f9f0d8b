"""Who changed a batch: they approve it as little as whoever wrote it."""

from __future__ import annotations

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0007_alerts_of_unknown"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            "batch",
            "editors",
            models.ManyToManyField(blank=True, editable=False, related_name="+", to=settings.AUTH_USER_MODEL),
        ),
    ]
