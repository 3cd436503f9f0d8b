"""Many people and workers at once: one of them wins, the others are told, and the books balance."""

import threading
import time
from functools import partial
from itertools import cycle

import pytest
from django.db import close_old_connections, connection
from django.utils import timezone

from contacts.models import ContactList
from messaging import composing, controls, guarding
from messaging.composing.audience import Audience
from messaging.models import Alert, Attempt, Batch, Chunk, Message
from messaging.statuses import MOVES, BatchState
from messaging.tests.composed import balanced, begin, draft, states, students
from smsportal import clock
from smsportal.claims import Claim
from smsportal.problems import Conflict
from smsportal.tests.world import make_account, make_unit, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def any_hour(settings):
    settings.QUIET_HOURS = ""


def at_once(count, act):
    """What `act` gave to each of `count` threads that set out together; exceptions are given, too."""
    gate, results = threading.Barrier(count), []

    def one():
        close_old_connections()
        gate.wait()
        try:
            results.append(act())
        except Exception as problem:
            results.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_fifty_clicks_on_start_make_one_expansion():
    """Of two people in fifty tabs; those who lose are told who was first, and when."""
    batch = controls.submit(draft(students(30)), actor=None)
    people = cycle([make_user("sam"), make_user("kim")])
    clicks = [(next(people), Batch.objects.get(pk=batch.pk)) for _ in range(50)]
    lock = threading.Lock()

    def click():
        with lock:
            person, tab = clicks.pop()
        return controls.start(tab, actor=person)

    results = at_once(50, click)
    refused = [each for each in results if isinstance(each, Conflict)]
    assert len(refused) == 49
    batch.refresh_from_db()
    when = f"{timezone.localtime(batch.moved_at):%d %B at %H:%M:%S}"
    told = f"it is being prepared, changed by {batch.moved_by.username} on {when}. Possible now: pause, cancel."
    assert {each.detail for each in refused} == {f"Cannot start “Moved”: {told}"}
    assert all(each.allowed == ["pause", "cancel"] for each in refused)
    claims = at_once(8, composing.next_batch)
    assert len([claim for claim in claims if claim is not None]) == 1
    composing.expand(next(claim for claim in claims if claim is not None))
    assert balanced(batch)
    assert (batch.recipients, batch.state) == (30, BatchState.RUNNING)


def test_fifty_clicks_without_the_condition_would_make_many(monkeypatch):
    """The control of the test above: a start that looks first and writes then lets more than one in."""

    def look_then_write(batch, action, *, actor, only=None, **changes):
        fresh = Batch.objects.get(pk=batch.pk)
        if fresh.state not in MOVES[action]:
            raise Conflict("Somebody was first.")
        time.sleep(0.05)
        Batch.objects.filter(pk=batch.pk).update(**changes)

    monkeypatch.setattr(controls, "move", look_then_write)
    batch = controls.submit(draft(students(1)), actor=None)
    Batch.objects.update(state=BatchState.APPROVED)
    results = at_once(10, lambda: controls.start(Batch.objects.get(pk=batch.pk), actor=None))
    assert len([each for each in results if not isinstance(each, Exception)]) > 1


def test_a_form_sent_fifty_times_makes_one_draft():
    contact_list = students(3)
    usual = {"unit": contact_list.unit, "account": contact_list.account, "sender": "+13125550190"}

    def send():
        return controls.create(
            actor=None, name="Moved", lists=[contact_list], text="Hi. Registrar", token="form-1", **usual
        )

    results = at_once(50, send)
    assert {each.pk for each in results} == {Batch.objects.get().pk}
    assert Batch.objects.get().revision == 1
    assert list(Batch.objects.get().lists.all()) == [contact_list]


def test_fifty_clicks_on_send_make_one_text():
    usual = {"unit": make_unit(), "account": make_account(), "sender": "+13125550190", "to": "+13125550100"}
    results = at_once(50, lambda: controls.send_single(actor=None, text="Hi. Registrar", token="form-1", **usual))
    assert {each.pk for each in results} == {Message.objects.get().pk}
    assert balanced(Batch.objects.get())


def test_of_ten_people_who_correct_a_batch_at_once_one_does():
    batch = draft(students(2))
    message = {"text": "Room 21. Registrar", "state": "accepted"}
    for contact in batch.lists.get().contacts.select_related("number"):
        batch.messages.create(number=contact.number, contact=contact, **message)
    Batch.objects.update(state=BatchState.FINISHED, recipients=2)
    tabs = iter([Batch.objects.get() for _ in range(10)])
    lock = threading.Lock()

    def click():
        with lock:
            tab = next(tabs)
        return controls.correct(tab, actor=None, text="Room 12, not 21. Registrar")

    results = at_once(10, click)
    assert len([each for each in results if isinstance(each, Conflict)]) == 9
    assert batch.corrections.count() == 1


def test_a_start_taken_back_while_it_is_claimed_is_prepared_or_taken_back_never_both(monkeypatch):
    """The moment to undo ends for one worker a little before it ends for the person: whoever commits first wins."""
    monkeypatch.setattr("messaging.composing.audience.PAGE", 10)
    for _ in range(5):
        Batch.objects.all().delete()
        contact_list = ContactList.objects.first() or students(40)
        batch = controls.start(controls.submit(draft(contact_list), actor=None), actor=None, undo_s=60)
        held = Claim(batch.pk, batch.fence + 1)
        Batch.objects.update(fence=held.fence, owner="ahead", lease_until=clock.after(60))
        acts = iter([partial(composing.expand, held), lambda: controls.undo(Batch.objects.get(), actor=None)])
        lock = threading.Lock()

        def act(acts=acts, lock=lock):
            with lock:
                mine = next(acts)
            return mine()

        undone = [each for each in at_once(2, act) if isinstance(each, Batch)]
        batch.refresh_from_db()
        assert balanced(batch)
        if undone:
            assert (batch.state, batch.recipients) == (BatchState.APPROVED, 0)
        else:
            assert (batch.state, batch.recipients) == (BatchState.RUNNING, 40)


@pytest.mark.parametrize("left", [True, False], ids=["pausing", "telling"])
def test_guards_pause_once_and_raise_one_alert(settings, left):
    settings.PAUSE_AFTER = 5
    batch = begin(draft(students(10)))
    composing.expand(composing.next_batch())
    chunk = batch.chunks.get()
    batch.messages.update(state="rejected")
    Attempt.objects.create(chunk=chunk, fence=1, texts=10, outcome="accepted")
    if not left:
        Chunk.objects.update(state="accepted")
    assert sum(at_once(8, guarding.guard)) == 1
    assert Alert.objects.count() == 1


def test_workers_that_share_a_batch_write_nobody_twice(monkeypatch):
    monkeypatch.setattr("messaging.composing.audience.PAGE", 10)
    batch = begin(draft(students(60)))

    def work():
        Batch.objects.update(lease_until=None)  # as if every lease ran out at once
        held = composing.next_batch()
        if held is not None:
            composing.expand(held)

    at_once(6, work)
    while batch.state == BatchState.EXPANDING:
        work()
        batch.refresh_from_db()
    assert balanced(batch)
    assert set(states(batch).values()) == {"ready"}
    assert batch.recipients == 60


def test_a_cancel_during_composing_leaves_nothing_to_send(monkeypatch):
    monkeypatch.setattr("messaging.composing.audience.PAGE", 10)
    batch = begin(draft(students(60)))
    acts = iter(
        [lambda: composing.expand(composing.next_batch()), lambda: controls.cancel(Batch.objects.get(), actor=None)]
    )
    lock = threading.Lock()

    def act():
        with lock:
            mine = next(acts)
        return mine()

    at_once(2, act)
    assert balanced(batch)
    assert batch.state == BatchState.CANCELLED
    assert set(states(batch).values()) <= {"skipped cancelled"}
    assert set(batch.chunks.values_list("state", flat=True)) <= {"empty"}


def test_pause_and_cancel_at_once_end_cancelled():
    batch = begin(draft(students(2)))
    acts = [controls.pause, controls.cancel, controls.cancel, controls.pause]
    lock = threading.Lock()

    def act():
        with lock:
            mine = acts.pop()
        return mine(Batch.objects.get(pk=batch.pk), actor=None)

    results = at_once(4, act)
    batch.refresh_from_db()
    assert batch.state == BatchState.CANCELLED
    assert len([each for each in results if isinstance(each, Batch)]) in {1, 2}


def test_two_batches_composed_at_the_same_moment_keep_the_cap_together(settings, monkeypatch):
    settings.MAX_TEXTS_PER_DAY = 1
    contact_list = students(5)
    for each in ("One", "Two"):
        begin(draft(contact_list, text=f"{each}. Reply STOP to opt out. Registrar"))
    gate, pages = threading.Barrier(2), Audience.pages

    def read_together(self, after=0):
        for page in pages(self, after):
            gate.wait(20)  # neither has written anything when both have read
            yield page

    monkeypatch.setattr(Audience, "pages", read_together)
    claims = [composing.next_batch() for _ in range(2)]
    assert at_once(2, lambda: composing.expand(claims.pop())) == [None, None]
    counts = sorted((each.counts()["ready"], each.counts()["skipped"]) for each in Batch.objects.all())
    assert counts == [(0, 5), (5, 0)]
    assert all(balanced(each) for each in Batch.objects.all())
