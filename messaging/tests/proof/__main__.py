"""`make proof`: every proof on SQLite and on PostgreSQL, a table on the terminal, and the same table in docs/proof.md.

FULL=1 in the environment takes the long form, QUICK=1 the short one, which writes no page; neither does a run in which a
proof did not come to its end. Ends with 1 when anything was wrong, a planted mistake was not caught, or a proof did not
come to its end; why stands on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path

from messaging.tests.proof import page
from messaging.tests.proof.parts import ON_EACH_DATABASE, PARTS, Line
from messaging.tests.proof.services import Postgres, programs
from messaging.tests.proof.soaking import brokers, soak
from smsportal.processes import manage

SEED = 1


def main() -> int:
    """Run everything, the two databases side by side; 0 when everything holds."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and folders are put away
    size = "full" if os.environ.get("FULL") else "quick" if os.environ.get("QUICK") else "standard"
    lines: list[Line] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = {"sqlite": f"sqlite:///{folder}/parts.sqlite3"}
        if programs() is not None:
            urls["postgresql"] = stack.enter_context(Postgres(folder / "parts")).url
        lines += [_said(_part("model", "", size, {}))]
        with ThreadPoolExecutor() as both:
            found = both.map(lambda database: _on(database, urls[database], size, folder), urls)
        lines += [line for each in zip_longest(*found) for line in each if line]
    print(f"\n{page.table(lines)}")
    if programs() is None:
        print("PostgreSQL's server programs are not installed: half of the proofs were left out.")
    lacking = page.lacking(lines)
    if lacking:
        print(f"docs/proof.md stays as it was: {', '.join(lacking)} did not come to an end.")
    elif size != "quick":
        page.write(lines, size=size, seed=SEED, postgres=_version())
    return 0 if not lacking and all(line.is_good for line in lines) else 1


def _on(database: str, url: str, size: str, folder: Path) -> list[Line]:
    """Everything that needs a database, on this one."""
    environment = {"DATABASE_URL": url}
    subprocess.run(manage("migrate", "--verbosity", "0"), env={**os.environ, **environment}, check=True)
    lines = [_said(_part(part, database, size, environment)) for part in ON_EACH_DATABASE]
    return [*lines, _said(soak(database, size, folder, SEED)), *map(_said, brokers(database, size, folder, SEED))]


def _said(line: Line) -> Line:
    print(" | ".join(line.cells()), flush=True)
    return line


def _part(name: str, database: str, size: str, environment: dict[str, str]) -> Line:
    command, began = [sys.executable, "-m", "messaging.tests.proof.parts", name, size], time.monotonic()
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.stderr:
        print(f"{PARTS[name][0]}, {database}:\n{done.stderr.rstrip()}", file=sys.stderr, flush=True)
    if done.stdout:
        return Line(**json.loads(done.stdout))
    why = done.stderr.strip().rpartition("\n")[2][:200] or "it said nothing"
    why = f"ended with {done.returncode}: {why}"
    return Line(PARTS[name][0], database, why, 0, 0, 0, seconds=time.monotonic() - began, broken=True)


def _version() -> str:
    found = programs()
    assert found is not None
    told = subprocess.run([str(found / "postgres"), "--version"], capture_output=True, text=True, check=True).stdout
    return f"PostgreSQL {told.split()[2]}"


if __name__ == "__main__":
    argparse.ArgumentParser("make proof", description=__doc__.split("\n\n")[1]).parse_args()  # it takes no words
    raise SystemExit(main())
