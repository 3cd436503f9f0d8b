"""Who may call what: every route of the API against every staff group. A route without a decision here fails."""

from __future__ import annotations

import re
from importlib import import_module
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import get_resolver

from messaging.roles import GROUPS, write_groups
from smsportal.accounts.models import Unit
from smsportal.api.bodies import StrictSerializer
from smsportal.api.rights import SCOPES
from smsportal.tests.programs import API, person, program
from smsportal.tests.world import make_account, make_user

VIEWER, LISTS, SENDER, APPROVER, ADMIN = GROUPS
STAFF = {VIEWER, LISTS, SENDER, APPROVER}
ALL = {*STAFF, ADMIN}

# Method and route → who may. Everybody else is answered 403.
DECISIONS: dict[str, set[str]] = {
    "GET provider-accounts/": ALL,
    "GET provider-accounts/{id}/": ALL,
    "POST provider-accounts/{id}/check/": {ADMIN},
    "GET tokens/": ALL,  # one's own; administrators see everybody's
    "DELETE tokens/{id}/": ALL,
    "GET contact-lists/": STAFF,
    "POST contact-lists/": {LISTS},
    "GET contact-lists/{id}/": STAFF,
    "PATCH contact-lists/{id}/": {LISTS},
    "DELETE contact-lists/{id}/": {LISTS},
    "GET contact-lists/{id}/contacts/": STAFF,
    "POST contact-lists/{id}/contacts/": {LISTS},
    "GET contact-lists/{id}/imports/": STAFF,
    "POST contact-lists/{id}/imports/": {LISTS},
    "POST contact-lists/{id}/sync/": {LISTS},
    "GET contacts/{id}/": STAFF,
    "PATCH contacts/{id}/": {LISTS},
    "DELETE contacts/{id}/": {LISTS},
    "GET imports/{id}/": STAFF,
    "PATCH imports/{id}/": {LISTS},
    "GET imports/{id}/rows/": STAFF,
    "PATCH imports/{id}/rows/{number}/": {LISTS},
    "POST imports/{id}/apply/": {LISTS},
    "POST imports/{id}/undo/": {LISTS},
    "GET imports/{id}/refused.csv": STAFF,
    "GET sync-runs/{id}/": STAFF,
    "POST sync-runs/{id}/apply/": {LISTS},
    "GET segments/": STAFF,
    "POST segments/": {LISTS, SENDER},
    "GET segments/{id}/": STAFF,
    "PATCH segments/{id}/": {LISTS, SENDER},
    "DELETE segments/{id}/": {LISTS, SENDER},
    "GET segments/{id}/count/": STAFF,
    "POST segments/count/": STAFF,
    "GET opt-outs/": STAFF,
    "POST opt-outs/": {LISTS, SENDER, APPROVER},
    "DELETE opt-outs/{id}/": {LISTS},
    "GET consent-events/": STAFF,
    "GET templates/": STAFF,
    "POST templates/": {SENDER},
    "GET templates/{id}/": STAFF,
    "PATCH templates/{id}/": {SENDER},
    "GET senders/": ALL,
    "POST senders/refresh/": {SENDER, ADMIN},
    "GET batches/": STAFF,
    "POST batches/": {SENDER},
    "GET batches/{id}/": STAFF,
    "PATCH batches/{id}/": {SENDER},
    "POST batches/{id}/preview/": STAFF,
    "GET batches/{id}/people/": STAFF,
    "POST batches/{id}/submit/": {SENDER},
    "POST batches/{id}/approve/": {APPROVER},
    "POST batches/{id}/reject/": {APPROVER},
    "POST batches/{id}/start/": {SENDER},
    "POST batches/{id}/pause/": {SENDER},
    "POST batches/{id}/resume/": {SENDER},
    "POST batches/{id}/cancel/": {SENDER},
    "POST batches/{id}/retry-failed/": {SENDER},
    "POST batches/{id}/undo/": {SENDER},
    "POST batches/{id}/resolve/": {SENDER, APPROVER},  # writing off takes the one, sending again the other
    "POST batches/{id}/correct/": {SENDER},
    "POST batches/{id}/test-send/": {SENDER},
    "GET batches/{id}/failures/": STAFF,
    "GET batches/{id}/recipients.csv": STAFF,
    "GET batches/{id}/messages/": STAFF,
    "POST messages/": {SENDER},
    "GET messages/{id}/": STAFF,
    "POST messages/{id}/resolve/": {SENDER, APPROVER},  # writing off takes the one, sending again the other
    "GET conversations/": STAFF,
    "GET conversations/{id}/": STAFF,
    "POST conversations/{id}/reply/": {SENDER},
    "POST conversations/{id}/refresh/": STAFF,
    "GET webhook-calls/": {ADMIN},
    "GET webhook-calls/{id}/": {ADMIN},
    "POST webhook-calls/{id}/replay/": {ADMIN},
}


def _routes() -> dict[str, type]:
    """ "METHOD route" → view class, for every route below /api/v1/, from the URL conf."""
    found = {}
    for mounted in get_resolver().url_patterns:
        if str(mounted.pattern) != "api/v1/":
            continue
        for pattern in mounted.url_patterns:
            route = re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
            for method, action in pattern.callback.actions.items():
                if method != "head":
                    found[f"{method.upper()} {route}"] = (pattern.callback.cls, action)
    return found


ROUTES = _routes()


def test_every_route_has_a_decision_and_every_decision_a_route():
    assert set(ROUTES) == set(DECISIONS)


@pytest.mark.parametrize("call", sorted(ROUTES))
def test_every_action_says_what_it_needs(call):
    view, action = ROUTES[call]
    assert view.calls[action].scope in SCOPES
    assert view.calls[action].permission or call.split()[1].startswith("tokens/")


PROTECTED = {"state", "sync_state", "remote_id", "version", "revision", "recipients", "approver", "author", "single"}


@pytest.mark.parametrize("call", sorted(call for call in ROUTES if not call.startswith("GET")))
def test_no_body_takes_unknown_fields_or_writes_what_only_the_portal_may(call):
    view, action = ROUTES[call]
    takes = view.calls[action].takes
    if takes is not None:
        assert issubclass(takes, StrictSerializer)
        assert not {name for name, field in takes().fields.items() if not field.read_only} & PROTECTED


def _address(call: str) -> tuple[str, str]:
    method, route = call.split()
    return method, API + route.replace("{id}", str(uuid4())).replace("{number}", "7")


def _answers(client, calls):
    """The status of each call, made about rows that do not exist and with an empty body."""
    for call in calls:
        method, address = _address(call)
        yield call, client.generic(method, address, b"{}", content_type="application/json").status_code


@pytest.mark.django_db
@pytest.mark.parametrize("group", GROUPS)
def test_each_group_may_call_what_was_decided_and_nothing_else(group):
    make_account()
    for call, status in _answers(person(group), DECISIONS):
        allowed = group in DECISIONS[call]
        assert (status != 403) is allowed, f"{group} {call}: {status}"
        assert status < 500, f"{group} {call}: {status}"
        assert status != 405


@pytest.mark.django_db
def test_nobody_and_people_without_a_group_may_call_nothing_but_their_tokens():
    from rest_framework.test import APIClient

    assert {status for _, status in _answers(APIClient(), DECISIONS)} <= {401, 403}
    open_to_all = {call for call, status in _answers(person(), DECISIONS) if status != 403}
    assert open_to_all == {"GET tokens/", "DELETE tokens/{id}/"}


@pytest.mark.django_db
@pytest.mark.parametrize("scope", sorted(set(SCOPES) - {"all"}))
def test_each_scope_opens_its_routes_and_no_other(scope):
    make_account()
    client = program(make_user("root", is_superuser=True), scope)
    for call, status in _answers(client, DECISIONS):
        view, action = ROUTES[call]
        assert (status != 403) is (view.calls[action].scope == scope), f"{scope} {call}: {status}"


# --- the groups ------------------------------------------------------------------------------------------------------
def _stored() -> dict[str, set[str]]:
    return {
        group.name: {
            f"{app}.{name}" for app, name in group.permissions.values_list("content_type__app_label", "codename")
        }
        for group in Group.objects.all()
    }


@pytest.mark.django_db(transaction=True)
def test_a_fresh_database_has_the_groups_and_a_unit_and_the_migration_can_be_taken_back():
    executor = MigrationExecutor(connection)
    then = executor.migrate([("messaging", "0001_initial")])
    assert not Group.objects.filter(name__in=GROUPS).exists()
    then.apps.get_model("accounts", "Unit").objects.all().delete()
    newest = MigrationExecutor(connection)
    newest.migrate(newest.loader.graph.leaf_nodes())
    assert _stored() == {name: set(permissions) for name, permissions in GROUPS.items()}
    assert list(Unit.objects.values_list("name", flat=True)) == ["University"]


@pytest.mark.django_db
def test_writing_the_groups_again_changes_nothing_but_what_was_changed_by_hand():
    write_groups(apps, "default")
    Group.objects.get(name=VIEWER).permissions.clear()
    write_groups(apps, "default")
    assert _stored() == {name: set(permissions) for name, permissions in GROUPS.items()}


def test_who_manages_people_cannot_send_and_who_sends_cannot_approve():
    assert not GROUPS[ADMIN] & {"messaging.send_batch", "messaging.approve_batch", "messaging.add_batch"}
    assert "messaging.approve_batch" not in GROUPS[SENDER]
    assert "messaging.send_batch" not in GROUPS[APPROVER]
    assert not any(name.startswith("accounts.") and "view" not in name for name in GROUPS[LISTS] | GROUPS[SENDER])


def test_the_migration_names_the_groups_of_the_table():
    assert import_module("messaging.migrations.0002_groups").GROUPS is GROUPS


def test_the_page_for_programs_names_every_scope_group_and_call(settings):
    page = (settings.BASE_DIR / "docs" / "api.md").read_text()
    assert [scope for scope in SCOPES if f"| `{scope}` |" not in page] == []
    assert [group for group in GROUPS if f"*{group}*" not in page] == []
    lines = re.findall(r"\| `([A-Z, ]+) (\S+)` \|", page)
    told = {f"{method} {route}" for methods, route in lines for method in methods.split(", ")}
    assert told == set(DECISIONS)
