"""Asks a provider which numbers we may send from, and keeps what it told."""

from __future__ import annotations

from django.db import transaction

from messaging.models import Sender
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.problems import Wrong
from smsportal.providers.base import RemoteSender
from smsportal.text import clean, clean_json


def refresh(account: ProviderAccount, *, operator: str = "") -> list[Sender]:
    """The senders of `account` for `operator` (default: the account's own) as the provider tells them now.

    Senders it told before and does not tell any more are removed; those entered by hand stay. Call it outside a
    transaction. Raises Wrong without an operator where one is needed, and ProviderError.
    """
    provider = account.at_provider()
    asked = operator or account.operator
    if provider.abilities.needs_operator and not asked:
        sentence = f"{account} tells numbers per operator; name one."
        raise Wrong(sentence, errors={"operator": [sentence]})
    told = provider.senders(asked)
    now = clock.now()
    with transaction.atomic():
        for each in told:
            Sender.objects.update_or_create(
                account=account,
                address=clean(each.address, 32),
                defaults={**_columns(each), "operator": asked, "refreshed_at": now},
            )
        kept = Sender.objects.filter(account=account, operator=asked)
        kept.exclude(refreshed_at=None).exclude(refreshed_at=now).delete()
    return list(kept.filter(refreshed_at=now).select_related("account"))


def _columns(told: RemoteSender) -> dict[str, object]:
    return {
        "label": clean(told.label, 200),
        "description": clean(told.description, 500),
        "campaign_ids": clean_json(list(told.campaign_ids)),
        "remote": clean_json(dict(told.raw)),
    }
