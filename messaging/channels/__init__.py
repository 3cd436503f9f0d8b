"""The registry of channels: how a text is measured and what its limits are. Adding one is its module and one line here."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Final

CHANNELS: Final[dict[str, str]] = {
    "sms": "messaging.channels.sms",
}


def get(name: str) -> ModuleType:
    """The module of the channel `name`: `measure`, `count`, `culprits`, `reply_kind`, `MAX_TEXT`; KeyError if none."""
    return import_module(CHANNELS[name])
