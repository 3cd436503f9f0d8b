"""Syncs in the admin: the plan with its counts and samples, the confirmation, the run and its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from unfold.decorators import display

from contacts import sync
from contacts.models import SyncRun, SyncRunState
from smsportal import doorbell, phones
from smsportal.accounts.pages import Page, PortalAdmin
from smsportal.accounts.parts import Fact, Link, OwnRowsFilter, deed, who

MAY = "contacts.sync_contactlist"
TYPED = "replace"  # what is typed to confirm a plan that removes something at the provider
TONES = {
    SyncRunState.PLANNED: "warn",
    SyncRunState.RUNNING: "info",
    SyncRunState.FINISHED: "good",
    SyncRunState.FAILED: "bad",
    SyncRunState.STALE: "warn",
}
# What a plan counts, what that does, and to whom.
KINDS = (
    ("append", "Added at the provider", "They are only here."),
    ("pull", "Taken over from the provider", "They are only there, or were changed only there."),
    ("replace", "Changed at the provider", "They were changed here."),
    ("delete", "Removed at the provider", "They were removed here."),
    ("same", "Left as they are", "They are the same on both sides."),
    (
        "conflict",
        "Left alone: in conflict",
        "They were changed on both sides, or are there twice. Mend one side by hand.",
    ),
    ("unusable", "Left alone: cannot be kept here", "Their records there have no usable number."),
    ("forget", "Forgotten", "They were removed here, and are gone there too."),
)
DONE = (
    ("appended", "Added at the provider"),
    ("rejected", "Refused by the provider"),
    ("pulled", "Taken over from the provider"),
    ("removed", "Removed at the provider"),
    ("same", "The same on both sides"),
    ("conflict", "Left alone: in conflict"),
    ("unusable", "Left alone: cannot be kept here"),
)


def differences(sample: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Field, value here and value there, where they are not the same."""
    ours, theirs = sample.get("ours") or {}, sample.get("theirs") or {}
    names = dict.fromkeys([*ours, *theirs])
    found = [(name.replace("_", " "), ours.get(name, ""), theirs.get(name, "")) for name in names]
    return [each for each in found if each[1] != each[2]]


def samples_of(plan: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, list[tuple[str, str, str]]]]]]:
    """Per kind its title and some people: number and what differs."""
    found = plan.get("samples") or {}
    return [
        (title, [(phones.display(str(each["phone_number"])), differences(each)) for each in found[kind]])
        for kind, title, _ in KINDS
        if found.get(kind)
    ]


def done_of(plan: Mapping[str, Any], report: Mapping[str, Any]) -> list[tuple[str, int]]:
    """What a report counts. A list that was emptied is filled with all of its contacts, the unchanged ones too."""
    titles = dict(DONE)
    if plan.get("destructive"):
        titles |= {"appended": "Put into the emptied list"}
        del titles["same"]
    return [(title, report[key]) for key, title in titles.items() if report.get(key)]


class SyncPage(Page):
    """A plan, or what came of it."""

    template = "admin/contacts/sync.html"
    row: SyncRun

    def get(self, request: HttpRequest) -> HttpResponse:
        plan: Mapping[str, Any] = self.row.plan or {}
        report: Mapping[str, Any] = self.row.report or {}
        return self.show(
            request,
            title=f"Sync of {self.row.contact_list}",
            run=self.row,
            plan=plan,
            working=self.row.state == SyncRunState.RUNNING,
            kinds=[(title, plan[kind], why) for kind, title, why in KINDS if plan.get(kind)],
            nothing=bool(plan)
            and not (
                plan.get("create")
                or plan.get("list_changed")
                or any(plan.get(kind) for kind in ("append", "pull", "replace", "delete", "forget"))
            ),
            samples=samples_of(plan),
            typed=TYPED,
            may=who(request).has_perm(MAY),
            report=report,
            done=done_of(plan, report),
        )


class ConfirmPage(Page):
    """Lets a plan be carried out: exactly the one that was shown, with a word typed where it removes something."""

    where = "<path:object_id>/confirm/"
    name = "confirm"
    permission = MAY
    row: SyncRun

    def post(self, request: HttpRequest) -> HttpResponseBase:
        destructive = bool((self.row.plan or {}).get("destructive"))
        if destructive and request.POST.get("typed", "").strip().lower() != TYPED:
            messages.error(request, f"Nothing was done: type the word “{TYPED}” to confirm this plan.")
            return redirect(self.after(request))
        shown = request.POST.get("plan_hash", "")
        sync.confirm(self.row, plan_hash=shown, confirm=destructive, actor=who(request))
        doorbell.ring("syncs")
        return redirect(self.after(request))


@admin.register(SyncRun)
class SyncRunAdmin(PortalAdmin):
    """The plans and runs."""

    change_page = SyncPage
    intro = (
        "A sync brings a list and its copy at the provider in step. It is planned first, and shows what it would do."
    )
    empty_title = "No list was synced yet"
    empty_text = "Open a contact list and choose “Plan a sync”. Planning changes nothing."
    list_display = ("contact_list", "stands", "actor", "created_at", "finished_at", "problem")
    list_filter = ("state", ("contact_list", OwnRowsFilter))
    list_select_related = ("contact_list", "actor")
    search_fields = ("contact_list__name",)
    deeds = ("plan_again",)
    pages = (ConfirmPage,)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("contact_list", "actor").defer("backup")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(
        description="State",
        ordering="state",
        label={
            SyncRunState.PLANNED.label: "warning",
            SyncRunState.RUNNING.label: "info",
            SyncRunState.FINISHED.label: "success",
            SyncRunState.FAILED.label: "danger",
            SyncRunState.STALE.label: "warning",
        },
    )
    def stands(self, row: SyncRun) -> str:
        return SyncRunState(row.state).label

    def facts(self, request: HttpRequest, row: SyncRun) -> list[Fact]:
        found = [
            Fact("State", SyncRunState(row.state).label, TONES[SyncRunState(row.state)]),
            Fact("List", row.contact_list),
            Fact("Planned", row.created_at),
            Fact("By", row.actor or "a program"),
        ]
        if row.finished_at:
            found.append(Fact("Finished", row.finished_at))
        return found

    def links(self, request: HttpRequest, row: SyncRun) -> list[Link]:
        return [Link("The list", reverse("admin:contacts_contactlist_change", args=[row.contact_list_id]))]

    @deed("Plan again", permission=MAY, when=lambda row: row.state != SyncRunState.RUNNING)
    def plan_again(self, request: HttpRequest, row: SyncRun) -> HttpResponse:
        run = sync.plan(row.contact_list, actor=who(request))
        return redirect(self.url("change", run.pk))
