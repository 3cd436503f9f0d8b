"""The table of the proofs, on the terminal and as docs/proof.md."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from messaging.tests.proof.parts import Line, expected

PATH = Path(__file__).resolve().parents[3] / "docs" / "proof.md"
HEAD = ("proof", "database", "what was done", "wrong", "left unknown", "planted mistakes caught", "took")
BEGIN, END = "<!-- table: written by `make proof` -->", "<!-- end of the table -->"


def table(lines: Sequence[Line]) -> str:
    """The lines as a table of Markdown."""
    rows = [HEAD, tuple("---" for _ in HEAD), *(line.cells() for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def machine(postgres: str) -> str:
    """What kind of machine it was, and nothing that names it."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}{f', {postgres}' if postgres else ''}"
    )


def lacking(lines: Sequence[Line]) -> list[str]:
    """The proofs that a complete table has and `lines` have not, or that did not come to their end."""
    there = {(line.proof, line.database) for line in lines}
    broken = {(line.proof, line.database) for line in lines if line.broken}
    return sorted(" on ".join(filter(None, each)) for each in (expected() - there) | broken)


def write(lines: Sequence[Line], *, size: str, seed: int, postgres: str) -> None:
    """Put the table into the page, and under it when, where and with which seed it was made."""
    text = PATH.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = f"{datetime.now(UTC):%Y-%m-%d}, {size} form, seed {seed}, on {machine(postgres)}."
    PATH.write_text(f"{before}{BEGIN}\n\n{table(lines)}\n\nMade {made}\n\n{END}{after}")


def proofs_on(text: str) -> set[tuple[str, str]]:
    """The lines of the table in `text`, as (proof, database)."""
    _, _, rest = text.partition(BEGIN)
    rows = [row.strip("| ").split(" | ") for row in rest.partition(END)[0].splitlines() if row.startswith("| ")]
    return {(cells[0].strip(), cells[1].strip()) for cells in rows[2:]}
