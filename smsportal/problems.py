"""What a verb raises when it will not do what was asked; every face shows the same sentence and the same field errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Problem(Exception):  # it is told to people, not to programmers
    """`detail` is one sentence with the remedy; `errors` maps a field to its sentences; `allowed` the legal moves."""

    status = 400
    title = "This cannot be done"

    def __init__(
        self, detail: str, *, errors: Mapping[str, Sequence[str]] | None = None, allowed: Sequence[str] | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = {name: list(sentences) for name, sentences in (errors or {}).items()}
        self.allowed = None if allowed is None else list(allowed)


class Wrong(Problem):
    """What was given is wrong: 400."""

    title = "Something in it is wrong"


class Conflict(Problem):
    """Not in the state it is in: 409. `allowed` names what is possible instead."""

    status = 409
    title = "Not possible now"


class Changed(Problem):
    """Somebody changed it since it was read: 412."""

    status = 412
    title = "It was changed meanwhile"
