"""The admin's frame: the sidebar by the five jobs, the environment badge, the sandbox banner, the stylesheet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from smsportal.accounts.models import ProviderAccount

# Group → (title, icon, app, model). Shown to those who may view the model.
GROUPS: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...] = (
    (
        "Lists and contacts",
        (
            ("Contact lists", "contacts", "contacts", "contactlist"),
            ("Segments", "filter_alt", "contacts", "segment"),
            ("Contacts", "person", "contacts", "contact"),
            ("Imports", "upload_file", "contacts", "import"),
            ("Syncs", "sync_alt", "contacts", "syncrun"),
        ),
    ),
    (
        "Messages",
        (
            ("Batches", "send", "messaging", "batch"),
            ("Messages", "sms", "messaging", "message"),
            ("Alerts", "notifications", "messaging", "alert"),
            ("Templates", "description", "messaging", "template"),
        ),
    ),
    (
        "Replies and opt-outs",
        (
            ("Replies", "forum", "messaging", "conversation"),
            ("Numbers and opt-outs", "phone_disabled", "contacts", "phonenumber"),
            ("Consent history", "history", "contacts", "consentevent"),
        ),
    ),
    (
        "Reports from providers",
        (
            ("Webhook calls", "webhook", "messaging", "webhookcall"),
            ("Webhook items", "list_alt", "messaging", "webhookitem"),
            ("Webhook addresses", "link", "messaging", "webhookendpoint"),
        ),
    ),
    (
        "Setup",
        (
            ("Senders", "dialpad", "messaging", "sender"),
            ("Provider accounts", "key", "accounts", "provideraccount"),
            ("API tokens", "token", "accounts", "apitoken"),
            ("Holidays", "event_busy", "messaging", "holiday"),
            ("Units", "domain", "accounts", "unit"),
            ("People", "group", "accounts", "user"),
            ("Roles", "badge", "auth", "group"),
        ),
    ),
)


def may_see(app: str, model: str) -> Callable[[HttpRequest], bool]:
    """Whether the person of a request may view a model."""
    rights = (f"{app}.view_{model}", f"{app}.change_{model}")
    return lambda request: any(request.user.has_perm(right) for right in rights)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of the sidebar, for Unfold."""
    home = {"title": "Home", "icon": "home", "link": reverse("admin:index")}
    return [
        {"title": "", "items": [home]},
        *(
            {
                "title": title,
                "separator": True,
                "items": [
                    {
                        "title": label,
                        "icon": icon,
                        "link": reverse(f"admin:{app}_{model}_changelist"),
                        "permission": may_see(app, model),
                    }
                    for label, icon, app, model in items
                ],
            }
            for title, items in GROUPS
        ),
    ]


def only_sandboxes(request: HttpRequest) -> bool:
    """Whether no active account can send a real text. Asked once per request."""
    known: bool | None = getattr(request, "only_sandboxes", None)
    if known is None:
        known = not ProviderAccount.objects.filter(is_active=True, is_sandbox=False).exists()
        request.only_sandboxes = known  # type: ignore[attr-defined]
    return known


def environment(request: HttpRequest) -> list[str]:
    """The badge beside the page's title."""
    return ["Sandbox", "warning"] if only_sandboxes(request) else ["Live", "success"]


def everywhere(request: HttpRequest) -> dict[str, object]:
    """What every page of the admin is given besides its own context."""
    return {"sandbox": only_sandboxes(request)}


def stylesheet(request: HttpRequest) -> str:
    """The portal's own styles, on top of Unfold's."""
    return static("portal/portal.css")


def script(request: HttpRequest) -> str:
    """What makes every button of Unfold reachable by keyboard."""
    return static("portal/keyboard.js")


def favicon(request: HttpRequest) -> str:
    """The sign in the browser's tab."""
    return static("portal/favicon.svg")
