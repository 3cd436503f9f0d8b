"""`make bench`: measures on every database that is reachable, prints the table and keeps it in benchmarks/README.md.

python -m benchmarks [--quick] [--full] [--database SQLite] [bench_plan bench_send]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from importlib import import_module

from benchmarks import figures, stage
from benchmarks.figures import Figure

BENCHES = ("bench_plan", "bench_send")


def main(words: list[str] | None = None) -> int:
    """Measure, print, keep. The exit code is 1 when a side did not do its work; a goal missed is only said."""
    asked = argparse.ArgumentParser(prog="make bench", description="measures the portal")
    asked.add_argument("benches", nargs="*", metavar="bench", help=f"of {', '.join(BENCHES)}; without one: all")
    asked.add_argument("--quick", action="store_true", help="a moment's work, only to see that it runs; keeps nothing")
    asked.add_argument("--full", action="store_true", help="a million messages where memory is measured")
    asked.add_argument("--database", choices=["SQLite", "PostgreSQL"], default="")
    given = asked.parse_args(words)
    load, began = os.getloadavg()[0], time.monotonic()
    found: list[Figure] = []
    try:
        for bench in given.benches or BENCHES:
            measure = import_module(f"benchmarks.{bench}").measure
            for name in stage.databases(given.database):
                with stage.database(name) as url:
                    found += measure(partial(stage.play, url), name, quick=given.quick, full=given.full)
    except stage.Failed as failed:
        print(failed, file=sys.stderr)
        return 1
    print(f"\n{figures.said(stage.postgres_version(), load)}\n\n{figures.table(found)}\n")
    print(f"It took {time.monotonic() - began:.0f} seconds.")
    if not (given.quick or given.benches or given.database):
        figures.keep(found, stage.postgres_version(), load)
    return 0


if __name__ == "__main__":
    sys.exit(main())
