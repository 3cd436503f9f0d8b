"""What must be right before the portal starts; `manage.py check` and every command tell what is not, and the setting to mend."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import rest_framework
from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register

from smsportal import providers

# Earlier versions read bodies of any size, whatever DATA_UPLOAD_MAX_MEMORY_SIZE says.
_FRAMEWORK: Final = (3, 17, 2)
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d\Z")
_LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}


@register(Tags.security)
def secrets_are_ours_everywhere(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Secrets the portal made itself are in a file of one machine; the others would make others."""
    found: list[CheckMessage] = []
    if settings.DOORBELL == "celery" and not settings.DEBUG:
        found += [
            Error(
                f"{name} is not set, so each machine would make its own.",
                hint=f"Set {name} to the same long random text on all machines.",
                id=f"smsportal.E00{number}",
            )
            for number, name in enumerate(("SECRET_KEY", "FIELD_KEYS"), 1)
            if name in settings.OWN_SECRETS
        ]
    if settings.SECRET_KEY in settings.FIELD_KEYS:
        found.append(
            Error(
                "SECRET_KEY is also one of FIELD_KEYS.",
                hint="Set FIELD_KEYS to another random text, so that losing one of them does not lose both.",
                id="smsportal.E003",
            )
        )
    return found


@register()
def settings_make_sense(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Settings whose mistakes would only show when a text is sent."""
    found: list[CheckMessage] = []
    if settings.DOORBELL not in {"thread", "celery"}:
        found.append(
            Error(f"DOORBELL is {settings.DOORBELL!r}.", hint="Set DOORBELL to thread or celery.", id="smsportal.E004")
        )
    if settings.QUIET_HOURS and not _HOURS.match(settings.QUIET_HOURS):
        found.append(
            Error(
                f"QUIET_HOURS is {settings.QUIET_HOURS!r}.",
                hint="Set QUIET_HOURS like 21:00-08:00, or leave it empty to have none.",
                id="smsportal.E005",
            )
        )
    found += [
        Error(
            f"HOLIDAYS names {place!r}.",
            hint="Set HOLIDAYS to countries or their states, like US or US-IL.",
            id="smsportal.E009",
        )
        for place in settings.HOLIDAYS
        if not _is_place(place)
    ]
    found += [
        Error(
            f"{name} is {number}, so nothing would ever be sent.", hint=f"Set {name} to 1 or more.", id="smsportal.E010"
        )
        for name in ("SEND_THREADS", "SEND_WINDOW")
        if (number := getattr(settings, name)) < 1
    ]
    if settings.DOORBELL == "celery" and settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        found.append(
            checks.Warning(
                "DOORBELL is celery, but the database is SQLite, which only one machine can use.",
                hint="Set DATABASE_URL to a PostgreSQL database, or DOORBELL to thread.",
                id="smsportal.W001",
            )
        )
    return found + _about_public_url()


def _is_place(place: str) -> bool:
    """Whether the library of public holidays knows a country, or a country and a part of it."""
    from holidays import list_supported_countries  # a tenth of a second, for those who set HOLIDAYS

    country, dash, part = place.upper().strip().partition("-")
    parts = list_supported_countries().get(country)
    return parts is not None and (not dash or part in parts)


def _about_public_url() -> list[CheckMessage]:
    parts = urlsplit(settings.PUBLIC_URL)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        return [
            Error(
                f"PUBLIC_URL is {settings.PUBLIC_URL!r}, which is no address providers could call.",
                hint="Set PUBLIC_URL to the address of the portal, like https://sms.example.edu.",
                id="smsportal.E006",
            )
        ]
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not settings.DEBUG:
        return [
            checks.Warning(
                "PUBLIC_URL begins with http://, so what people and providers send can be read on the way.",
                hint="Set PUBLIC_URL to an https:// address.",
                id="smsportal.W002",
            )
        ]
    return []


@register()
def parts_are_there(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """The REST framework is recent enough, and every provider can be loaded."""
    found: list[CheckMessage] = []
    version = tuple(int(part) for part in re.findall(r"\d+", rest_framework.VERSION)[:3])
    if version < _FRAMEWORK:
        found.append(
            Error(
                f"Django REST framework {rest_framework.VERSION} does not limit the size of a body.",
                hint="Install requirements.txt, which pins 3.17.2 or later.",
                id="smsportal.E007",
            )
        )
    for name, dotted in providers.PROVIDERS.items():
        try:
            providers.get(name)
        except ImportError as missing:
            found.append(
                Error(
                    f"The provider {name} cannot be loaded from {dotted}: {missing}.",
                    hint="Mend its line in smsportal/providers/__init__.py, or install requirements.txt.",
                    id="smsportal.E008",
                )
            )
    return found
