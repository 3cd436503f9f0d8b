"""Who got a text and who did not, as lines of a CSV file that spreadsheets open safely."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from contacts.importing.reading import guarded
from messaging.controls import Recipient, outcome_rows
from messaging.models import Batch
from messaging.statuses import Got

COLUMNS: Final = ("group", *Recipient._fields)


def recipients_csv(batch: Batch, group: str = "") -> Iterator[str]:
    """The header, then one line per person of `group`, or of all groups. Raises Wrong for a group there is not.

    Cells a spreadsheet would take for a formula are guarded; numbers stay in E.164.
    """
    chosen = [group] if group else Got.values
    rows = [(each, outcome_rows(batch, each)) for each in chosen]  # refuses before the first line leaves
    return chain([_line(COLUMNS)], (_line(_cells(name, each)) for name, people in rows for each in people))


def _cells(group: str, row: Recipient) -> Iterable[str]:
    return (group, row.to, *map(guarded, row[1:]))


def _line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow(cells)
    return line.getvalue()
