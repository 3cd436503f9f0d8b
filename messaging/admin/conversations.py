"""Replies in the admin: who waits for an answer, the thread with one number, and the answer box."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from unfold.decorators import display

from contacts.admin.search import HELP, by_number
from contacts.models import Contact
from messaging import conversations
from messaging.forms import ReplyForm
from messaging.models import Conversation
from smsportal import doorbell, phones
from smsportal.accounts.pages import Page, PortalAdmin
from smsportal.accounts.parts import Fact, Link, OwnRowsFilter, deed, who
from smsportal.problems import Problem

SEND = "messaging.send_batch"


class ThreadPage(Page):
    """Everything said with one number, and a box to answer in."""

    template = "admin/messaging/thread.html"
    row: Conversation

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.thread_page(request, ReplyForm())

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form = ReplyForm(request.POST)
        if form.is_valid() and who(request).has_perm(SEND):
            try:
                conversations.reply(self.row, actor=who(request), **form.cleaned_data)
            except Problem as problem:
                form.add_error("text", problem.detail)
            else:
                doorbell.ring("sending")
                messages.success(request, "Your answer is on its way.")
                return redirect(self.after(request))
        return self.thread_page(request, form)

    def thread_page(self, request: HttpRequest, form: ReplyForm) -> HttpResponse:
        return self.show(
            request,
            title=phones.display(self.row.number.e164),
            lines=conversations.thread(self.row, viewer=who(request)),
            form=form,
            may_reply=who(request).has_perm(SEND),
            opted_out=self.row.number.opted_out,
        )


class TranscriptPage(Page):
    """The conversation as the provider has it. It is asked now; nothing of it is stored."""

    where = "<path:object_id>/transcript/"
    name = "transcript"
    template = "admin/messaging/transcript.html"
    row: Conversation

    def get(self, request: HttpRequest) -> HttpResponse:
        account = self.row.account
        number = self.row.number.e164
        turns = account.at_provider().transcript(account.operator, number)
        shown = [("in" if turn.sender == number else "out", turn) for turn in turns]
        return self.show(request, title="As the provider has it", turns=shown)


@admin.register(Conversation)
class ConversationAdmin(PortalAdmin):
    """The threads."""

    change_page = ThreadPage
    intro = "What people answered. Those who wait for an answer are marked; STOP and the like are obeyed without you."
    empty_title = "Nobody has answered yet"
    empty_text = "Replies appear here by themselves as soon as the provider reports them."
    list_display = ("phone", "waits", "last_text", "last_at", "account")
    list_display_links = ("phone", "last_text")
    list_filter = ("needs_attention", ("account", OwnRowsFilter), "number__opted_out")
    list_select_related = ("number", "account")
    search_fields = ("number__e164",)
    search_help_text = HELP
    deeds = ("rest",)
    pages = (TranscriptPage,)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("number", "account")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return by_number(queryset, search_term), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="Number", ordering="number__e164")
    def phone(self, row: Conversation) -> str:
        return phones.display(row.number.e164)

    @display(
        description="Answer", ordering="needs_attention", label={"Waits for an answer": "warning", "At rest": "success"}
    )
    def waits(self, row: Conversation) -> str:
        return "Waits for an answer" if row.needs_attention else "At rest"

    def facts(self, request: HttpRequest, row: Conversation) -> list[Fact]:
        people = Contact.objects.visible_to(who(request)).filter(number=row.number_id, removed_at=None)
        person = people.first()
        found = [
            Fact("Number", phones.display(row.number.e164)),
            Fact("Person", str(person) if person else "in no list of yours"),
            Fact("Answer", self.waits(row), "warn" if row.needs_attention else "good"),
            Fact("Through", row.account),
        ]
        if row.number.opted_out:
            found.append(Fact("May be texted", "No: opted out", "bad"))
        return found

    def links(self, request: HttpRequest, row: Conversation) -> list[Link]:
        found = [Link("The number and its consent", reverse("admin:contacts_phonenumber_change", args=[row.number_id]))]
        if row.account.at_provider().abilities.shows_transcripts:
            found.append(Link("As the provider has it", self.url("transcript", row.pk)))
        return found

    @deed(
        "No answer needed",
        permission="messaging.change_conversation",
        when=lambda row: row.needs_attention,
    )
    def rest(self, request: HttpRequest, row: Conversation) -> str:
        conversations.close(row)
        return "Put to rest until the person writes again."
