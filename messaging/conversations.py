"""What people answer, and answering them: the thread with one number, its incoming turns and our replies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q

from contacts.models import PhoneNumber
from messaging import controls
from messaging.models import Conversation, Direction, Message, Turn, WebhookItem
from messaging.statuses import DELIVERY_TITLES, MessageState
from smsportal import clock
from smsportal.accounts.models import User
from smsportal.problems import Wrong
from smsportal.text import clean

DELIVERY_TITLE: Final = dict(DELIVERY_TITLES)
# What never left, and never will, is no part of a conversation.
UNSAID: Final = (MessageState.SKIPPED,)
LONGEST_THREAD: Final = 500


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a thread. `state` says of our own texts how far they came; it is blank for theirs."""

    direction: str  # in | out
    text: str
    at: datetime
    state: str = ""


def note_reply(
    *, account_id: int, number: PhoneNumber, text: str, at: datetime, item: WebhookItem, wants_answer: bool = True
) -> bool:
    """Add what a person wrote to the conversation; False when it was noted before.

    Asks for somebody's attention unless nothing is left to answer, as after a bare STOP.
    """
    conversation, _ = Conversation.objects.get_or_create(account_id=account_id, number=number)
    said = clean(text)
    _, new = Turn.objects.get_or_create(
        item=item,
        defaults={
            "conversation": conversation,
            "direction": Direction.IN,
            "text": said,
            "at": at,
            "message": _answered(account_id, number, at),
        },
    )
    if new:
        mine = Conversation.objects.filter(pk=conversation.pk)
        if wants_answer:
            mine.update(needs_attention=True, updated_at=clock.now())
        # Replies may come in any order: the latest one is shown, whichever was stored last.
        later = Q(last_at=None) | Q(last_at__lt=at) | Q(last_at=at, last_text__lt=said[:300])
        mine.filter(later).update(last_text=said[:300], last_at=at)
    return new


def _answered(account_id: int, number: PhoneNumber, at: datetime) -> Message | None:
    """The text a reply most likely answers: the last one of ours that left before it."""
    left = (MessageState.ACCEPTED, MessageState.UNKNOWN, MessageState.SUBMITTING)
    ours = Message.objects.filter(number=number, batch__account=account_id, state__in=left, created_at__lte=at)
    return ours.order_by("-pk").first()


def thread(conversation: Conversation, *, viewer: User | AnonymousUser | None = None) -> list[Line]:
    """Everything said in a conversation, oldest first: the latest 500 of our texts, and of theirs.

    For a `viewer`, of our texts only those of the units they may see.
    """
    texts = Message.objects.all() if viewer is None else Message.objects.visible_to(viewer)
    ours = (
        texts.filter(number=conversation.number_id, batch__account=conversation.account_id)
        .exclude(state__in=UNSAID)
        .order_by("-pk")
        .only("text", "created_at", "state", "delivery")[:LONGEST_THREAD]
    )
    lines = [Line("out", message.text, message.created_at, _state(message)) for message in ours]
    turns = conversation.turns.order_by("-at", "-pk")[:LONGEST_THREAD]
    lines += [Line(turn.direction, turn.text, turn.at) for turn in turns]
    return sorted(lines, key=lambda line: line.at)


def _state(message: Message) -> str:
    """What staff read beside one of our texts: the report when there is one, else where it stands with us."""
    return DELIVERY_TITLE[message.delivery] if message.delivery else MessageState(message.state).label


def reply(conversation: Conversation, *, actor: User, text: str, token: str = "") -> Message:
    """Send `text` to the person from where the last text to them came, and put the conversation to rest.

    `token` as of `controls.send_single`.
    Raises Wrong when nothing was ever written to this number through the account, so that no sender is known; and
    whatever `controls.send_single` refuses with, an opt-out above all.
    """
    ours = Message.objects.filter(number=conversation.number_id, batch__account=conversation.account_id)
    latest = ours.select_related("batch__unit", "batch__account").order_by("-pk")
    # Where two offices wrote to the person, each answers from its own number.
    last = latest.filter(batch__unit__in=actor.units.all()).first()
    unit = last.batch.unit if last else actor.home()
    last = last or latest.first()
    if last is None:
        raise Wrong("This person was never texted from here, so there is no number to answer from. Send a new text.")
    message = controls.send_single(
        actor=actor,
        unit=unit or last.batch.unit,
        account=last.batch.account,
        sender=last.batch.sender,
        operator=last.batch.operator,
        to=conversation.number.e164,
        text=text,
        token=token,
    )
    close(conversation)
    return message


def close(conversation: Conversation) -> None:
    """Nobody needs to look at it any more, until the person writes again."""
    Conversation.objects.filter(pk=conversation.pk).update(needs_attention=False, updated_at=clock.now())
