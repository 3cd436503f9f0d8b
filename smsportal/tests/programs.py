"""Programs for tests: a client that calls the API with a real token, or with a person's session."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

from smsportal.accounts.models import ApiToken, User
from smsportal.tests.world import make_user

API = "/api/v1/"


def make_token(user: User, *scopes: str, **more: Any) -> str:
    return ApiToken.objects.create(user, name="test", scopes=list(scopes or ("all",)), **more)[1]


def program(user: User | None = None, *scopes: str) -> APIClient:
    """A program of `user` (default: somebody who may do everything) with a token of these scopes."""
    client = APIClient(raise_request_exception=True)
    user = user or make_user("root", is_superuser=True)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(user, *scopes)}")
    return client


def person(*groups: str, username: str = "sam", **more: Any) -> APIClient:
    """A signed-in member of `groups`."""
    client = APIClient()
    client.force_login(make_user(username, groups=groups, **more))
    return client
