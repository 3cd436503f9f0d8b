"""Room in each page of messages on PostgreSQL, so that the two changes sending makes to a row stay in its page."""

from __future__ import annotations

from django.db import migrations


def _fill(per_cent):
    def fill(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"ALTER TABLE messaging_message SET (fillfactor = {per_cent})")

    return fill


class Migration(migrations.Migration):
    dependencies = [("messaging", "0004_groups")]

    operations = [migrations.RunPython(_fill(50), _fill(100))]
