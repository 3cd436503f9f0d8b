"""One text to one number: a batch of its own with a single message, ready in one transaction."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from contacts import consent
from contacts.models import Contact, PhoneNumber
from messaging import channels, hours
from messaging.composing.audience import Audience, abilities_of
from messaging.composing.previewing import no_one
from messaging.controls.checking import address, refuse_unsendable
from messaging.models import Batch, Chunk, Message
from messaging.models.calendar import holidays_of
from messaging.statuses import BatchState, MessageState, Reason
from messaging.zones import FIELD, zones_of
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
    filled: bool = False,
    token: str = "",
) -> Message:
    """Write one text as a running batch of one message; ring "sending" afterwards. In quiet hours it is held.

    `filled`: its placeholders are replaced already, so braces in it are somebody's own words. `token`: of the form it
    was written in; the same words to the same number from the same form are one text, however often they are sent.
    Raises Wrong for a bad number, text, sender or account, and Conflict when the person opted out.
    """
    sent_from: dict[str, Any] = {
        "account": account,
        "sender": address(sender),
        "operator": clean(operator).strip() or account.operator,
    }
    words, e164 = _checked(text, account, filled=filled), _e164(to)
    once = hashlib.sha256("\0".join([token, e164, words]).encode()).hexdigest() if token else ""
    if (earlier := _written(unit, once)) is not None:
        return earlier
    refuse_unsendable(**sent_from)
    try:
        return _write(e164, words, actor, unit=unit, token=once, **sent_from)
    except IntegrityError:  # the other of two clicks was first
        if (earlier := _written(unit, once)) is None:
            raise
        return earlier


def _written(unit: Unit, once: str) -> Message | None:
    """The text this form has made already, if any."""
    found: Message | None = Message.objects.filter(batch__unit=unit, batch__token=once).first() if once else None
    return found


def _write(e164: str, words: str, actor: User | None, *, unit: Unit, **columns: Any) -> Message:
    with transaction.atomic():
        number = PhoneNumber.objects.get(pk=consent.numbers_for([e164])[e164])
        if number.opted_out:
            raise Conflict(f"{phones.display(e164)} opted out and gets no texts until the person opts in again.")
        contact = _contact(number, unit)
        zones = zones_of(e164, contact.extra.get(FIELD, "") if contact else "", unit.time_zone)
        opens = hours.opens_at(clock.now(), zones=zones, quiet=settings.QUIET_HOURS, holidays=holidays_of(unit.pk))
        batch = _running(number, opens, actor, unit=unit, text=words, **columns)
        return Message.objects.create(
            batch=batch,
            chunk=Chunk.objects.create(batch=batch, size=1, not_before=opens, zones=zones),
            contact=contact,
            number=number,
            text=words,
            segments=channels.get(CHANNEL).count(words),
            state=MessageState.HELD if opens else MessageState.READY,
            reason=Reason.QUIET_HOURS if opens else Reason.NONE,
        )


def test_send(batch: Batch, *, actor: User | None, to: str = "", sample: int | None = None) -> Message:  # noqa: PT028 - no test
    """Send the text of `batch` to oneself, as a real recipient would get it, with “[Test]” before it.

    `to`: another number than the person's own. `sample`: the PhoneNumber.id of the recipient whose text it is, else the
    first who gets one. A batch of its own, so it counts nowhere in `batch`; ring "sending" afterwards. Raises Wrong
    without a number or a recipient, Conflict when the number opted out.
    """
    own = to.strip() or (actor.phone if actor else "")
    if not own:
        sentence = "Your own phone number is not known here; enter it at your account, or name a number."
        raise Wrong(sentence, errors={"to": [sentence]})
    text = f"[Test] {_sample_text(batch, sample)}"
    given: dict[str, Any] = {"account": batch.account, "sender": batch.sender, "operator": batch.operator}
    return send_single(actor=actor, unit=batch.unit, to=own, text=text, filled=True, **given)


def _sample_text(batch: Batch, sample: int | None) -> str:
    audience = Audience(batch)
    if sample is None:
        people = (person for page in audience.pages() for person in page.people if not person.reason)
        person = next(people, None)
    else:
        person = audience.only(sample)
    if person is None or person.reason:
        sentence = "Nobody would get this text, so there is none to try; look at the preview."
        if sample is not None:
            why = f"would get no text ({Reason(person.reason).label.lower()})" if person else "is not in its audience"
            sentence = f"The one whose text is to be tried {why}; name somebody else the batch goes to."
        raise Wrong(sentence, errors={"sample": [sentence]})
    return person.text


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


def _checked(text: str, account: ProviderAccount, *, filled: bool) -> str:
    words = clean(text).replace("\r\n", "\n").strip()
    limit = min(channels.get(CHANNEL).MAX_TEXT, abilities_of(account).max_text)
    sentence = ""
    if not words:
        sentence = "Write a text."
    elif len(words) > limit:
        sentence = f"The text has {len(words):,} characters; at most {limit:,} can be sent."
    elif "{{" in words and not filled:
        sentence = "A text to one person has no placeholders; write what belongs in the place of {{…}}."
    if sentence:
        raise Wrong(sentence, errors={"text": [sentence]})
    return words


def _e164(to: str) -> str:
    try:
        return phones.to_textable(to)
    except phones.BadNumber as bad:
        raise Wrong(bad.message, errors={"to": [bad.message]}) from None


def _contact(number: PhoneNumber, unit: Unit) -> Contact | None:
    """Whom the unit knows under this number, if anybody."""
    return Contact.objects.present().filter(number=number, contact_list__unit=unit).order_by("pk").first()
