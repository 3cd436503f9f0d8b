"""The five staff groups with their permissions, and a first unit for the people of a fresh portal."""

from __future__ import annotations

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

APPS = ("auth", "accounts", "contacts", "messaging")
FIRST_UNIT = "University"


def make_groups(apps, schema_editor):
    """Write the table of messaging/roles.py. May be run again: a group ends with exactly its permissions."""
    from messaging.roles import GROUPS

    alias = schema_editor.connection.alias
    for label in APPS:  # Django makes these rows only after all migrations have run
        create_permissions(installed.get_app_config(label), verbosity=0, using=alias, apps=apps)
    permission_model = apps.get_model("auth", "Permission")
    known = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in permission_model.objects.using(alias).select_related("content_type")
    }
    for name, permissions in GROUPS.items():
        group, _ = apps.get_model("auth", "Group").objects.using(alias).get_or_create(name=name)
        group.permissions.set(known[permission] for permission in sorted(permissions))
    units = apps.get_model("accounts", "Unit").objects.using(alias)
    if not units.exists():
        units.create(name=FIRST_UNIT)


def remove_groups(apps, schema_editor):
    """Remove the groups; the unit stays, for it may own rows."""
    from messaging.roles import GROUPS

    apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias).filter(name__in=GROUPS).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("accounts", "0001_initial"),
        ("contacts", "0001_initial"),
        ("messaging", "0001_initial"),
    ]

    operations = [migrations.RunPython(make_groups, remove_groups)]
