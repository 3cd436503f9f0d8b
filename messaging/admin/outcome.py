"""Who got the text of a batch, who may have got it, who did not: the page a stopped batch ends on, and its files."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from messaging import controls
from messaging.admin.figures import missing
from messaging.admin.words import sentence
from messaging.models import Batch, Message
from messaging.serializers.recipients import recipients_csv
from messaging.statuses import WHO_GOT, Got, MessageState
from smsportal import phones
from smsportal.accounts.pages import Page
from smsportal.text import clean

MOST_ROWS: Final = 20
MEANING: Final = {
    Got.GOT: "The provider took it and nothing says that it failed.",
    Got.MAY_HAVE: "Nobody knows whether it reached them: no answer came, or the provider itself does not know.",
    Got.DID_NOT: "It never left, was refused, or is known not to have arrived.",
}


class OutcomePage(Page):
    """The three groups, each with its number, its first people and its file."""

    where = "<path:object_id>/outcome/"
    name = "outcome"
    template = "admin/messaging/outcome.html"
    row: Batch

    def get(self, request: HttpRequest) -> HttpResponse:
        counts = controls.outcome_counts(self.row)
        return self.show(
            request,
            title=f"Who got “{self.row}”",
            batch=self.row,
            settling=self.row.messages.filter(state=MessageState.SUBMITTING).count(),
            groups=[(each, MEANING[each], counts[each], first(self.row, each)) for each in Got],
            missing=missing(self.row),
            most=MOST_ROWS,
            back=self.admin.url("change", self.row.pk),
            overview={},
        )


class OutcomeFile(Page):
    """One group, or all, as a CSV file, however large, written while it is read: the same file a program gets."""

    where = "<path:object_id>/outcome.csv"
    name = "outcome_csv"
    row: Batch

    def get(self, request: HttpRequest) -> HttpResponseBase:
        group = request.GET.get("group", "")
        if group not in {"", *Got.values}:
            raise Http404
        answer = StreamingHttpResponse(recipients_csv(self.row, group), content_type="text/csv; charset=utf-8")
        name = "".join(each if each.isalnum() else "-" for each in clean(self.row.name, 60)).strip("-")
        plain = name.encode("ascii", "ignore").decode()
        answer["Content-Disposition"] = f'attachment; filename="{plain}-{group or "all"}.csv"'
        return answer


def first(batch: Batch, group: str) -> list[tuple[Message, str, str]]:
    """The first people of a group: the message, the number as people write it, and what became of it."""
    rows = (
        Message.objects.filter(WHO_GOT[group], batch=batch).select_related("number", "contact", "chunk").order_by("pk")
    )
    return [(each, phones.display(each.number.e164), sentence(each)) for each in rows[:MOST_ROWS]]
