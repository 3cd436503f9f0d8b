"""The API calls of provider accounts and tokens."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from smsportal.accounts.models import ApiToken, ProviderAccount
from smsportal.accounts.serializers import ApiTokenSerializer, CheckedSerializer, ProviderAccountSerializer
from smsportal.api.rights import Call
from smsportal.api.views import View
from smsportal.providers.errors import ProviderError


class ProviderAccounts(View):
    """The accounts texts are sent through. Their credentials are entered in the admin and never shown."""

    model = ProviderAccount
    serializer_class = ProviderAccountSerializer
    orderings = {"slug": ("slug",)}
    calls = {
        "list": Call("accounts.view_provideraccount", "accounts:read"),
        "retrieve": Call("accounts.view_provideraccount", "accounts:read"),
        "check": Call("accounts.check_provideraccount", "accounts:write", gives=CheckedSerializer, asks_provider=True),
    }

    def rows(self) -> Any:
        return ProviderAccount.objects.all()

    def check(self, request: Request, **_: Any) -> Response:
        """Ask the provider something harmless with the account's address and credentials."""
        account = self.get_object()
        try:
            account.at_provider().check()
        except ProviderError as wrong:
            return self.answer({"ok": False, "detail": wrong.text})
        return self.answer({"ok": True, "detail": f"{account.name} answers and takes the credentials."})


class Tokens(View):
    """The bearer tokens of the caller; of everybody for those who manage them. Made by `manage.py create_token`."""

    model = ApiToken
    serializer_class = ApiTokenSerializer
    orderings = {"-created_at": ("-created", "uuid")}
    calls = {
        "list": Call("", "accounts:read"),
        "destroy": Call("", "accounts:write", status=204),
    }

    def rows(self) -> Any:
        tokens = ApiToken.objects.select_related("user")
        verb = "delete" if self.action == "destroy" else "view"
        all_of_them = self.request.user.has_perm(f"accounts.{verb}_apitoken")
        return tokens if all_of_them else tokens.filter(user=self.request.user.pk)

    def destroy(self, request: Request, **_: Any) -> Response:
        """Revoke a token at once."""
        self.get_object().delete()
        return Response(status=204)
