"""Makers for the tests of composing and controls: lists of students, drafts, and batches brought as far as needed."""

from messaging import composing, controls
from smsportal.tests.world import fiction, make_account, make_contact, make_list, make_unit

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
