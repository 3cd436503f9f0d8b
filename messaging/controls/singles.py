"""One text to one number: a batch of its own with a single message, ready in one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from contacts import consent
from contacts.models import Contact, PhoneNumber
from messaging import channels, hours
from messaging.composing.audience import abilities_of
from messaging.composing.previewing import no_one
from messaging.controls.drafting import address, refuse_unsendable
from messaging.models import Batch, Chunk, Message
from messaging.statuses import BatchState, MessageState, Reason
from smsportal import clock, phones
from smsportal.accounts.models import ProviderAccount, Unit, User
from smsportal.problems import Conflict, Wrong
from smsportal.text import clean

CHANNEL = "sms"


def send_single(
    *,
    actor: User | None,
    unit: Unit,
    account: ProviderAccount,
    sender: str,
    to: str,
    text: str,
    operator: str = "",
) -> Message:
    """Write one text as a running batch of one message; ring "sending" afterwards. In quiet hours it is held.

    Raises Wrong for a bad number, text, sender or account, and Conflict when the person opted out.
    """
    sender, operator = address(sender), clean(operator).strip() or account.operator
    words = _checked(text, account)
    e164 = _e164(to)
    refuse_unsendable(account, sender, operator)
    opens = hours.opens_at(clock.now(), zone=unit.time_zone, quiet=settings.QUIET_HOURS)
    with transaction.atomic():
        number = PhoneNumber.objects.get(pk=consent.numbers_for([e164])[e164])
        if number.opted_out:
            raise Conflict(f"{phones.display(e164)} opted out and gets no texts until the person opts in again.")
        sent_from = {"account": account, "sender": sender, "operator": operator}
        batch = _running(number, opens, actor, unit=unit, text=words, **sent_from)
        return Message.objects.create(
            batch=batch,
            chunk=Chunk.objects.create(batch=batch, size=1, not_before=opens),
            contact=_contact(number, unit),
            number=number,
            text=words,
            segments=channels.get(CHANNEL).count(words),
            state=MessageState.HELD if opens else MessageState.READY,
            reason=Reason.QUIET_HOURS if opens else Reason.NONE,
        )


def _running(number: PhoneNumber, opens: datetime | None, actor: User | None, **columns: Any) -> Batch:
    """The batch of a single text: nobody approves it and nothing composes it."""
    now = clock.now()
    return Batch.objects.create(
        name=f"Text to {phones.display(number.e164)}",
        single=True,
        state=BatchState.RUNNING,
        channel=CHANNEL,
        recipients=1,
        expanded_to=number.pk,
        waterfall={**no_one(), "audience": 1, "quiet_hours" if opens else "will_send": 1},
        author=actor,
        submitter=actor,
        moved_by=actor,
        moved_at=now,
        started_at=now,
        **columns,
    )


def _checked(text: str, account: ProviderAccount) -> str:
    words = clean(text).replace("\r\n", "\n").strip()
    limit = min(channels.get(CHANNEL).MAX_TEXT, abilities_of(account).max_text)
    sentence = ""
    if not words:
        sentence = "Write a text."
    elif len(words) > limit:
        sentence = f"The text has {len(words):,} characters; at most {limit:,} can be sent."
    elif "{{" in words:
        sentence = "A text to one person has no placeholders; write what belongs in the place of {{…}}."
    if sentence:
        raise Wrong(sentence, errors={"text": [sentence]})
    return words


def _e164(to: str) -> str:
    try:
        return phones.to_e164(to)
    except phones.BadNumber as bad:
        raise Wrong(bad.message, errors={"to": [bad.message]}) from None


def _contact(number: PhoneNumber, unit: Unit) -> Contact | None:
    """Whom the unit knows under this number, if anybody."""
    return Contact.objects.present().filter(number=number, contact_list__unit=unit).order_by("pk").first()
