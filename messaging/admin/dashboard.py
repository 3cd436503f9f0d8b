"""The first page of the admin: what needs attention, what is going on, and the first steps when there is nothing yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from contacts.models import Contact, ContactList, Import, ImportState
from messaging.admin.words import how_many, standing
from messaging.models import Alert, Batch, CallState, Conversation, ItemState, Message, Sender, WebhookCall, WebhookItem
from messaging.statuses import BatchState, MessageState
from smsportal.accounts.models import ProviderAccount, User
from smsportal.mirror.models import SyncState

MOST = 1000  # nobody needs a larger figure here than “1,000 or more”
LATEST = 8
MOST_ALERTS = 5
UNDER_WAY = [BatchState.EXPANDING, BatchState.RUNNING, BatchState.PAUSED]


@dataclass(frozen=True, slots=True)
class Matter:
    """Something a person should look at: how many, of what, where, how urgent (bad, warn or info)."""

    count: str
    what: str
    url: str
    tone: str


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first steps, and whether it is done."""

    title: str
    text: str
    url: str
    done: bool


def capped(rows: QuerySet[Any]) -> int:
    """How many rows there are, at most MOST."""
    return rows.order_by().values("pk")[:MOST].count()


def _list(model: str, query: str = "") -> str:
    return reverse(f"admin:{model}_changelist") + query


def matters(user: User | AnonymousUser) -> list[Matter]:
    """What needs attention, the urgent first; only what the person may see, and nothing that is at zero."""
    may = user.has_perm
    # Each is said for one|for several.
    found: list[tuple[bool, QuerySet[Any], str, str, str]] = [
        (may("accounts.view_provideraccount"), ProviderAccount.objects.filter(is_active=True, circuit_open=True),
         "account is stopped by an error: nothing is sent through it|accounts are stopped by errors: nothing is sent through them",
         _list("accounts_provideraccount", "?circuit_open__exact=1"), "bad"),
        (may("messaging.view_message"), Message.objects.visible_to(user).filter(state=MessageState.UNKNOWN),
         "text is unknown: decide what becomes of it|texts are unknown: decide what becomes of them",
         _list("messaging_message", "?state__exact=unknown"), "warn"),
        (may("messaging.approve_batch"), Batch.objects.visible_to(user).filter(state=BatchState.PENDING_APPROVAL),
         "batch waits for approval|batches wait for approval", _list("messaging_batch", "?state__exact=pending_approval"), "warn"),
        (may("messaging.view_conversation"), Conversation.objects.visible_to(user).filter(needs_attention=True),
         "person waits for an answer|people wait for an answer", _list("messaging_conversation", "?needs_attention__exact=1"), "warn"),
        (may("contacts.view_import"), Import.objects.visible_to(user).filter(state=ImportState.CHECKED),
         "import is checked, but not applied|imports are checked, but not applied", _list("contacts_import", "?state__exact=checked"), "info"),
        (may("contacts.view_contactlist"), ContactList.objects.visible_to(user).filter(sync_state=SyncState.DRIFTED),
         "list differs from the provider: plan a sync|lists differ from the provider: plan a sync", _list("contacts_contactlist", "?sync_state__exact=drifted"), "info"),
        (may("contacts.view_contactlist"), ContactList.objects.visible_to(user).filter(sync_state=SyncState.ERROR),
         "list could not be synced|lists could not be synced", _list("contacts_contactlist", "?sync_state__exact=error"), "bad"),
        (may("messaging.view_batch"), Batch.objects.visible_to(user).filter(state__in=UNDER_WAY),
         "batch is under way|batches are under way", _list("messaging_batch", f"?state__in={','.join(UNDER_WAY)}"), "info"),
        (may("messaging.view_webhookcall"), WebhookCall.objects.filter(state=CallState.PARKED),
         "report of a provider cannot be read|reports of providers cannot be read", _list("messaging_webhookcall", "?state__exact=parked"), "warn"),
        (may("messaging.view_webhookitem"), WebhookItem.objects.filter(state=ItemState.UNRECOGNISED),
         "piece of news is not understood|pieces of news are not understood", _list("messaging_webhookitem", "?state__exact=unrecognised"), "warn"),
        (may("messaging.view_webhookitem"), WebhookItem.objects.filter(state=ItemState.PARKED),
         "piece of news failed when it was applied|pieces of news failed when they were applied", _list("messaging_webhookitem", "?state__exact=parked"), "bad"),
    ]  # fmt: skip
    order = {"bad": 0, "warn": 1, "info": 2}
    counted = [(capped(rows), what, url, tone) for allowed, rows, what, url, tone in found if allowed]
    shown = [
        Matter(f"{n:,}" + (" or more" if n == MOST else ""), what.split("|")[n != 1], url, tone)
        for n, what, url, tone in counted
        if n
    ]
    return sorted(shown, key=lambda each: order[each.tone])


def first_steps(user: User | AnonymousUser) -> list[Step]:
    """The way to the first batch, as far as the person may walk it; nothing once a batch was started."""
    batches = Batch.objects.visible_to(user)
    if batches.exclude(started_at=None).exists():
        return []
    lists, list_url = ContactList.objects.visible_to(user), _list("contacts_contactlist")
    steps = [
        ("accounts.view_provideraccount", Step("Connect an account", "Its numbers are what people see.",
         _list("accounts_provideraccount"), ProviderAccount.objects.filter(is_active=True).exists())),
        ("messaging.view_sender", Step("Ask for its numbers", "Choose “Ask the provider” on the page Senders.",
         _list("messaging_sender"), Sender.objects.exists())),
        ("contacts.view_contactlist", Step("Make a contact list", "Name the columns your file has beyond the usual four.",
         list_url, lists.exists())),
        ("contacts.view_contactlist", Step("Import a file", "Every fault is shown in its cell before anything changes.",
         list_url, Contact.objects.visible_to(user).exists())),
        ("contacts.view_contactlist", Step("Sync the list", "Look at the plan, then bring the provider's list in step.",
         list_url, lists.filter(sync_state=SyncState.IN_STEP).exists())),
        ("messaging.view_batch", Step("Write a batch", "Preview it with real people, start it and watch it go.",
         _list("messaging_batch"), batches.exists())),
    ]  # fmt: skip
    return [step for right, step in steps if user.has_perm(right)]


def alerts(user: User | AnonymousUser) -> list[Alert]:
    """What nobody has seen yet, the newest first; at most MOST_ALERTS, the others follow once these are seen."""
    if not user.has_perm("messaging.view_batch"):
        return []
    return list(Alert.objects.visible_to(user).filter(seen_at=None).select_related("batch")[:MOST_ALERTS])


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The dashboard's part of the context of the admin's index, for Unfold."""
    user: Any = request.user
    batches = Batch.objects.visible_to(user).filter(single=False).select_related("unit")
    may = user.has_perm("messaging.view_batch")
    return {
        **context,
        "matters": matters(user),
        "steps": first_steps(user),
        "alerts": alerts(user),
        "latest": [
            (each, standing(each), each.recipients or how_many(each)) for each in batches.order_by("-id")[:LATEST]
        ]
        if may
        else [],
        "may_write": user.has_perm("messaging.add_batch"),
        "may_import": user.has_perm("contacts.import_contactlist"),
        "may_text": user.has_perm("messaging.send_batch"),
    }
