"""The same Idempotency-Key again, for calls that read or write much: the same answer, and no transaction around all of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import connection

from messaging import controls
from messaging.composing.audience import Audience
from messaging.controls import stopping
from messaging.models import Batch
from messaging.statuses import BatchState, MessageState
from messaging.sweeping import sweep
from messaging.tests.composed import at_statement, balanced, draft, stop, students
from messaging.views.batches import Batches
from smsportal import clock
from smsportal.accounts.models import IdempotencyKey
from smsportal.api import once
from smsportal.tests.programs import API, program
from smsportal.tests.world import fiction, make_account, make_batch, make_contact, make_user

pytestmark = pytest.mark.django_db(transaction=True)
KEY = {"HTTP_IDEMPOTENCY_KEY": "k1"}
A_PAGE = 'UPDATE "messaging_chunk" SET "state"'
THE_ANSWER = 'UPDATE "accounts_idempotencykey" SET "status"'


@pytest.fixture
def batch(settings, monkeypatch):
    settings.QUIET_HOURS = ""
    make_account(max_per_call=2)
    monkeypatch.setattr(stopping, "CHUNKS", 1)
    return make_batch(fiction(6))


@pytest.fixture
def client():
    return program(make_user(groups=("Sender",)))


def test_a_repeated_cancel_gets_the_first_answer(client, batch):
    url = f"{API}batches/{batch.uuid}/cancel/"
    first, second = (client.post(url, **KEY) for _ in range(2))
    assert (first.status_code, first.json()["counts"]["skipped"]) == (200, 6)
    assert (second.status_code, second.json(), second["Idempotent-Replayed"]) == (200, first.json(), "true")
    assert client.post(url).status_code == 409
    assert balanced(batch)


def test_a_cancel_killed_half_way_holds_all_the_same_and_is_finished_by_the_sweeper(client, batch):
    url = f"{API}batches/{batch.uuid}/cancel/"
    with at_statement({2}, stop, beginning=A_PAGE), pytest.raises(KeyboardInterrupt):
        client.post(url, **KEY)
    batch.refresh_from_db()
    assert batch.state == BatchState.CANCELLED
    assert batch.messages.filter(state=MessageState.SKIPPED).count() == 2
    assert client.post(url, **KEY).json()["allowed"] == []
    sweep()
    assert batch.messages.filter(state=MessageState.SKIPPED).count() == 6
    assert balanced(Batch.objects.get())


# --- what walks the audience first -----------------------------------------------------------------------------------
@pytest.fixture
def draft_of_three(settings):
    settings.QUIET_HOURS = ""
    return draft(students(3))


@pytest.fixture
def approved(draft_of_three):
    return controls.submit(draft_of_three, actor=None)


@pytest.fixture(params=["submit", "start"])
def asked(request):
    """A batch, the move that walks its audience, and the state it leads to."""
    source, leads_to = {"submit": ("draft_of_three", "approved"), "start": ("approved", "expanding")}[request.param]
    return request.getfixturevalue(source), request.param, leads_to


def ask(client, batch, action, **more):
    return client.post(f"{API}batches/{batch.uuid}/{action}/", **{**KEY, **more})


def during_the_walk(monkeypatch, act):
    """Call `act` once, when the first page of an audience has been read."""
    pages, calls = Audience.pages, []

    def read(self, after=0):
        for page in pages(self, after):
            calls.append(page)
            if len(calls) == 1:
                act()
            yield page

    monkeypatch.setattr(Audience, "pages", read)


def held_up(monkeypatch, client, batch, action):
    """Whether the walk is within a transaction, which on SQLite keeps every other writer waiting."""
    seen = []
    during_the_walk(monkeypatch, lambda: seen.append(connection.in_atomic_block))
    assert ask(client, batch, action).status_code == 200
    return seen


def test_the_walk_holds_nobody_up_and_the_answer_is_given_again(client, asked, monkeypatch):
    batch, action, leads_to = asked
    assert held_up(monkeypatch, client, batch, action) == [False]
    again = ask(client, batch, action)
    assert (again.json()["state"], again["Idempotent-Replayed"]) == (leads_to, "true")
    assert ask(client, batch, action, HTTP_IDEMPOTENCY_KEY="k2").status_code == 409


def test_a_walk_within_the_transaction_would_be_seen(client, asked, monkeypatch):
    batch, action, _ = asked
    whole = replace(Batches.calls[action], walks=False)
    monkeypatch.setitem(Batches.calls, action, whole)
    assert held_up(monkeypatch, client, batch, action) == [True]


def killed_before_the_answer_is_kept(client, batch, action):
    """The state of the batch after that, and what the same call says then."""
    with at_statement({1}, stop, beginning=THE_ANSWER), pytest.raises(KeyboardInterrupt):
        ask(client, batch, action)
    batch.refresh_from_db()
    return batch.state, ask(client, batch, action).status_code


def test_one_killed_before_its_answer_is_kept_has_done_nothing(client, asked):
    batch, action, leads_to = asked
    before = batch.state
    assert killed_before_the_answer_is_kept(client, batch, action) == (before, 200)
    batch.refresh_from_db()
    assert batch.state == leads_to


def test_an_answer_kept_after_the_effect_would_be_lost(client, asked, monkeypatch):
    batch, action, leads_to = asked
    monkeypatch.setattr(once, "_in_parts", lambda ticket, act: once._kept(ticket, act(once._plainly)))
    assert killed_before_the_answer_is_kept(client, batch, action) == (leads_to, 409)


def test_one_that_is_overtaken_during_its_walk_leaves_nothing(client, asked, monkeypatch):
    batch, action, leads_to = asked
    answers = []

    def overtake():
        IdempotencyKey.objects.update(created_at=clock.after(-3600))
        answers.append(ask(client, batch, action))

    during_the_walk(monkeypatch, overtake)
    assert ask(client, batch, action).status_code == 409
    assert (answers[0].status_code, answers[0].json()["state"]) == (200, leads_to)
    assert ask(client, batch, action).json() == answers[0].json()


def test_what_is_edited_during_the_walk_is_not_submitted(client, draft_of_three, monkeypatch):
    during_the_walk(monkeypatch, lambda: controls.edit(Batch.objects.get(), actor=None, name="Another"))
    assert ask(client, draft_of_three, "submit").status_code == 412
    draft_of_three.refresh_from_db()
    assert (draft_of_three.state, draft_of_three.snapshot) == (BatchState.DRAFT, "")


def test_lists_that_changed_make_a_draft_of_it_also_with_a_key(client, approved):
    make_contact(approved.lists.get(), "+14155550199", first="Late")
    assert ask(client, approved, "start").status_code == 409
    approved.refresh_from_db()
    assert approved.state == BatchState.DRAFT
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize(("action", "body"), [("retry-failed", {"classes": []}), ("resolve", {"resend": False})])
def test_what_is_sent_again_or_closed_once_is_answered_again(client, batch, action, body):
    batch.messages.update(state=MessageState.REJECTED if action == "retry-failed" else MessageState.UNKNOWN)
    batch.chunks.update(state="accepted")
    Batch.objects.update(state=BatchState.FINISHED)
    first, second = (client.post(f"{API}batches/{batch.uuid}/{action}/", body, **KEY) for _ in range(2))
    assert first.status_code == 200, first.json()
    assert (second.json(), second["Idempotent-Replayed"]) == (first.json(), "true")
