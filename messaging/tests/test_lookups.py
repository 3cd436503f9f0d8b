"""Unknown texts found, or not, in the twin's transcripts; what is not found there stays unknown."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import Mock

import pytest
import time_machine

from messaging import sending
from messaging.models import Chunk, Message
from messaging.sending import lookups
from messaging.sending.lookups import look_up
from messaging.tasks import drain_all
from smsportal import clock
from smsportal.accounts.models import ProviderAccount
from smsportal.tests.world import fiction, make_batch

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""


def states():
    return sorted(Message.objects.values_list("state", "evidence"))


def after(minutes):
    return time_machine.travel(clock.now() + timedelta(minutes=minutes), tick=False)


def test_a_lost_answer_is_found_in_the_transcripts(twin):
    make_batch(fiction(4))
    twin.faults.add("reset_after", on="send", times=1)
    assert sending.send_next()
    assert look_up() == 0, "not before two minutes have passed"
    with after(2.1):
        assert look_up() == 4
    assert states() == [("accepted", "inference")] + [("accepted", "lookup")] * 3
    chunk = Chunk.objects.get()
    assert (chunk.state, chunk.looks, chunk.look_at) == ("accepted", 1, None)


def test_whom_the_transcript_does_not_hold_is_not_taken_for_a_neighbour(twin):
    make_batch([*fiction(2), "+12015550157"])
    twin.ocelot.switches.send_shape = "item_errors"
    twin.faults.add("reset_after", on="send", times=1)
    sending.send_next()
    with after(2.1):
        assert look_up() == 2
    assert states() == [("accepted", "lookup")] * 2 + [("unknown", "")]
    assert Chunk.objects.get().look_at is not None, "it is looked for again"


def test_a_look_its_worker_did_not_survive_is_made_again(twin, monkeypatch):
    make_batch(fiction(2))
    twin.faults.add("reset_after", on="send", times=1)
    sending.send_next()
    for minutes in (2.1, 13, 24):
        with after(minutes), monkeypatch.context() as killed:
            killed.setattr(lookups, "_asked", Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                look_up()
    with after(35):
        assert look_up() == 2
    assert Chunk.objects.get().looks == 1


def test_what_no_transcript_holds_stays_unknown_and_is_asked_for_three_times(twin):
    make_batch(fiction(2))
    twin.faults.add("reset_before", on="send", times=1)
    sending.send_next()
    looks = []
    for minutes in (2.1, 5, 10.2, 61, 200):
        with after(minutes):
            assert look_up() == 0
        looks.append(Chunk.objects.get().looks)
    assert looks == [1, 1, 2, 3, 3]
    assert states() == [("unknown", "")] * 2
    assert Chunk.objects.get().look_at is None


def test_a_sweep_looks_up_what_a_killed_worker_left(twin):
    batch = make_batch(fiction(3))
    [intent] = sending.intend(sending.take())
    sending.hand_over(batch.account.at_provider(), intent)
    with after(5):
        drain_all()
        assert batch.counts()["unknown"] == 3
    with after(8):
        drain_all()
    assert batch.counts()["accepted"] == 3
    assert len(twin.ocelot.sent) == 3


def test_an_older_text_with_the_same_words_is_no_evidence(twin):
    make_batch(fiction(1), text="See you at nine. Registrar")
    drain_all()
    # More than ten minutes later, or composing would leave it out as a repetition.
    with after(15):
        second = make_batch(fiction(1), text="See you at nine. Registrar", list_name="Again")
        twin.faults.add("reset_before", on="send", times=1)
        drain_all()
        assert second.counts()["unknown"] == 1
    with after(18):
        assert look_up() == 0
        assert Chunk.objects.filter(looks=1).count() == 1
    assert second.counts()["unknown"] == 1


def test_a_line_long_before_the_request_is_no_evidence(twin):
    make_batch(fiction(1))
    twin.faults.add("reset_after", on="send", times=1)
    with after(-30):
        sending.send_next()
    Message.objects.update(attempt=1)
    Chunk.objects.get().attempts.update(created_at=clock.now() - timedelta(minutes=10))
    assert look_up() == 0


def test_a_provider_that_cannot_tell_is_not_asked_again(twin):
    make_batch(fiction(2))
    ProviderAccount.objects.update(options={"transcripts_path": "/nowhere"})
    twin.faults.add("reset_after", on="send", times=1)
    sending.send_next()
    with after(3):
        assert look_up() == 0
    assert Chunk.objects.get().look_at is None
    assert states() == [("unknown", "")] * 2


def test_a_provider_that_fails_is_asked_at_the_next_turn(twin):
    make_batch(fiction(2))
    twin.faults.add("reset_after", on="send", times=1)
    sending.send_next()
    twin.faults.add("500", on="lookups")
    with after(3):
        assert look_up() == 0
    twin.faults.clear()
    with after(12):
        assert look_up() == 2
