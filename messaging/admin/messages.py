"""Messages in the admin: read only, each with a plain sentence and everything the provider said of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib import messages as notes
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from unfold.decorators import display

from contacts.admin.search import by_person
from messaging import controls
from messaging.admin.questions import before_sending_again
from messaging.admin.words import TAGS, earlier_try, sentence, tone
from messaging.forms import SingleForm
from messaging.models import Attempt, Message
from messaging.statuses import DELIVERY_TITLES, BatchState, MessageState, Reason
from smsportal import doorbell, phones
from smsportal.accounts.pages import Page, PortalAdmin
from smsportal.accounts.parts import Deed, Fact, Link, OwnRowsFilter, deed, who
from smsportal.problems import Problem

SEND = "messaging.send_batch"
_SOURCES = {
    "answer": "The provider answered",
    "webhook": "The provider reported",
    "inference": "Concluded by the portal",
    "staff": "Decided by staff",
}


def _unknown(message: Message) -> bool:
    return message.state == MessageState.UNKNOWN


class MessagePage(Page):
    """One message: its text, what became of it in words, and its history."""

    template = "admin/messaging/message.html"
    row: Message

    def get(self, request: HttpRequest) -> HttpResponse:
        attempts = Attempt.objects.filter(chunk=self.row.chunk_id).order_by("pk") if self.row.chunk_id else []
        titles = dict(DELIVERY_TITLES)
        return self.show(
            request,
            title=f"Text to {phones.display(self.row.number.e164)}",
            message=self.row,
            sentence=sentence(self.row),
            earlier_try=earlier_try(self.row),
            tone=tone(self.row),
            receipts=[
                (each, _SOURCES.get(each.source, each.source), titles.get(each.delivery, "") if each.delivery else "")
                for each in self.row.receipts.all()
            ],
            attempts=attempts,
            unknown=_unknown(self.row),
        )


class SinglePage(Page):
    """One text to one number."""

    where = "write/"
    name = "write"
    template = "admin/messaging/single.html"
    permission = SEND

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.form_page(request, SingleForm(request=request, initial={"to": request.GET.get("to", "")}))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form = SingleForm(request.POST, request=request)
        unit = who(request).home()
        if unit is None:
            form.add_error(None, "You belong to no unit yet, so nobody would own this text. Ask an administrator.")
        if form.is_valid() and unit is not None:
            try:
                message = controls.send_single(actor=who(request), unit=unit, **form.arguments())
            except Problem as problem:
                form.blame(problem)
            else:
                doorbell.ring("sending")
                return redirect(self.admin.url("change", message.pk))
        return self.form_page(request, form)

    def form_page(self, request: HttpRequest, form: SingleForm) -> HttpResponse:
        none = not form.fields["sender"].queryset.exists()  # type: ignore[attr-defined]
        return self.show(request, title="Write to one number", form=form, no_senders=none)


@admin.register(Message)
class MessageAdmin(PortalAdmin):
    """Every text to every number."""

    change_page = MessagePage
    intro = "Every text to every person, with what became of it. Open one to see its whole history."
    empty_title = "No texts yet"
    empty_text = "Texts appear here when a batch is started. To text one person, choose “Write to one number”."
    list_display = ("phone", "person", "batch", "stands", "delivered", "reason", "updated_at")
    list_filter = ("state", "delivery", "reason", ("batch", OwnRowsFilter), "double_send")
    list_select_related = ("number", "batch", "contact")
    search_fields = ("number__e164", "contact__last_name")
    search_help_text = "Phone number, name or e-mail address"
    ordering = ("-id",)
    deeds = ("write_off", "send_again")
    pages = (SinglePage,)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("number", "batch", "contact", "chunk")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return by_person(queryset, search_term, person="contact__"), False

    def list_links(self, request: HttpRequest) -> list[Link]:
        may = who(request).has_perm(SEND)
        return [Link("Write to one number", self.url("write"))] if may else []

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="To", ordering="number__e164")
    def phone(self, row: Message) -> str:
        return phones.display(row.number.e164)

    @display(description="Person")
    def person(self, row: Message) -> str:
        return str(row.contact) if row.contact else "-"

    @display(
        description="State",
        ordering="state",
        label={
            MessageState.ACCEPTED.label: TAGS["good"],
            MessageState.REJECTED.label: TAGS["bad"],
            MessageState.SKIPPED.label: TAGS["warn"],
            MessageState.UNKNOWN.label: TAGS["warn"],
            MessageState.WRITTEN_OFF.label: TAGS["bad"],
        },
    )
    def stands(self, row: Message) -> str:
        return MessageState(row.standing).label

    @display(description="Delivery", ordering="delivery")
    def delivered(self, row: Message) -> str:
        return str(row.get_delivery_display()) if row.state == MessageState.ACCEPTED else "-"

    def facts(self, request: HttpRequest, row: Message) -> list[Fact]:
        found = [
            Fact("To", phones.display(row.number.e164)),
            Fact("Person", row.contact or "in no list any more"),
            Fact("State", MessageState(row.standing).label, tone(row)),
            Fact("Segments", row.segments),
        ]
        if row.state == MessageState.ACCEPTED:
            found.append(Fact("Delivery", row.get_delivery_display(), tone(row)))
        if row.reason:
            found.append(Fact("Reason", Reason(row.reason).label))
        return found

    def links(self, request: HttpRequest, row: Message) -> list[Link]:
        return [
            Link("The batch", reverse("admin:messaging_batch_change", args=[row.batch_id])),
            Link("The number and its consent", reverse("admin:contacts_phonenumber_change", args=[row.number_id])),
        ]

    def possible(self, request: HttpRequest, row: Message) -> list[Deed]:
        """Nobody is offered to send a text of their own batch again."""
        mine = row.batch.is_of(request.user)
        return [each for each in super().possible(request, row) if not (mine and each.name == "send_again")]

    @deed(
        "Close it as unknown",
        permission=SEND,
        question=lambda message: ["The text is not sent again. The batch counts it as “unknown, closed by staff”."],
        when=_unknown,
    )
    def write_off(self, request: HttpRequest, message: Message) -> str:
        controls.resolve_unknown(message, actor=who(request), resend=False)
        notes.info(request, "If a report comes later, it is still shown here.")
        return "Closed."

    @deed(
        "Send it again",
        permission="messaging.approve_batch",
        tone="danger",
        question=before_sending_again,
        when=lambda message: _unknown(message) and message.batch.state != BatchState.CANCELLED,
    )
    def send_again(self, request: HttpRequest, message: Message) -> str:
        controls.resolve_unknown(message, actor=who(request), resend=True)
        doorbell.ring("sending")
        return "It is being sent again."
