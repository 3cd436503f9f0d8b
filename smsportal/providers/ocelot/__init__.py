"""⑥ Ocelot, the provider whose contact lists the portal mirrors: our calls in its words, its answers in ours.

`client` makes the calls · `wording` and `reading` translate records · `schemas` closes what is sent · `answers` reads what
comes back · `events` reads webhooks · `statuses` holds the tables of statuses and errors. What it can do and what is
assumed where its documents are silent: docs/providers/ocelot.md.

Next: messaging/webhooks.py
"""

from smsportal.providers.ocelot.client import Ocelot

__all__ = ["Ocelot"]
