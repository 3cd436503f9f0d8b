"""The quick form of the crash proof: a worker killed, or frozen, at every tenth point, for four kinds of answers."""

import pytest

from messaging.tests.proof import crashes

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def plain(settings):
    settings.QUIET_HOURS = ""
    settings.MAX_TEXTS_PER_DAY = 0


@pytest.mark.parametrize("answer", ["accepted", "400", "accepted, reset"])
def test_a_worker_killed_anywhere_leaves_nothing_wrong(answer):
    found = crashes.run([answer], step=13)
    assert found.books.wrong == {}
    assert found.points > 2


def test_a_worker_frozen_anywhere_does_nothing_wrong_when_it_wakes():
    found = crashes.run(["accepted"], step=4, freezes=True)
    assert found.books.wrong == {}
    assert found.points > 2


@pytest.mark.parametrize("mistake", ["commits no intent", "intends without the fence"])
def test_a_planted_mistake_is_caught(mistake):
    assert crashes.caught(mistake)
