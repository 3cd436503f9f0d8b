"""The API calls of mirroring: make a plan, look at it, confirm it, watch it run."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from contacts import sync
from contacts.models import ContactList, SyncRun
from contacts.serializers.syncs import ConfirmSerializer, SyncRunSerializer
from smsportal import doorbell
from smsportal.api.rights import Call
from smsportal.api.views import View

_SYNC = "contacts.sync_contactlist"


class ListSync(View):
    """Mirroring one list."""

    model = ContactList
    serializer_class = SyncRunSerializer
    calls = {"plan": Call(_SYNC, "lists:write", status=201, asks_provider=True)}

    def rows(self) -> Any:
        return super().rows().select_related("account")

    def plan(self, request: Request, **_: Any) -> Response:
        """Compare the list with its counterpart and say what a sync would do. Nothing is written at the provider."""
        return self.answer(sync.plan(self.get_object(), actor=self.actor))


class SyncRuns(View):
    """One sync run."""

    model = SyncRun
    serializer_class = SyncRunSerializer
    calls = {
        "retrieve": Call("contacts.view_syncrun", "lists:read"),
        "apply": Call(_SYNC, "lists:write", ConfirmSerializer, status=202),
    }

    def rows(self) -> Any:
        return super().rows().select_related("contact_list__account").defer("backup")

    def apply(self, request: Request, **_: Any) -> Response:
        """Carry a plan out, in the background. The hash says which one was looked at."""
        run, given = self.get_object(), self.given()
        sync.confirm(run, plan_hash=given["hash"], confirm=given["confirm"], actor=self.actor)
        doorbell.ring("syncs")
        return self.answer(self.rows().get(pk=run.pk))
