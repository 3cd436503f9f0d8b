"""The quick form of the model check: 100,000 states of two chunks without a fault, and every planted mistake caught."""

import pytest

from messaging.tests.proof.walking import MISTAKES, QUICK, walk


def test_no_order_of_events_loses_doubles_or_misreports_a_chunk():
    walked = [walk(bounds) for bounds in QUICK]
    assert [found for _, found in walked] == [""] * len(QUICK)
    assert sum(states for states, _ in walked) > 100_000


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_planted_mistake_is_caught(mistake: str):
    consequence, bounds = MISTAKES[mistake]
    assert walk(bounds, mistake)[1] == consequence
