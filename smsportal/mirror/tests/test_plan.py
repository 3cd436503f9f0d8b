"""The plan is pure: every row of both sides is in exactly one kind, and carrying it out leaves nothing to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsportal.mirror.plan import KINDS, Ours, Plan, Theirs, digest, make_plan
from smsportal.providers.base import Abilities

ABLE = Abilities(mirrors_contacts=True)


def person(name: str) -> dict[str, str]:
    return {"First_Name": name}


def ours(key: str, name: str, pushed: str | None = None, *, removed: bool = False, active: bool = True) -> Ours:
    return Ours(key, person(name), "" if pushed is None else digest(person(pushed)), removed, active)


def theirs(key: str, name: str, *, active: bool = True, usable: bool = True) -> Theirs:
    return Theirs(key, person(name), active, usable)


def plan(mine: list[Ours], other: list[Theirs], **more: bool) -> Plan:
    return make_plan(mine, other, abilities=ABLE, **more)


@pytest.mark.parametrize(
    ("mine", "other", "kind", "destructive"),
    [
        (ours("1", "A"), None, "append", False),
        (ours("1", "A", "A"), None, "append", False),  # it vanished there
        (None, theirs("1", "A"), "pull", False),
        (ours("1", "A", "A"), theirs("1", "A"), "same", False),
        (ours("1", "A"), theirs("1", "A"), "same", False),  # added there by somebody else, alike
        (ours("1", "B", "A"), theirs("1", "A"), "replace", True),
        (ours("1", "A", "A"), theirs("1", "B"), "pull", False),
        (ours("1", "B", "A"), theirs("1", "C"), "conflict", False),
        (ours("1", "A"), theirs("1", "B"), "conflict", False),
        (ours("1", "A", "A", removed=True), theirs("1", "A"), "delete", True),
        (ours("1", "A", "A", removed=True), theirs("1", "B"), "delete", True),
        (ours("1", "A", "A", removed=True), None, "forget", False),
        (ours("1", "A", "A"), theirs("1", "A", active=False), "pull", False),
        (None, theirs("x", "A", usable=False), "unusable", False),
    ],
)
def test_each_pair_has_one_kind(mine, other, kind, destructive):
    made = plan([mine] if mine else [], [other] if other else [])
    assert {name: getattr(made, name) for name in KINDS if getattr(made, name)} == {kind: ((mine or other).key,)}
    assert made.destructive is destructive


def test_a_contact_that_is_there_twice_is_left_alone():
    made = plan([ours("1", "B", "A")], [theirs("1", "A"), theirs("1", "B"), theirs("2", "C")])
    assert (made.conflict, made.replace, made.pull, made.there) == (("1", "1"), (), ("2",), 3)


def test_a_changed_list_is_destructive_unless_it_is_made_anew():
    assert plan([], [], list_changed=True).destructive
    assert not plan([], [], list_changed=True, create=True).destructive
    able = Abilities(mirrors_contacts=True, changes_contacts=True)
    assert not make_plan([ours("1", "B", "A")], [theirs("1", "A")], abilities=able).destructive


def test_samples_show_both_sides_of_the_first_few():
    made = plan([ours(f"{n:02}", "A") for n in range(30)], [theirs("99", "Z")])
    assert len(made.samples["append"]) == 10
    assert made.samples["append"][0] == {"phone_number": "00", "ours": person("A"), "theirs": None}
    assert made.samples["pull"] == [{"phone_number": "99", "ours": None, "theirs": person("Z")}]
    assert made.as_json()["append"] == 30


keys = st.sampled_from("abcdef")
names = st.sampled_from(["A", "B", "C"])
our_rows = st.lists(
    st.builds(ours, keys, names, st.one_of(st.none(), names), removed=st.booleans(), active=st.booleans()),
    unique_by=lambda row: row.key,
)
their_rows = st.lists(st.builds(theirs, keys, names, active=st.booleans()), unique_by=lambda row: row.key)


def total(made: Plan, *kinds: str) -> int:
    return sum(len(getattr(made, kind)) for kind in kinds)


def conserves(made: Plan, mine: list[Ours], other: list[Theirs]) -> bool:
    """Every key of either side is in exactly one kind."""
    named = [key for kind in KINDS for key in getattr(made, kind)]
    return sorted(named) == sorted({row.key for row in mine} | {row.key for row in other})


@given(our_rows, their_rows, st.booleans())
def test_nothing_is_left_out_and_nothing_is_in_two_kinds(mine, other, create):
    made = plan(mine, [] if create else other, create=create)
    assert conserves(made, mine, [] if create else other)
    there = {row.key for row in other}
    assert set(made.delete) <= there & {row.key for row in mine if row.removed}
    assert made.destructive == bool(made.replace or made.delete)


def test_the_law_above_would_notice_a_lost_row():
    mine, other = [ours("1", "A")], [theirs("2", "B")]
    assert conserves(plan(mine, other), mine, other)
    assert not conserves(plan(mine, []), mine, other)
    assert not conserves(Plan(append=("1",), same=("1",), pull=("2",)), mine, other)


@given(our_rows, their_rows)
def test_the_order_of_rows_changes_nothing(mine, other):
    first, second = plan(mine, other), plan(mine[::-1], other[::-1])
    assert (first.hash, first.append, first.samples) == (second.hash, second.append, second.samples)


@given(our_rows, their_rows, their_rows)
def test_another_side_gives_another_hash(mine, other, third):
    def content(rows):
        return sorted((row.key, row.fields["First_Name"], row.active) for row in rows)

    assert (plan(mine, other).hash == plan(mine, third).hash) == (content(other) == content(third))


@given(our_rows, their_rows)
def test_what_was_carried_out_leaves_nothing_to_do_but_conflicts(mine, other):
    made = plan(mine, other)
    here = {row.key: row for row in mine}
    there = {row.key: row for row in other}
    for key in made.pull:
        here[key] = Ours(key, there[key].fields, digest(there[key].fields), active=there[key].active)
    for key in (*made.append, *made.replace):
        there[key] = Theirs(key, here[key].fields, here[key].active)
        here[key] = Ours(key, here[key].fields, digest(here[key].fields), active=here[key].active)
    for key in (*made.delete, *made.forget):
        here.pop(key)
        there.pop(key, None)
    again = plan(list(here.values()), list(there.values()))
    assert total(again, "append", "pull", "replace", "delete", "forget") == 0
    assert again.conflict == made.conflict
    assert len(again.same) + len(again.conflict) == len(here) == len(there)
