"""The sandbox's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smsportal.sandbox.app import Twins


def render(twins: Twins, *, live: bool) -> str:
    """The whole page."""
    return "<!doctype html><h1>Sandbox</h1>"
