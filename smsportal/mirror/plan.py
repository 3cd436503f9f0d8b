"""Ours × theirs → what a sync will do. Pure: the same rows always give the same plan and the same hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smsportal.providers.base import Abilities

SAMPLES = 10  # shown of each kind


@dataclass(frozen=True, slots=True)
class Ours:
    """A row here. `pushed` is the digest of what they were last known to hold, "" when they never held it."""

    key: str
    fields: Mapping[str, str]
    pushed: str = ""
    removed: bool = False
    active: bool = True


@dataclass(frozen=True, slots=True)
class Theirs:
    """A record there. One that is not `usable` has no key we could keep it under; it is reported and left alone."""

    key: str
    fields: Mapping[str, str]
    active: bool = True
    usable: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sync will do, by key. Every row of ours and of theirs is in exactly one of the kinds.

    append: only here · pull: only there, or changed only there · replace: changed only here · delete: removed here ·
    same · conflict: changed on both sides, or there twice; left alone · unusable: there, but not what we can keep ·
    forget: removed here and gone there too. `create`: there is no list there. `list_changed`: our list itself (name,
    tags, meta, fields) is not what they were last given.
    """

    append: tuple[str, ...] = ()
    pull: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    conflict: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()
    create: bool = False
    list_changed: bool = False
    there: int = 0
    destructive: bool = False
    hash: str = ""
    samples: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Counts and samples, as stored and shown."""
        counts = {kind: len(getattr(self, kind)) for kind in KINDS}
        flags = {"create": self.create, "list_changed": self.list_changed, "destructive": self.destructive}
        return {"hash": self.hash, **counts, **flags, "there": self.there, "samples": dict(self.samples)}


KINDS = ("append", "pull", "replace", "delete", "same", "conflict", "unusable", "forget")


def digest(fields: Mapping[str, str]) -> str:
    """The same for the same filled fields, in any order."""
    filled = sorted((name, value) for name, value in fields.items() if value)
    return hashlib.sha256(json.dumps(filled, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()


def make_plan(
    ours: Iterable[Ours],
    theirs: Iterable[Theirs],
    *,
    abilities: Abilities,
    create: bool = False,
    list_changed: bool = False,
) -> Plan:
    """Compare. `theirs` must be all of their records: from a part of them rows would seem to be gone.

    Where single records cannot be changed over there, replacing and deleting any, or changing the list itself, means
    to empty the list and fill it again: such a plan is `destructive`.
    """
    here = {each.key: each for each in ours}
    kinds: dict[str, list[str]] = {kind: [] for kind in KINDS}
    there, count = _by_key(theirs, kinds)
    twice = set(kinds["conflict"])
    lines = []
    for key in sorted(here.keys() | there.keys()):
        kind = "conflict" if key in twice else _kind(here.get(key), there.get(key), is_new=create)
        kinds[kind].append(key)
        lines.append((kind, key, _state(here.get(key)), _state(there.get(key))))
    rewrites = bool(kinds["replace"] or kinds["delete"]) or (list_changed and not create)
    lines += [("unusable", key, "", "") for key in sorted(kinds["unusable"])]
    facts = json.dumps([lines, create, list_changed, count], ensure_ascii=False)
    return Plan(
        **{kind: tuple(keys) for kind, keys in kinds.items()},
        create=create,
        list_changed=list_changed,
        there=count,
        destructive=rewrites and not abilities.changes_contacts,
        hash=hashlib.sha256(facts.encode("utf-8", "replace")).hexdigest(),
        samples=_samples(kinds, here, there),
    )


def _by_key(theirs: Iterable[Theirs], kinds: Mapping[str, list[str]]) -> tuple[dict[str, Theirs], int]:
    """Their usable records by key, and how many records there are in all; the others go into `kinds`."""
    there: dict[str, Theirs] = {}
    count = 0
    for each in theirs:
        count += 1
        if not each.usable:
            kinds["unusable"].append(each.key)
        elif each.key in there:
            kinds["conflict"].append(each.key)  # twice, in two spellings: counted for the second one too
        else:
            there[each.key] = each
    return there, count


def _kind(ours: Ours | None, theirs: Theirs | None, *, is_new: bool) -> str:
    if ours is None:
        return "pull"
    if theirs is None:
        return "forget" if ours.removed else "append"
    if ours.removed:
        return "delete"
    mine, other = digest(ours.fields), digest(theirs.fields)
    if mine == other:
        return "same" if ours.active == theirs.active else "pull"
    if is_new or ours.pushed not in (mine, other):
        return "conflict"
    return "pull" if ours.pushed == mine else "replace"


def _state(row: Ours | Theirs | None) -> str:
    if row is None:
        return ""
    marks = f"{row.active:d}{row.removed:d}{row.pushed}" if isinstance(row, Ours) else f"{row.active:d}"
    return f"{digest(row.fields)}{marks}"


def _samples(
    kinds: Mapping[str, Sequence[str]], here: Mapping[str, Ours], there: Mapping[str, Theirs]
) -> dict[str, list[dict[str, Any]]]:
    """The first few of each kind but `same`, with both sides."""
    return {
        kind: [
            {
                "phone_number": key,
                "ours": dict(here[key].fields) if key in here else None,
                "theirs": dict(there[key].fields) if key in there else None,
            }
            for key in keys[:SAMPLES]
        ]
        for kind, keys in kinds.items()
        if keys and kind != "same"
    }
