"""The join of deliveries has one outcome whatever the order, and the table of moves knows every state."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise, product

import pytest

from messaging.statuses import DELIVERY_TITLES, DELIVERY_WORDS, MOVES, BatchState, Known, allowed, join
from smsportal.providers.base import Delivery

NEWS = [rank for rank in Delivery if rank is not Delivery.NONE]
Join = Callable[[Known, Delivery], Known]


def last_write_wins(now: Known, news: Delivery) -> Known:
    return Known(news, now.failed or news is Delivery.FAILED, now.delivered or news >= Delivery.DELIVERED)


def first_final_wins(now: Known, news: Delivery) -> Known:
    return now if now.rank >= Delivery.FAILED else join(now, news)


def outcomes(merge: Join, longest: int) -> tuple[int, dict[frozenset[Delivery], set[Known]]]:
    """Every sequence of up to `longest` news through `merge`: how many there were, and the ends by set of news.

    Sequences that brought the same news to the same end go on as one, counted: what follows cannot tell them apart.
    """
    ends: dict[frozenset[Delivery], set[Known]] = {}
    level = Counter({(frozenset(), Known()): 1})
    total = 0
    for _ in range(longest):
        following: Counter[tuple[frozenset[Delivery], Known]] = Counter()
        for (seen, now), sequences in level.items():
            for news in NEWS:
                following[seen | {news}, merge(now, news)] += sequences
        for seen, after in following:
            ends.setdefault(seen, set()).add(after)
        total, level = total + following.total(), following
    return total, ends


def test_every_order_and_repetition_of_up_to_six_news_ends_alike():
    total, ends = outcomes(join, 6)
    assert total == 299_592
    assert len(ends) == 246
    assert all(len(found) == 1 for found in ends.values())


@pytest.mark.parametrize("mistake", [last_write_wins, first_final_wins])
def test_a_join_that_depends_on_order_would_be_caught(mistake):
    _, ends = outcomes(mistake, 3)
    assert any(len(found) > 1 for found in ends.values())


def test_the_join_keeps_the_greatest_rank_and_both_flags():
    known = join(join(Known(), Delivery.DELIVERED), Delivery.FAILED)
    assert known == Known(Delivery.DELIVERED, failed=True, delivered=True)
    assert known.conflict
    assert not join(Known(), Delivery.READ).conflict


@pytest.mark.parametrize(("now", "news"), list(product(Delivery, repeat=2)))
def test_news_never_lowers_what_is_known(now, news):
    assert join(Known(now), news).rank == max(now, news)


def test_the_ladder_of_deliveries_is_the_one_of_the_design():
    words = ["none", "accepted", "carrier", "sent", "temporary_failure", "unconfirmed", "failed", "delivered", "read"]
    assert [DELIVERY_WORDS[rank] for rank in sorted(DELIVERY_WORDS)] == words
    assert all(lower < higher for lower, higher in pairwise(sorted(DELIVERY_WORDS)))
    assert {rank for rank, _ in DELIVERY_TITLES} == set(Delivery)


ALLOWED = {
    "draft": "edit submit cancel",
    "pending_approval": "edit approve reject cancel",
    "approved": "edit start cancel",
    "rejected": "edit submit cancel",
    "expanding": "pause cancel",
    "running": "pause cancel",
    "paused": "resume cancel",
    "finished": "retry-failed",
    "cancelled": "",
}


def test_the_table_of_moves_is_complete():
    assert set(ALLOWED) == set(BatchState)
    assert {state: allowed(state) for state in BatchState} == {s: moves.split() for s, moves in ALLOWED.items()}
    assert set(MOVES) - {"undo"} == {move for moves in ALLOWED.values() for move in moves.split()}


def test_only_a_batch_being_prepared_can_be_undone_and_only_in_time():
    assert allowed(BatchState.EXPANDING, undoable=True) == ["undo", "pause", "cancel"]
    assert {state for state in BatchState if "undo" in allowed(state, undoable=True)} == {BatchState.EXPANDING}
