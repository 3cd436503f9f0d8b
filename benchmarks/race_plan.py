"""What `bench_plan` runs in processes of their own: composing, rendering, counting segments, and composing with sending."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

from django.template import Context, Template

from benchmarks import sides, students
from benchmarks.rounds import NotDone, Rates, interleave
from contacts.models import ContactList
from messaging import wording
from messaging.channels import sms
from messaging.models import Batch
from messaging.statuses import BatchState
from smsportal.accounts.models import ProviderAccount


def make_people(sizes: list[int]) -> None:
    """The tables, and a list of contacts of each size."""
    students.migrate()
    account = students.make_account("http://127.0.0.1:9")  # whoever sends says where to
    for people in sorted(set(sizes)):
        students.make_list(account, people, _named(people))


def compose(people: int) -> dict[str, float]:
    """Compose one batch for the list of that many. Seconds, and the greatest size of this process in bytes."""
    batch = students.make_batch(ContactList.objects.get(name=_named(people)))
    began = time.perf_counter()
    students.compose(batch)
    seconds = time.perf_counter() - began
    found = batch.messages.exclude(chunk=None).count()
    if not found == batch.recipients == people:
        raise NotDone(f"{found} messages were composed for {people} people.")
    Batch.objects.update(state=BatchState.CANCELLED)  # nobody is to send it
    return {"seconds": seconds, "peak_bytes": _peak()}


def compose_and_send(people: int) -> dict[str, float]:
    """Compose and send one batch for the list of that many. The greatest size of this process in bytes."""
    with sides.stub() as far:
        ProviderAccount.objects.update(base_url=f"{far.address}/api/v1")
        batch = students.compose(students.make_batch(ContactList.objects.get(name=_named(people))))
        sides.drive(8)
        peak = _peak()
        far.must_have(people)
    sides.must_be_sent(batch)
    return {"peak_bytes": peak}


def words(texts: int, rounds: int) -> dict[str, Rates]:
    """Texts per second: our renderer against Django's template, our count of segments against a plain loop."""
    people = [students.fields(place) for place in range(texts)]
    ours, template = wording.compile_text(students.TEXT), Template(students.TEXT)

    def by_template(person: dict[str, str]) -> str:
        return template.render(Context(person, autoescape=False))

    written = [ours(person)[0] for person in people]
    if written != [by_template(person) for person in people]:
        raise NotDone("The two renderers write different texts.")
    if [sms.count(text) for text in written] != [count_by_loop(text) for text in written]:
        raise NotDone("The two ways to count segments differ.")
    return {
        "render": _race({"ours": lambda: _rate(ours, people), "template": lambda: _rate(by_template, people)}, rounds),
        "count": _race(
            {"ours": lambda: _rate(sms.count, written), "loop": lambda: _rate(count_by_loop, written)}, rounds
        ),
    }


_BASIC, _EXTENSION = frozenset(sms.BASIC), frozenset(sms.EXTENSION)


def count_by_loop(text: str) -> int:
    """Segments as one counts them first: every character looked up in the alphabet."""
    septets = 0
    for character in text:
        if character in _BASIC:
            septets += 1
        elif character in _EXTENSION:
            septets += 2
        else:
            units = len(text.encode("utf-16-le")) // 2
            return 1 if units <= sms.UNITS_ALONE else -(-units // sms.UNITS_JOINED)
    return 1 if septets <= sms.SEPTETS_ALONE else -(-septets // sms.SEPTETS_JOINED)


def _rate(each: Callable[[Any], object], given: list[Any]) -> float:
    began = time.perf_counter()
    for one in given:
        each(one)
    return len(given) / (time.perf_counter() - began)


def _race(race: dict[str, Callable[[], float]], rounds: int) -> Rates:
    return interleave(race, rounds, time.monotonic() + 30)


def _named(people: int) -> str:
    return f"{people} students"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # the kernel counts kilobytes
