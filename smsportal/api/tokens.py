"""Bearer tokens: how a request proves whose program it is."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

from django.db.models import Q
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from smsportal import clock
from smsportal.accounts.models import ApiToken, User

# "smsp_" and 256 random bits as hexadecimal digits, see REST_KNOX in settings.py.
_SHAPE: Final = re.compile(rb"smsp_[0-9a-f]{64}\Z")
# Writing the time of every call would make every read a write.
_NOTED_EVERY: Final = timedelta(minutes=1)


class BearerToken(TokenAuthentication):
    """`Authorization: Bearer smsp_…`. Expired tokens are refused and kept, so that people can see what stopped."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, ApiToken]:
        if not _SHAPE.match(token):
            raise AuthenticationFailed("This is not a token of the portal.")
        user, found = super().authenticate_credentials(token)  # type: ignore[no-untyped-call]
        note_use(found)
        return user, found

    def _cleanup_token(self, auth_token: ApiToken) -> bool:
        """Whether the token is of no use any more. Unlike the package's own method this deletes nothing."""
        return auth_token.expiry is not None and auth_token.expiry < clock.now()


def note_use(token: ApiToken) -> None:
    """Write down that the token was used, at most once a minute whatever the number of calls."""
    now = clock.now()
    if token.last_used_at is None or token.last_used_at < now - _NOTED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - _NOTED_EVERY)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)


class BearerTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema describes `BearerToken`."""

    target_class = "smsportal.api.tokens.BearerToken"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A token printed by `manage.py create_token`."}
