"""Makers for the tests of composing and controls: lists of students, drafts, and batches brought as far as needed."""

from contextlib import contextmanager
from datetime import timedelta

from django.db import connection

from messaging import composing, controls
from messaging.models import Batch
from smsportal import clock
from smsportal.tests.world import fiction, make_account, make_contact, make_list, make_unit

PAGE_BEGINS = 'UPDATE "messaging_batch" SET "expanded_to"'
TEXT = "Dear {{First_Name}}, class is moved. Reply STOP to opt out. Registrar"


def draft(*lists, text=TEXT, **more):
    usual = {"unit": make_unit(), "account": make_account(), "sender": "+13125550190", "name": "Moved"}
    return controls.create(actor=None, lists=lists, text=text, **{**usual, **more})


def begin(batch):
    return controls.start(controls.submit(batch, actor=None), actor=None)


def compose(batch):
    composing.expand(composing.next_batch())
    batch.refresh_from_db()
    return batch


def students(count, name="Fall freshmen", start=0):
    contact_list = make_list(name)
    for place, number in enumerate(fiction(count, start), start):
        make_contact(contact_list, number, first=f"Student {place}")
    return contact_list


def sent(contact_list, text, at=None, state="accepted", **more):
    """A batch to the list whose messages stand in `state` since `at`."""
    batch = compose(begin(draft(contact_list, text=text, name=text[:20])))
    at = at or clock.now() - timedelta(hours=1)
    batch.messages.exclude(state="skipped").update(state=state, created_at=at, **more)
    Batch.objects.filter(pk=batch.pk).update(state="finished", started_at=at, finished_at=at)
    return batch


def balanced(batch):
    """The law at every commit: recipients are the sum over the states, the waterfall sums up to its audience."""
    batch.refresh_from_db()
    assert batch.recipients == sum(batch.counts().values()) == batch.messages.values("number").distinct().count()
    if batch.waterfall and batch.expanded_to:
        falls = dict(batch.waterfall)
        assert falls.pop("audience") == sum(falls.values())
        assert batch.recipients == sum(falls.values()) - falls["duplicates"]
    assert sum(batch.chunks.values_list("size", flat=True)) == batch.messages.exclude(chunk=None).count()
    return True


def states(batch):
    rows = batch.messages.order_by("number__e164").values_list("number__e164", "state", "reason")
    return {number: f"{state} {reason}".strip() for number, state, reason in rows}


@contextmanager
def at_statement(numbers, act, beginning=PAGE_BEGINS):
    """Call `act` just before those statements with this beginning are executed whose place is in `numbers`."""
    seen = []

    def watch(execute, sql, params, many, context):
        if sql.startswith(beginning):
            seen.append(sql)
            if len(seen) in numbers:
                act()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield seen


def stop():
    """For `at_statement`: the worker is killed."""
    raise KeyboardInterrupt
