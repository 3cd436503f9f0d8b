"""Ocelot, the provider whose contact lists the portal mirrors. What it can do and what is assumed: docs/providers/ocelot.md."""

from smsportal.providers.ocelot.client import Ocelot

__all__ = ["Ocelot"]
