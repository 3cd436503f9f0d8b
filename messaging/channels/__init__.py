"""The registry of channels: how a text is measured and what its limits are. Adding one is its module and one line here."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from django.utils.module_loading import import_string

CHANNELS: Final[dict[str, str]] = {
    "sms": "messaging.channels.sms",
}


def get(name: str) -> ModuleType:
    """The module of the channel `name`, with `measure`, `count`, `reply_kind` and `MAX_TEXT`; KeyError if none."""
    package, _, module = CHANNELS[name].rpartition(".")
    found: ModuleType = import_string(f"{package}.{module}")
    return found
