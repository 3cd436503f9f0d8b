"""The staff groups and what each may do: one table, written into the database by messaging/migrations/0004_groups.py."""

from __future__ import annotations

from typing import Any, Final

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions


def _may(*names: str) -> frozenset[str]:
    """`"contacts view+change contact"` as full permission names."""
    found: set[str] = set()
    for line in names:
        app, actions, models = line.split(" ", 2)
        found |= {f"{app}.{action}_{model}" for action in actions.split("+") for model in models.split()}
    return frozenset(found)


_VIEWER: Final = _may(
    "accounts view provideraccount unit",
    "contacts view contactlist schemafield tag contact segment phonenumber consentevent import importrow syncrun",
    "messaging view template templateversion sender batch message receipt conversation turn alert holiday",
)
_RECORDS_OPT_OUTS: Final = _may("contacts add consentevent")

# A person may be in several groups. Who manages people and accounts sends nothing by that alone, and nobody approves
# their own batch, whatever groups they are in (messaging.controls).
GROUPS: Final[dict[str, frozenset[str]]] = {
    "Viewer": _VIEWER,
    "List manager": _VIEWER
    | _RECORDS_OPT_OUTS
    | _may(
        "contacts add+change+delete contactlist schemafield tag contact segment",
        "contacts add+change import",
        "contacts change importrow phonenumber",
        "contacts add+change syncrun",
        "contacts import+sync contactlist",
    ),
    "Sender": _VIEWER
    | _RECORDS_OPT_OUTS
    | _may(
        "contacts add+change+delete segment",
        "messaging add+change template",
        "messaging add+change+send batch",
        "messaging change conversation sender",
    ),
    "Approver": _VIEWER | _RECORDS_OPT_OUTS | _may("messaging approve batch"),
    "Administrator": _may(
        "accounts add+change+view user unit",
        "accounts add+delete+view apitoken",
        "accounts add+change+view+check provideraccount",
        "accounts see_all units",
        "auth view group",
        "messaging view+change sender",
        "messaging add+change+delete+view holiday",
        "messaging add+change+delete+view webhookendpoint",
        "messaging view+replay webhookcall",
        "messaging view webhookitem heartbeat attempt",
    ),
}


def write_groups(apps: Any, alias: str) -> None:
    """Make the groups, each with exactly its permissions. `apps`: the registry to write through, `alias`: the database.

    A migration that stands before that of a model cannot give a permission for it; a later one writes them anew.
    """
    for label in ("auth", "accounts", "contacts", "messaging"):
        # Django makes the rows of permissions only after all migrations have run.
        create_permissions(installed.get_app_config(label), verbosity=0, using=alias, apps=apps)
    permissions = apps.get_model("auth", "Permission").objects.using(alias).select_related("content_type")
    known = {f"{each.content_type.app_label}.{each.codename}": each for each in permissions}
    for name, wanted in GROUPS.items():
        group, _ = apps.get_model("auth", "Group").objects.using(alias).get_or_create(name=name)
        group.permissions.set(known[permission] for permission in sorted(wanted & known.keys()))
