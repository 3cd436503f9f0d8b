"""The staff groups once more, now that there are alerts, segments and holidays to give permissions for."""

from __future__ import annotations

from django.db import migrations

from messaging.roles import write_groups


def make_groups(apps, schema_editor):
    """May be run again: it then changes nothing."""
    write_groups(apps, schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_sending"),
        ("contacts", "0002_sending"),
        ("messaging", "0003_sending"),
    ]

    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
