"""The answer table: every kind of answer to a send, for one text and for many."""

from __future__ import annotations

import pytest

from messaging.sending.answers import LONGEST_WAIT_S, Verdict, decide
from smsportal.providers import errors
from smsportal.providers.base import Answer


@pytest.mark.parametrize(
    ("outcome", "of_many", "of_one"),
    [
        (Answer(()), Verdict.ACCEPTED, Verdict.ACCEPTED),
        (errors.Uncertain("timeout"), Verdict.UNKNOWN, Verdict.UNKNOWN),
        (errors.Garbled("html"), Verdict.UNKNOWN, Verdict.UNKNOWN),
        (errors.Refused("bad", status=400), Verdict.SPLIT, Verdict.REJECTED),
        (errors.Invalid("schema"), Verdict.SPLIT, Verdict.REJECTED),
        (errors.TooLarge("large", status=413), Verdict.SMALLER, Verdict.REJECTED),
        (errors.Throttled("slow down", status=429), Verdict.LATER, Verdict.LATER),
        (errors.Unreachable("refused"), Verdict.LATER, Verdict.LATER),
        (errors.Misconfigured("key", status=401), Verdict.CLOSED, Verdict.CLOSED),
        (errors.Missing("path", status=404), Verdict.CLOSED, Verdict.CLOSED),
        (errors.Unable("no such ability"), Verdict.CLOSED, Verdict.CLOSED),
        (ValueError("a mistake of ours"), Verdict.UNKNOWN, Verdict.UNKNOWN),
    ],
)
def test_every_answer_has_its_verdict(outcome, of_many, of_one):
    assert decide(outcome, 100).verdict is of_many
    assert decide(outcome, 1).verdict is of_one


def test_every_kind_of_error_is_in_the_table():
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.ProviderError}
    for kind in (each for each in kinds if issubclass(each, errors.ProviderError)):
        verdict = decide(kind("…"), 2).verdict
        # What may have been sent is unknown and nothing else is: the promise in one line.
        assert (verdict is Verdict.UNKNOWN) == (kind.sent is errors.Sent.MAYBE), kind


@pytest.mark.parametrize(("asked", "waited"), [(None, 5), (0.0, 5), (7, 7), (10**9, LONGEST_WAIT_S)])
def test_a_throttled_account_waits_as_long_as_asked_within_reason(asked, waited):
    assert decide(errors.Throttled("slow down", retry_after_s=asked), 1).wait_s == waited


def test_only_what_may_have_been_sent_is_a_strike():
    assert decide(errors.Uncertain("timeout"), 1).strike
    assert not decide(errors.Refused("bad"), 1).strike
    assert not decide(Answer(()), 1).strike
