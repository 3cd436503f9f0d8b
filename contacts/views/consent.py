"""The API calls of opt-outs. They belong to the person, not to a unit: one opt-out holds for the whole portal."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from rest_framework.request import Request
from rest_framework.response import Response

from contacts import consent
from contacts.filters import ByNumberFilter
from contacts.models import ConsentEvent, ConsentKind, ConsentSource, PhoneNumber
from contacts.serializers.consent import ConsentEventSerializer, LiftSerializer, OptOutBodySerializer, OptOutSerializer
from smsportal import phones
from smsportal.accounts.models import ApiToken
from smsportal.api.rights import Call
from smsportal.api.views import View
from smsportal.problems import Wrong


class OptOuts(View):
    """The numbers that are not texted."""

    model = PhoneNumber
    serializer_class = OptOutSerializer
    filterset_class = ByNumberFilter
    calls = {
        "list": Call("contacts.view_consentevent", "optouts:read"),
        "create": Call("contacts.add_consentevent", "optouts:write", OptOutBodySerializer, status=201),
        "destroy": Call("contacts.change_phonenumber", "optouts:write", LiftSerializer, status=204),
    }

    def rows(self) -> Any:
        return _with_latest(PhoneNumber.objects.filter(opted_out=True))

    def create(self, request: Request, **_: Any) -> Response:
        """Record that a person must not be texted. Doing it twice changes nothing but the record."""
        given = self.given()
        try:
            e164 = phones.to_e164(given["phone_number"])
        except phones.BadNumber as bad:
            raise Wrong(bad.message, errors={"phone_number": [bad.message]}) from bad
        consent.opt_out(
            e164,
            source=_source(request),
            actor=self.actor,
            reason=given["reason"],
            staff_block=given["staff_block"],
        )
        return self.answer(_with_latest(PhoneNumber.objects.filter(e164=e164)).get())

    def destroy(self, request: Request, **_: Any) -> Response:
        """Remove an opt-out, because the person wants texts again; say why."""
        reason = self.given()["reason"]
        consent.lift(self.get_object(), actor=self.actor, reason=reason, source=_source(request))
        return Response(status=204)


class ConsentEvents(View):
    """Everything ever said about texting a number, newest first; nothing of it is changed or removed."""

    model = ConsentEvent
    serializer_class = ConsentEventSerializer
    filterset_class = ByNumberFilter
    calls = {"list": Call("contacts.view_consentevent", "optouts:read")}

    def rows(self) -> Any:
        return ConsentEvent.objects.select_related("number", "actor")


def _source(request: Request) -> str:
    """A token is a program's, a session a person's."""
    return ConsentSource.API if isinstance(request.auth, ApiToken) else ConsentSource.STAFF


def _with_latest(numbers: QuerySet[PhoneNumber]) -> QuerySet[Any]:
    out = ConsentEvent.objects.filter(number=OuterRef("pk"), kind=ConsentKind.OUT).order_by("-at", "-id")
    return numbers.annotate(
        out_source=Subquery(out.values("source")[:1]), out_reason=Subquery(out.values("reason")[:1])
    )
