"""An alert for a started batch that is a draft again because its lists changed."""

from __future__ import annotations

from django.db import migrations, models

KINDS = [
    ("failures", "Many texts fail"),
    ("opt_outs", "Many people opt out"),
    ("overdue", "Overdue"),
    ("double", "Sent twice"),
    ("voided", "Not sent: a draft again"),
]


class Migration(migrations.Migration):
    dependencies = [("messaging", "0005_room_for_changes")]

    operations = [migrations.AlterField("alert", "kind", models.CharField(choices=KINDS, max_length=10))]
