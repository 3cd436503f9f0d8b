"""The five staff groups with their permissions, and a first unit for the people of a fresh portal."""

from __future__ import annotations

from django.db import migrations

from messaging.roles import GROUPS, write_groups

FIRST_UNIT = "University"


def make_groups(apps, schema_editor):
    """May be run again: it then changes nothing."""
    alias = schema_editor.connection.alias
    write_groups(apps, alias)
    units = apps.get_model("accounts", "Unit").objects.using(alias)
    if not units.exists():
        units.create(name=FIRST_UNIT)


def remove_groups(apps, schema_editor):
    """Remove the groups; the unit stays, for it may own rows."""
    apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias).filter(name__in=GROUPS).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("accounts", "0001_initial"),
        ("contacts", "0001_initial"),
        ("messaging", "0001_initial"),
    ]

    operations = [migrations.RunPython(make_groups, remove_groups)]
