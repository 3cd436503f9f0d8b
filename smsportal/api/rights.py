"""Who may do what through the API: each action of a view names a permission of the person and a scope of the token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from smsportal.accounts.models import ApiToken

# What a token can be limited to. `all` is everything its user may do.
SCOPES: Final[dict[str, str]] = {
    "all": "Everything the user may do",
    "lists:read": "Read contact lists, segments, contacts, imports and sync runs",
    "lists:write": "Change contact lists, segments and contacts, import files, sync lists",
    "sends:read": "Read templates, senders, batches, messages and conversations",
    "sends:create": "Write templates, make, submit, start and control batches, send single texts, reply",
    "sends:approve": "Approve or reject batches of others",
    "optouts:read": "Read opt-outs and consent events",
    "optouts:write": "Record and lift opt-outs",
    "events:read": "Read webhook calls",
    "events:write": "Process webhook calls again",
    "accounts:read": "Read provider accounts and tokens",
    "accounts:write": "Check provider accounts, revoke tokens",
}


@dataclass(frozen=True, slots=True)
class Call:
    """What one action needs, takes and gives; permission, handling and OpenAPI description all follow from it.

    `permission` is a model permission ("" = any signed-in person) or, where it depends on the body which one it takes,
    those of which one lets a person in; `scope` is what a token needs besides. `takes` is the
    body, `gives` the answer (None: the view's own serializer). An action that `asks_provider` runs in no transaction,
    nor one that is `paged`: it writes so much that it does so in many short ones of its own. One that `walks` reads so
    much first that only what the view calls `effect` with is in one. A `file` is given as it is, whatever type the
    caller accepts.
    """

    permission: str | tuple[str, ...]
    scope: str
    takes: type[serializers.BaseSerializer[Any]] | None = None
    gives: type[serializers.BaseSerializer[Any]] | None = None
    status: int = 200
    asks_provider: bool = False
    paged: bool = False
    walks: bool = False
    file: bool = False


class MayDoThis(BasePermission):
    """Signed in, with the permission and the scope the view names for this action. No decision means no."""

    message = "You may not do this."

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            return False
        action = getattr(view, "action", None)
        if action in {None, "metadata"}:  # a method the views do not offer: they answer 405 themselves
            return True
        calls: Mapping[str, Call] = getattr(view, "calls", {})
        call = calls.get(action)
        if call is None:
            return False
        if lacks := lacking(request, call.permission, call.scope):
            self.message = lacks
        return not lacks


def lacking(request: Request, permission: str | tuple[str, ...], scope: str) -> str:
    """What the caller lacks to do something, as a sentence; "" when nothing."""
    if isinstance(request.auth, ApiToken) and not request.auth.allows(scope):
        return f"This token lacks the scope {scope}."
    any_of = (permission,) if isinstance(permission, str) else permission
    if permission and not any(request.user.has_perm(each) for each in any_of):
        return f"Your account lacks the permission {' or '.join(any_of)}."
    return ""
