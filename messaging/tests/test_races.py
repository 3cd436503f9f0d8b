"""The quick form of the races: a STOP, pause, cancel or closing between any two statements of an intent, and at once."""

import pytest

from messaging.tests.proof import races
from smsportal.tests.world import fiction, make_batch

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def any_hour(settings):
    settings.QUIET_HOURS = ""


@pytest.mark.parametrize("act", races.ACTS)
def test_no_intent_is_committed_after_what_forbids_it(act):
    batch = make_batch(fiction(2))
    assert races.forced(batch, act).too_late == []
    assert races.at_once(batch, act, runs=8).too_late == []


def test_each_planted_mistake_is_caught():
    batch = make_batch(fiction(2))
    caught = {name: bool(races.forced(batch, act, spoil).too_late) for name, (act, spoil) in races.mistakes().items()}
    assert caught == dict.fromkeys(caught, True)
