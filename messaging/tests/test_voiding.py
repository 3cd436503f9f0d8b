"""What was composed of a batch whose lists changed is taken back page by page, whoever is killed or pauses meanwhile."""

import pytest

from messaging import composing, controls, sending
from messaging.composing import audience, sources, voiding
from messaging.models import Alert, AlertKind, Batch, Chunk, Message
from messaging.statuses import BatchState
from messaging.tests.composed import at_statement, balanced, begin, compose, draft, stop, students
from smsportal.tests.world import make_contact

pytestmark = pytest.mark.django_db
A_PAGE = "DELETE FROM messaging_message"


@pytest.fixture(autouse=True)
def small_pages(settings, monkeypatch):
    settings.QUIET_HOURS = ""
    for module in (audience, voiding):
        monkeypatch.setattr(module, "PAGE", 10)
    monkeypatch.setattr(sources, "READ", 10)


@pytest.fixture
def void():
    """A started batch to 35 people; while it is composed, its list gets one more."""
    contact_list = students(35)
    batch = begin(draft(contact_list))
    make_contact(contact_list, "+14155550199", first="Late")
    return batch


def killed(batch, page):
    """The batch, left by a worker that was killed while it threw away that page."""
    with at_statement({page}, stop, beginning=A_PAGE), pytest.raises(KeyboardInterrupt):
        compose(batch)
    Batch.objects.update(lease_until=None)
    assert balanced(batch)
    return batch


def is_draft_again(batch):
    assert (batch.state, batch.recipients, batch.expanded_to) == (BatchState.DRAFT, 0, 0)
    assert (batch.snapshot, batch.waterfall, batch.owner, batch.lease_until) == ("", None, "", None)
    assert "lists changed" in batch.problem
    assert not Message.objects.exists()
    assert not Chunk.objects.exists()
    assert [each.kind for each in Alert.objects.filter(batch=batch)] == [AlertKind.VOIDED]
    return True


@pytest.mark.parametrize("page", [1, 2, 3, 4])
def test_whoever_claims_it_next_goes_on_throwing_away(void, page):
    batch = killed(void, page)
    assert (batch.state, batch.messages.count()) == (BatchState.EXPANDING, 36 - 10 * (page - 1))
    assert not sending.send_next()
    assert is_draft_again(compose(batch))
    assert compose(begin(batch)).counts()["ready"] == 36


def test_without_the_mark_a_killed_worker_would_leave_half_a_batch_that_is_sent(void, monkeypatch):
    monkeypatch.setattr(voiding, "is_voided", lambda batch: False)
    batch = compose(killed(void, 3))
    assert (batch.state, batch.counts()["ready"]) == (BatchState.RUNNING, 36)
    assert batch.waterfall["will_send"] != 36  # and says otherwise
    with pytest.raises(AssertionError):
        balanced(batch)


def test_an_overdue_one_is_thrown_away_without_a_question(void, settings):
    batch = killed(void, 2)
    Batch.objects.update(send_at=batch.started_at.replace(year=2001), late_allowed=False)
    assert is_draft_again(compose(batch))


def test_a_pause_holds_it_up_and_the_resumed_one_is_thrown_away(void):
    batch = killed(void, 2)
    controls.pause(batch, actor=None)
    assert composing.next_batch() is None
    assert batch.messages.count() == 26
    assert is_draft_again(compose(controls.resume(batch, actor=None)))


def test_what_is_left_of_one_cancelled_meanwhile_is_skipped(void, monkeypatch):
    empty_page, pages = voiding._empty_page, []

    def then_cancel(*given):
        pages.append(empty_page(*given))
        if len(pages) == 2:
            controls.cancel(Batch.objects.get(), actor=None)
        return pages[-1]

    monkeypatch.setattr(voiding, "_empty_page", then_cancel)
    batch = compose(void)
    assert balanced(batch)
    assert (batch.state, batch.counts()["skipped"], batch.messages.count()) == (BatchState.CANCELLED, 16, 16)
    assert (batch.owner, batch.lease_until) == ("", None)
