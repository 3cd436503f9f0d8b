"""What is said before a deed is done to a batch, in exact numbers: what will happen, and what cannot be taken back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.conf import settings
from django.db.models import Count, Max, Q, QuerySet
from django.utils import formats, timezone
from django.utils.timesince import timesince

from messaging import controls
from messaging.admin.figures import those, unprepared
from messaging.admin.words import how_many, is_scheduled
from messaging.composing.previewing import survey
from messaging.composing.sources import HAS_IT, to_correct
from messaging.controls import FailureClass
from messaging.controls.resending import HOLD
from messaging.models import Batch, Message
from messaging.statuses import MOVES, BatchState, MessageState
from smsportal import clock, phones
from smsportal.problems import Problem, Wrong
from smsportal.providers.base import Delivery
from smsportal.text import plural

# Nothing of it leaves at the moment, so that it is known who would get a correction.
STANDING = (BatchState.PAUSED, BatchState.FINISHED, BatchState.CANCELLED)


def before_start(batch: Batch) -> list[str]:
    later = batch.send_at if batch.send_at and batch.send_at > clock.now() else None
    when = f"on {_moment(later)}" if later else "at once"
    said = [_leaving(batch, when), "Whoever opts out before their text leaves is left out."]
    if batch.expires_at:
        said.append(f"What has not left by {_moment(batch.expires_at)} is not sent.")
    if settings.UNDO_SECONDS > 0 and not later:
        said.append(f"For {plural(settings.UNDO_SECONDS, 'second', 'seconds')} nothing leaves and you can undo it.")
    if late := _late(batch):
        said.insert(0, f"{late} Starting it sends it now to {plural(how_many(batch), 'person', 'people')}.")
    return [*said, "You can pause or cancel while it runs; texts that have left cannot be called back."]


def _late(batch: Batch) -> str:
    """When a batch was to be sent whose time has passed by a minute or more, and how long ago that is; else ""."""
    now = clock.now()
    if batch.send_at is None or now - batch.send_at < timedelta(minutes=1):
        return ""
    meant = formats.date_format(timezone.localtime(batch.send_at), "DATETIME_FORMAT")
    ago = timesince(batch.send_at, now).replace("\xa0", " ")
    return f"It is late: it was to be sent on {meant}, {ago} ago."


def _moment(at: datetime) -> str:
    return str(formats.date_format(timezone.localtime(at), "DATETIME_FORMAT"))


def _leaving(batch: Batch, when: str) -> str:
    """How many texts there are in all, which number is typed, and how many of them wait for quiet hours to end."""
    total, held = how_many(batch), _held(batch)
    sender = phones.display(batch.sender) if batch.sender.startswith("+") else batch.sender
    if not held:
        return f"{plural(total, 'text leaves', 'texts leave')} {when} from {sender}."
    waits = "until quiet hours or holidays end where their people are, then they leave by themselves."
    if held >= total:
        return f"{plural(total, 'text', 'texts')} from {sender}, none of them {when}: they wait {waits}"
    return f"{plural(total, 'text', 'texts')} from {sender}: {total - held:,} leave {when}, {held:,} wait {waits}"


def _held(batch: Batch) -> int:
    """As of now: what was counted when the batch was submitted may have been at another hour."""
    try:
        return int(survey(batch)[0].waterfall["quiet_hours"])
    except Problem:
        return 0


def before_resume(batch: Batch) -> list[str]:
    counts = batch.counts()
    waiting = counts[MessageState.READY] + counts[MessageState.HELD] + counts[MessageState.CLAIMED]
    to = f"{waiting:,} more" if waiting else ""
    said = [f"{plural(waiting, 'text still waits; it leaves', 'texts still wait; they leave')} from now on."]
    if not waiting:
        said = ["None of its texts waits any more, so nothing else leaves. Resuming only lets it finish."]
    if batch.resume_to == BatchState.EXPANDING:
        rest = unprepared(batch)
        to = "the rest of its people" if rest is None else f"{waiting + rest:,} more"
        said = _preparing(batch, waiting, rest)
        if late := _late(batch):
            most = "" if rest is None else f" to {plural(waiting + rest, 'person', 'people')}"
            said.insert(0, f"{late} Resuming it sends it now{most}.")
    said = [*_corrected(batch, to), *said]
    return [f"Why it was paused: {batch.problem}", *said] if batch.problem else said


def _preparing(batch: Batch, waiting: int, rest: int | None) -> list[str]:
    """What is prepared of a batch and what is not, and that both leave."""
    ready = [f"{plural(waiting, 'text is', 'texts are')} prepared."] if waiting else []
    if rest == 0:
        return [*ready, "Preparing is finished now, then they leave."]
    said = f"{those(batch, rest)} to get it, and nothing is prepared for them yet. Preparing goes on now, then their texts leave."
    return ["Not all of its texts are prepared yet.", *ready, said]


def _corrected(batch: Batch, to: str) -> list[str]:
    """Which corrections of `batch` there are and how far they are, and that to go on sends the wrong text `to` people."""
    said = [sentence for each in batch.corrections.order_by("pk") if (sentence := _correcting(each))]
    what = "the text it corrects" if len(said) == 1 else "the text they correct"
    return [*said, f"Going on sends {what} to {to}."] if said and to else said


def _correcting(correction: Batch) -> str:
    """What a correction has done and how far it is; blank of a cancelled one nobody got."""
    name, state = f"“{correction.name}”", BatchState(correction.state)
    if state in {BatchState.FINISHED, BatchState.CANCELLED}:
        got = plural(correction.messages.filter(HAS_IT).count(), "person", "people")
        if state == BatchState.FINISHED:
            return f"{name} has corrected this text for {got}: it is sent."
        return "" if got.startswith("0 ") else f"{name} corrected this text for {got} before it was cancelled."
    preparing = correction.expanded_to and BatchState.EXPANDING in (state, correction.resume_to)
    number = 0 if preparing else how_many(correction)  # so far only some of them are counted
    people = f" for {plural(number, 'person', 'people')}" if number else ""
    how_far = "scheduled" if is_scheduled(correction) else _HOW_FAR[state]
    return f"{name} corrects this text{people}: it is {how_far}."


_HOW_FAR: Final[dict[str, str]] = {
    BatchState.DRAFT: "still a draft, so nobody has got it",
    BatchState.PENDING_APPROVAL: "waiting for approval, so nobody has got it",
    BatchState.APPROVED: "approved and not started, so nobody has got it",
    BatchState.REJECTED: "not approved, so nobody has got it",
    BatchState.EXPANDING: "being prepared",
    BatchState.RUNNING: "being sent",
    BatchState.PAUSED: "paused",
}


def before_cancel(batch: Batch) -> list[str]:
    if batch.state in MOVES["edit"]:
        return ["Nothing has been sent. The batch is closed and cannot be started any more."]
    counts = batch.counts()
    # What a worker has taken only stays here: it asks once more before it hands a text over.
    waiting = counts[MessageState.READY] + counts[MessageState.HELD] + counts[MessageState.CLAIMED]
    under_way = counts[MessageState.SUBMITTING]
    left, rest = counts[MessageState.ACCEPTED], unprepared(batch)
    said = [
        (waiting, f"{plural(waiting, 'text that waits is', 'texts that wait are')} not sent, for good."),
        (
            under_way,
            f"{plural(under_way, 'text is', 'texts are')} being handed over at this moment and may still leave.",
        ),
        (
            rest is None or rest,
            f"{those(batch, rest, 'was', 'were')} to get it; nothing is prepared for them, so they do not get it.",
        ),
        (left, f"{plural(left, 'text has', 'texts have')} left already and cannot be called back."),
    ]
    found = [sentence for number, sentence in said if number]
    return [*found, "Then you see who got it, who may have got it and who did not."]


def before_retry(batch: Batch) -> list[str]:
    classes = controls.failure_classes(batch)
    number, out = sum(each.number for each in classes), sum(each.opted_out for each in classes)
    said = [
        f"{plural(number, 'text was', 'texts were')} refused or did not arrive. What you choose is sent once more.",
        "Texts that arrived or are unknown are not touched.",
    ]
    said = [*_corrected(batch, _again(number)), *said]
    return [*said, _left_alone(classes, out)] if out else said


def _again(number: int) -> str:
    return f"{plural(number, 'person', 'people')} again" if number else ""


def _left_alone(classes: list[FailureClass], out: int) -> str:
    only = "" if any(each.number for each in classes) else " Nothing is left to send again."
    return (
        f"{plural(out, 'further text failed; its person', 'further texts failed; their people')} opted out since.{only}"
    )


def before_correct(batch: Batch) -> list[str]:
    whom = _reached(batch)
    name, only = f"“{batch.name}”", " and no correction yet" if whom.left_out else ""
    said = [f"{plural(whom.arrived, 'person', 'people')} got {name}{only}."] if whom.arrived else []
    if whom.without:
        said.append(
            f"{plural(whom.without, 'person', 'people')} may have got {name}{only}: there is no final report of their "
            "text. They are written to as well."
        )
    if whom.left_out:
        said.append(
            f"{plural(whom.left_out, 'person is', 'people are')} left out here: they are in an earlier correction. "
            "If what that one says is wrong, correct it on its own page."
        )
    for each in batch.corrections.exclude(started_at=None).order_by("pk"):
        more = " It goes to the same people: they get both." if whom.again else ""
        said.append(f"“{each.name}” was started already. What you write here is one more.{more}")
    return [*said, "Nobody else gets the correction, and who opted out since does not get it either."]


def unstarted(batch: Batch) -> Batch | None:
    """The correction of `batch` that is written and not started."""
    return batch.corrections.filter(state__in=MOVES["edit"]).order_by("-pk").first()


def refuse_second(batch: Batch, token: str) -> None:
    """Raise Wrong when a correction of `batch` was written in another form than that with `token` and waits to be started."""
    written = unstarted(batch)
    if written and (not token or written.token != token):
        raise Wrong(written_already(written))


def written_already(written: Batch) -> str:
    return f"“{written.name}” is written already and was not started. Edit that one, or cancel it to write another."


def reached(batch: Batch) -> str:
    """To whom a correction would go; blank for nobody, while it is sent, and for a single text."""
    if batch.state not in STANDING or batch.single or not batch.recipients:
        return ""
    arrived, without, left_out, again = _reached(batch)
    more = " and no correction yet" if left_out else ", once more" if again else ""
    if not without:
        return f"the {arrived:,} who got it{more}" if arrived else ""
    if not arrived:
        return f"the {without:,} who may have got it{more}"
    return f"the {arrived + without:,} who got it or may have it{more}: {without:,} without a final report"


class _Whom(NamedTuple):
    """To how many who get a correction the text is reported to have come, and how many others may have it.

    `left_out`: how many are in an earlier correction; `again`: all of them are, and get one more.
    """

    arrived: int
    without: int
    left_out: int
    again: bool


def _reached(batch: Batch) -> _Whom:
    whom = to_correct(batch)
    arrived = Count("pk", filter=Q(delivery__gte=Delivery.DELIVERED))
    found = whom.texts.aggregate(arrived=arrived, all=Count("pk"))
    left_out = batch.messages.filter(HAS_IT).count() - found["all"] if whom.narrowed else 0
    return _Whom(found["arrived"], found["all"] - found["arrived"], left_out, whom.again)


def before_closing(batch: Batch) -> list[str]:
    number = batch.messages.filter(state=MessageState.UNKNOWN).count()
    return [
        f"{plural(number, 'text is', 'texts are')} closed without being sent again, and counted as “unknown, closed by staff”.",
        "If a report comes later, it is still shown.",
    ]


def before_resending(batch: Batch) -> list[str]:
    unknown = batch.messages.filter(state=MessageState.UNKNOWN)
    number = unknown.count()
    said = [
        *_corrected(batch, _again(number)),
        f"{plural(number, 'text', 'texts')} may have been sent already: then those people get it twice.",
        "Only do this when a second text does less harm than none.",
        "Who opted out since is not written to.",
    ]
    return said + _hold(unknown, "the latest of them")


def before_sending_again(message: Message) -> list[str]:
    return [
        *_corrected(message.batch, "this person again"),
        "The text may have been sent already: then the person gets it twice.",
        "Only do this when a second text does less harm than none.",
        *_hold(Message.objects.filter(pk=message.pk), "it"),
    ]


def _hold(unknown: QuerySet[Message], what: str) -> list[str]:
    """Until when `what` may not be sent again, if it still may not."""
    last = unknown.aggregate(last=Max("chunk__attempts__created_at"))["last"]
    if last is None or last + HOLD <= clock.now():
        return []
    until = formats.date_format(timezone.localtime(last + HOLD), "TIME_FORMAT")
    return [f"A report may still come, so {what} can be sent again only after {until}."]
