"""⑤ Hands chunks to a provider so that nothing is lost and nothing is doubled by us: claim, intent, POST, outcome.

Three short transactions and one request. The intent is committed before the request leaves, and it holds the consent
of every recipient; after it a chunk is never made ready again by time, only by an answer that says it was refused.
`send_next` does it for one chunk; `drivers` for very many at once, with one transaction for several chunks.

Next: smsportal/providers/ocelot/__init__.py
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from django.db import connection

from messaging.sending import outcomes, standing
from messaging.sending.answers import Decision, Verdict, decide
from messaging.sending.claiming import Taken, give_back, take
from messaging.sending.intents import Intent, intend
from smsportal.accounts.models import ProviderAccount
from smsportal.providers.base import Answer, Provider
from smsportal.providers.errors import Misconfigured, ProviderError
from smsportal.sql import AWAY

__all__ = ["Intent", "Taken", "give_back", "hand_over", "intend", "open_provider", "send_next", "take", "write_down"]

log = logging.getLogger(__name__)

# A worker that was frozen between the intent and the POST must not send: the sweeper may already have judged.
FRESH_S: Final = 2.0
# The pauses between tries to write an outcome while the database is away or in a deadlock: far less than the lease.
AGAIN_AFTER_S: Final = (0.2, 1.0, 3.0, 6.0)


def send_next() -> bool:
    """Take one chunk that is due and see it through. False when none is due."""
    taken = take()
    if not taken:
        return False
    batch = taken[0].batch
    try:
        provider = open_provider(batch.account)
        provider.connect()
    except ProviderError as error:
        # Nothing was intended yet, so nothing can be unknown: decide as for a refusal.
        give_back(taken)
        standing.note(batch.account_id, decide(error, 1))
        return True
    for intent in intend(taken):
        write_down([(intent, hand_over(provider, intent))])
    outcomes.finish_if_done(batch.pk)
    return True


def open_provider(account: ProviderAccount) -> Provider:
    """The provider of `account`. Raises Misconfigured also for a mistake of our own.

    Such a mistake closes the account like a wrong key: kept, the claims of its chunks would hold up everybody's, lease
    after lease.
    """
    try:
        return account.at_provider()
    except Exception as error:
        log.exception("%s cannot be used", account)
        raise Misconfigured(f"The portal cannot use this account: {error!r}") from error


def hand_over(provider: Provider, intent: Intent) -> Decision:
    """Make the one request of an intent and judge its answer. Never raises: what is not known is UNKNOWN."""
    if time.monotonic() - intent.leased_at > FRESH_S:
        return Decision(Verdict.LATER, text="The worker stood still before the request; nothing left.")
    outcome: Answer | Exception
    try:
        outcome = provider.send(intent.envelope, intent.texts)
    except Exception as error:
        outcome = error
        if not isinstance(error, ProviderError):
            log.exception("Sending attempt %s failed in the portal itself", intent.attempt.uuid)
    return decide(outcome, len(intent.texts))


def write_down(done: Sequence[outcomes.Done]) -> set[int]:
    """Record what came of intents, also when the database was away or chose this transaction to end a deadlock.

    What was answered is known only here: lost, a plain refusal would be unknown for ever. The fence makes a repetition
    harmless. Returns the ids of the chunks that were written.
    """
    for pause_s in AGAIN_AFTER_S:
        try:
            return outcomes.record(done)
        except AWAY as gone:
            if connection.in_atomic_block:
                raise
            log.warning("The outcomes of %s attempts could not be written yet: %s", len(done), gone)
            connection.close()
            time.sleep(pause_s)
    return outcomes.record(done)
