"""An alert for a batch of which too many texts are unknown."""

from __future__ import annotations

from django.db import migrations, models

KINDS = [
    ("failures", "Many texts fail"),
    ("unknown", "Many texts are unknown"),
    ("opt_outs", "Many people opt out"),
    ("overdue", "Overdue"),
    ("double", "Sent twice"),
    ("voided", "Not sent: a draft again"),
]


class Migration(migrations.Migration):
    dependencies = [("messaging", "0006_alerts_of_voided")]

    operations = [migrations.AlterField("alert", "kind", models.CharField(choices=KINDS, max_length=10))]
