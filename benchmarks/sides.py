"""The sides of the race: the bare wire, our client, a typical loop, our driver here and our driver under Celery."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import requests
from django.conf import settings
from django.db.models import Count, Q
from django.template import Context, Template

from benchmarks import students
from benchmarks.rounds import NotDone
from contacts.models import ContactList
from messaging.models import Batch, Message
from messaging.sending import drivers
from messaging.statuses import BatchState, MessageState
from smsportal import clock, doorbell
from smsportal.accounts.models import ProviderAccount
from smsportal.processes import Crew, free_port
from smsportal.providers.base import Envelope, Outgoing

PER_CALL = 100
CALLBACK = f"http://127.0.0.1:8000/hooks/ocelot/{uuid4()}.{uuid4()}/"  # as long as one of ours
PATIENCE_S = 120.0  # the longest one side may take over one round
LOOK_S = 10.0  # how often Celery's beat rings for every lane, as shipped


@dataclass(slots=True)
class Stub:
    """The provider stub in a process of its own, and how late it answers."""

    address: str
    latency_ms: float = 0.0

    def ask(self, what: str) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.address}/{what}", timeout=10) as answer:  # noqa: S310 - our own stub
            return dict(json.load(answer))

    def reset(self) -> None:
        self.ask(f"reset?latency_ms={self.latency_ms}")

    def must_have(self, texts: int) -> None:
        """Raises NotDone unless it took exactly `texts` texts since the last reset, none of them twice."""
        told = self.ask("state")
        if not told["texts"] == told["different"] == texts:
            raise NotDone(f"The provider took {told['texts']} texts of {told['different']} messages, not {texts}.")


@contextmanager
def stub() -> Iterator[Stub]:
    """A stub that answers, until the end of the block."""
    with Crew() as crew:
        port = free_port()
        crew.start("stub", [sys.executable, "-m", "benchmarks.stub", "--port", str(port)])
        crew.wait_for(f"http://127.0.0.1:{port}/state")
        yield Stub(f"http://127.0.0.1:{port}")


# --- without a database ----------------------------------------------------------------------------------------------
def envelope() -> Envelope:
    return Envelope(sender=students.SENDER, operator="advising@example.edu", callback_url=CALLBACK)


def ready_texts(texts: int) -> list[tuple[Outgoing, ...]]:
    """Calls of a hundred, complete but for the sending."""
    line = (
        "Hi Ada, MATH 101 with Dr. Kim has moved to Room 12 from Monday on. "
        "Please be there ten minutes early. Reply STOP to opt out. Registrar"
    )
    made = [Outgoing(students.number(place), line, f"{uuid4()}.1", str(uuid4())) for place in range(texts)]
    return [tuple(made[start : start + PER_CALL]) for start in range(0, texts, PER_CALL)]


def in_threads(threads: int, calls: Sequence[object], begin: Callable[[], Callable[[object], None]]) -> float:
    """Seconds it takes `threads` threads to make all `calls`; `begin` gives each thread what makes one."""
    waiting, lock, wrong = iter(calls), threading.Lock(), list[BaseException]()

    def work() -> None:
        try:
            make = begin()
            while True:
                with lock:
                    call = next(waiting, None)
                if call is None:
                    return
                make(call)
        except BaseException as error:
            wrong.append(error)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if wrong:
        raise wrong[0]
    return time.perf_counter() - began


def client(far: Stub, account: ProviderAccount, calls: Sequence[tuple[Outgoing, ...]], threads: int) -> float:
    """Texts per second of the portal's own provider client, texts made ready before: the HTTP of sending, and no row."""
    far.reset()
    texts, provider, around = sum(map(len, calls)), account.at_provider(), envelope()
    seconds = in_threads(threads, calls, lambda: lambda call: provider.send(around, call))
    far.must_have(texts)
    return texts / seconds


def bare(far: Stub, calls: Sequence[tuple[Outgoing, ...]], threads: int) -> float:
    """Texts per second of `requests` alone: bodies encoded before, answers merely decoded."""
    around = {"from": "312-555-0190", "operator": "advising@example.edu", "smsWebhookUri": envelope().callback_url}
    bodies = [json.dumps({**around, "messages": [_as_json(text) for text in call]}).encode() for call in calls]

    def begin() -> Callable[[object], None]:
        session = requests.Session()
        session.trust_env = False
        return lambda body: session.post(f"{far.address}/api/v1/sms/send/", data=body, timeout=30).json()

    far.reset()
    seconds = in_threads(threads, bodies, begin)
    far.must_have(sum(map(len, calls)))
    return sum(map(len, calls)) / seconds


def _as_json(text: Outgoing) -> dict[str, str]:
    return {
        "to": dashes(text.to),
        "message": text.text,
        "customerMessageId": text.reference,
        "customerContactId": text.contact_reference,
    }


def dashes(e164: str) -> str:
    return f"{e164[2:5]}-{e164[5:8]}-{e164[8:]}"


# --- what many would write -------------------------------------------------------------------------------------------
TEMPLATE = (
    "Hi {{ contact.first_name }}, {{ contact.extra.Course }} with {{ contact.extra.Advisor }} has moved to "
    "{{ contact.extra.Room }} from Monday on. Please be there ten minutes early. Reply STOP to opt out. Registrar"
)


def typical_loop(batch: Batch, address: str) -> None:
    """A good plain loop: a hundred rows with their relations, one request, one `bulk_update`; template and session kept."""
    template, session = Template(TEMPLATE), requests.Session()
    waiting = Message.objects.filter(batch=batch, state=MessageState.READY).select_related("contact", "number")
    while messages := list(waiting.order_by("pk")[:PER_CALL]):
        for message in messages:
            text = template.render(Context({"contact": message.contact}, autoescape=False))
            if text != message.text:
                raise NotDone(f"The loop would write “{text}” where the portal composed “{message.text}”.")
            message.text = text
        body = {
            "from": dashes(batch.sender),
            "operator": batch.operator,
            "messages": [
                {
                    "to": dashes(message.number.e164),
                    "message": message.text,
                    "customerMessageId": f"{message.uuid}.1",
                    "customerContactId": str(message.contact.uuid),
                }
                for message in messages
            ],
        }
        response = session.post(f"{address}/api/v1/sms/send/", json=body, auth=("uuid", "key"), timeout=30)
        response.raise_for_status()
        ids = {each["customerMessageId"]: each["messageUuid"] for each in response.json()["messages"]}
        now = clock.now()
        for message in messages:
            message.state, message.attempt, message.updated_at = MessageState.ACCEPTED, 1, now
            message.remote_id = ids[f"{message.uuid}.1"]
        Message.objects.bulk_update(messages, ["text", "state", "attempt", "remote_id", "updated_at"])
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.FINISHED, finished_at=clock.now())


def typical(far: Stub, people: ContactList) -> float:
    """Texts per second of `typical_loop`."""
    return _raced(far, people, lambda batch: typical_loop(batch, far.address))


# --- ours ------------------------------------------------------------------------------------------------------------
def driver(far: Stub, people: ContactList, threads: int, composed: list[float] | None = None) -> float:
    """Texts per second of the portal's driver in this process; `composed` is told the rate with composing before it."""
    return _raced(far, people, lambda batch: drive(threads), composed)


def drive(threads: int) -> None:
    """Send all that can be sent, in this process."""
    drivers.drive(threads)


def celery(far: Stub, people: ContactList) -> float:
    """Texts per second of the Celery workers that run, from the ring to the end of the batch."""
    return _raced(far, people, _rung)


def _rung(batch: Batch) -> None:
    ends_at, next_ring = time.monotonic() + PATIENCE_S, 0.0
    while Batch.objects.values_list("state", flat=True).get(pk=batch.pk) != BatchState.FINISHED:
        if time.monotonic() > ends_at:
            raise NotDone("The Celery workers did not finish the batch.")
        if time.monotonic() > next_ring:
            doorbell.ring_now("sending")
            next_ring = time.monotonic() + LOOK_S
        time.sleep(0.01)


@contextmanager
def celery_workers(threads: int) -> Iterator[None]:
    """The worker of docs/operations.md on a queue of its own, which is deleted at the end."""
    queue = settings.CELERY_TASK_DEFAULT_QUEUE
    command = [sys.executable, "-m", "celery", "-A", "smsportal", "worker", "--queues", queue, "-l", "WARNING"]
    settings.DOORBELL = "celery"
    doorbell.celery_app.cache_clear()
    try:
        with tempfile.TemporaryDirectory() as folder, Crew() as crew:
            log = Path(folder, "celery.log")
            crew.start("celery", command, log=log, environment={"DOORBELL": "celery", "SEND_THREADS": str(threads)})
            try:
                yield
            except NotDone as failed:
                raise NotDone(f"{failed}\n{log.read_text()[-4000:]}") from None
    finally:
        with doorbell.celery_app().connection_for_write() as connection:
            connection.default_channel.queue_delete(queue)
        settings.DOORBELL = "thread"


# --- what all that write rows must have done -------------------------------------------------------------------------
def _raced(
    far: Stub, people: ContactList, send: Callable[[Batch], object], composed: list[float] | None = None
) -> float:
    """Compose a new batch, time `send` on it, and look at what it did. Texts per second."""
    before = time.perf_counter()
    batch = students.compose(students.make_batch(people))
    far.reset()
    began = time.perf_counter()
    send(batch)
    ended = time.perf_counter()
    far.must_have(batch.recipients)
    must_be_sent(batch)
    if composed is not None:
        composed.append(batch.recipients / (ended - before))
    return batch.recipients / (ended - began)


def must_be_sent(batch: Batch) -> None:
    """Raises NotDone unless the batch is finished and each of its messages was accepted once, with the provider's id."""
    batch.refresh_from_db()
    good = Q(state=MessageState.ACCEPTED, attempt=1) & ~Q(remote_id="")
    told = batch.messages.aggregate(
        all=Count("pk"), good=Count("pk", filter=good), ids=Count("remote_id", distinct=True)
    )
    if batch.state != BatchState.FINISHED or not batch.recipients == told["all"] == told["good"] == told["ids"]:
        raise NotDone(f"Of {batch.recipients} messages {told['good']} were accepted; the batch is {batch.state}.")
