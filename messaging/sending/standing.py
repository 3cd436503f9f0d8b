"""How a provider account stands: whether it may be sent through, how many requests at once, and when it rests."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Greatest

from messaging.sending.answers import LONGEST_WAIT_S, STRIKES, Decision, Verdict
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.sql import among, read, run
from smsportal.text import clean

log = logging.getLogger(__name__)

PROBE_S: Final = 30  # how long an open circuit rests at first, and between two questions that were not answered
# No request is under way for longer: its deadline (45 s), the moment before it and the writing down.
UNDER_WAY_S: Final = 60


def room(account_id: int, answered: Collection[int] = ()) -> int:
    """How many more requests may set out through the account now; 0 when it is closed or rests.

    `answered`: chunks (Chunk.id) that are known not to be under way any more, whatever their state.

    Locks the account's row, so that two drivers never count the same room and nobody closes the account meanwhile:
    call it in the transaction of the intents.
    """
    now, ids = clock.now(), list(answered)
    lock = "FOR NO KEY UPDATE" if connection.vendor == "postgresql" else ""
    statement = f"""
        SELECT "window" FROM accounts_provideraccount WHERE id = %s AND is_active AND NOT circuit_open
        AND (paused_until IS NULL OR paused_until <= %s) {lock}"""  # noqa: S608 - no data in it
    found = read(statement, account_id, now)
    if not found:
        return 0
    # In a statement of its own, which sees what was committed while the lock was waited for. What a killed worker left
    # in this state is not on its way any more, although the sweeper has not judged it yet.
    ((under_way,),) = read(
        f"""
        SELECT count(*) FROM messaging_chunk c JOIN messaging_batch b ON b.id = c.batch_id
        WHERE c.state = 'submitting' AND c.lease_until > %s AND b.account_id = %s
        AND NOT ({among("c.id", ids)})""",  # noqa: S608 - no data in it
        now + timedelta(seconds=settings.LEASE_SECONDS - UNDER_WAY_S),
        account_id,
        ids,
    )
    most: int = settings.SEND_WINDOW
    return max(0, min(found[0][0] or most, most) - int(under_way))


def window_of(account: ProviderAccount) -> int:
    """How many requests of this account may be under way at once, over all workers."""
    most: int = settings.SEND_WINDOW
    return min(account.window or most, most)


def went_well(account_id: int) -> None:
    """An answer made sense: forget the bad ones before it, and let twice as many requests be under way again."""
    run(
        """
        UPDATE accounts_provideraccount SET bad_answers = 0,
            "window" = CASE WHEN "window" >= %s THEN NULL ELSE "window" * 2 END
        WHERE id = %s AND (bad_answers > 0 OR "window" IS NOT NULL)""",
        settings.SEND_WINDOW // 2,
        account_id,
    )


def note(account_id: int, decision: Decision) -> None:
    """Let the account rest as the decision asks, and open its circuit when nothing sensible comes back any more."""
    row = ProviderAccount.objects.filter(pk=account_id)
    if decision.wait_s:
        row.filter(Q(paused_until=None) | Q(paused_until__lt=clock.after(decision.wait_s))).update(
            paused_until=clock.after(min(decision.wait_s, LONGEST_WAIT_S))
        )
    if decision.strike or decision.verdict is Verdict.CLOSED:
        _strike(account_id, decision)
    elif decision.verdict is Verdict.ACCEPTED:
        went_well(account_id)


def rest_s(bad_answers: int) -> float:
    """How long an account rests after so many bad answers in a row: twice as long after each that was tried in vain."""
    return min(PROBE_S * 2.0 ** min(max(0, bad_answers - STRIKES), 10), LONGEST_WAIT_S)


def _strike(account_id: int, decision: Decision) -> None:
    # What was under way when the circuit opened says nothing new, and must not lengthen the rest.
    row = ProviderAccount.objects.filter(pk=account_id, circuit_open=False)
    least = STRIKES if decision.verdict is Verdict.CLOSED else 1
    # Fewer at once, so that a provider that falls silent leaves as little unknown as may be.
    smaller = Greatest(Value(1), Coalesce(F("window"), Value(settings.SEND_WINDOW)) / 2)
    row.update(bad_answers=Greatest(F("bad_answers") + 1, Value(least)), window=smaller)
    for bad_answers in row.filter(bad_answers__gte=STRIKES).values_list("bad_answers", flat=True):
        row.update(
            circuit_open=True,
            circuit_reason=clean(decision.text or "The provider's answers tell nothing.", 500),
            paused_until=clock.after(max(rest_s(bad_answers), min(decision.wait_s, LONGEST_WAIT_S))),
            window=1,
            updated_at=clock.now(),
        )
        log.error("Sending through account %s is stopped: %s", account_id, decision.text)


def reopen(account_id: int) -> int:
    """The account answers again: try one chunk through it. How many were reopened.

    It may answer what is asked and still fail at what is sent: the first bad answer closes it again, for longer.
    """
    return ProviderAccount.objects.filter(pk=account_id, circuit_open=True).update(
        circuit_open=False,
        circuit_reason="",
        bad_answers=Greatest(F("bad_answers"), Value(STRIKES - 1)),
        paused_until=None,
        window=1,
    )


def learn_limit(account_id: int, size: int) -> None:
    """Remember that the account takes fewer texts per call than the `size` it refused."""
    half = max(1, size // 2)
    account = ProviderAccount.objects.filter(pk=account_id)
    account.filter(Q(max_per_call=None) | Q(max_per_call__gt=half)).update(max_per_call=half)
