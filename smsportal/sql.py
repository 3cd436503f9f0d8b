"""What the ORM lacks or is slow at: many rows changed to different values or written at once, on both databases."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from django.db import InterfaceError, InternalError, OperationalError, connection, connections, models
from django.db.backends.utils import CursorWrapper

from smsportal import clock

# Raised while the database is away or asks for another try: it is gone, it restarts, a deadlock ended the transaction,
# or, as an InternalError of PostgreSQL, it only reads for now (25006) or has ended a session that stood still (25P03).
AWAY: Final = (OperationalError, InterfaceError, InternalError)


def run(statement: str, *given: Any) -> int:
    """Execute a statement of ours with `given` for its marks; returns how many rows it changed.

    For the few statements that are made for every chunk of a batch: the ORM takes longer to write one than the
    database to carry it out. A list stands for one mark that `among` wrote.
    """
    with _cursor() as cursor:
        cursor.execute(statement, _flat(given))
        return int(cursor.rowcount)


def read(statement: str, *given: Any) -> list[tuple[Any, ...]]:
    """As `run`, for a statement that gives rows."""
    with _cursor() as cursor:
        cursor.execute(statement, _flat(given))
        return list(cursor.fetchall())


def _cursor() -> CursorWrapper:
    """A cursor for statements made again and again: PostgreSQL parses and plans each only once for a connection.

    Django's own writes the values into the text, so that no two statements are alike. Behind a pooler that lends a session
    for a transaction only, which DISABLE_SERVER_SIDE_CURSORS tells Django, too, nothing is kept in a session.
    """
    if connection.vendor != "postgresql" or connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        return connection.cursor()
    here: Any = connections[connection.alias]
    here.ensure_connection()
    wrapped: CursorWrapper = here._prepare_cursor(_prepared()(here.connection))  # counted and watched as any other
    return wrapped


@cache
def _prepared() -> type[Any]:
    import psycopg  # needed on PostgreSQL only

    class Prepared(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **more: Any) -> Any:
            return super().execute(query, params, **{**more, "prepare": True})

    return Prepared


def forget_plans() -> None:
    """Have statements that repeat planned anew, for the tables as they are by now.

    PostgreSQL keeps a plan for a connection, also of the check of a foreign key, whatever becomes of the table: made while
    that has a few rows, it reads all of it for each row that is inserted, in their thousands.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("DISCARD PLANS")


def among(column: str, ids: Sequence[int]) -> str:
    """SQL that is true where `column` is one of `ids`; give the list itself for its mark."""
    if connection.vendor == "postgresql":
        return f"{column} = ANY(%s)"
    return f"{column} IN ({', '.join(['%s'] * len(ids))})"


def _flat(given: Sequence[Any]) -> list[Any]:
    """Values as the database takes them: moments in its own form, lists one by one where it has no arrays."""
    flat: list[Any] = []
    for value in given:
        if isinstance(value, datetime):
            flat.append(connection.ops.adapt_datetimefield_value(value))
        elif isinstance(value, list) and connection.vendor != "postgresql":
            flat += value
        else:
            flat.append(value)
    return flat


def update_each(
    model: type[models.Model],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    where: str = "",
    *,
    same: Mapping[str, Any] | None = None,
    also: str = "",
) -> int:
    """Set `columns` of many rows; each of `rows` is the primary key, then a value per column. Returns rows changed.

    `same` holds columns that get one value in all rows. `where` is a further SQL condition on the table, in which
    `new.c0` is the first of `columns`, and `also` a further assignment (fixed text of ours, never data). Django's
    `bulk_update` takes some fifty milliseconds for a hundred rows, this one well under one. Give the rows in the order
    of their keys: they are locked in it.
    """
    quote, here = connection.ops.quote_name, connections[connection.alias]
    table = quote(model._meta.db_table)
    by_name = {field.name: field for field in model._meta.concrete_fields}
    fields = [by_name["id"], *(by_name[name] for name in columns)]
    fixed = {
        str(by_name[name].column): by_name[name].get_db_prep_save(value, here) for name, value in (same or {}).items()
    }
    sets = [f"{quote(str(field.column))} = new.c{place}" for place, field in enumerate(fields[1:])]
    sets += [f"{quote(name)} = %s" for name in fixed] + ([also] if also else [])
    ending = f" AND {where}" if where else ""
    changed, step = 0, _ROWS if connection.vendor == "sqlite" else max(1, len(rows))
    with _cursor() as cursor:
        for start in range(0, len(rows), step):
            page = rows[start : start + step]
            lists = [_column(field, [row[place] for row in page]) for place, field in enumerate(fields)]
            source, values = _as_table(fields, lists)
            cursor.execute(
                f"UPDATE {table} SET {', '.join(sets)} FROM {source} WHERE {table}.{quote('id')} = new.k{ending}",  # noqa: S608 - no data in it
                [*fixed.values(), *values],
            )
            changed += cursor.rowcount
    return changed


# Bound to one statement on SQLite, whose marks are counted. One statement per row would let go of the interpreter's lock
# and ask for it again each time, and other threads keep it for milliseconds.
_ROWS: Final = 500


def _as_table(fields: Sequence[Any], lists: Sequence[list[Any]]) -> tuple[str, list[Any]]:
    """SQL of a table `new` with the key `k` and the columns `c0`, …, and the values for its marks."""
    names = ["k", *(f"c{place}" for place in range(len(lists) - 1))]
    if connection.vendor == "postgresql":
        here = connections[connection.alias]
        marks = [f"{_array(given)}::{field.db_type(here)}[]" for field, given in zip(fields, lists, strict=True)]
        return f"unnest({', '.join(marks)}) AS new ({', '.join(names)})", [_as_array(given) for given in lists]
    named = ", ".join(f"column{place} AS {name}" for place, name in enumerate(names, 1))
    row = f"({', '.join(['%s'] * len(lists))})"
    rows = ", ".join([row] * len(lists[0]))
    values = [each for row in zip(*lists, strict=True) for each in row]
    return f"(SELECT {named} FROM (VALUES {rows})) AS new", values  # noqa: S608 - no data in it


# Between the elements of an array written as one text, which the driver passes on ten times as fast as a list.
_BETWEEN: Final = "\x1f"


def _array(values: Sequence[Any]) -> str:
    return f"string_to_array(%s, '{_BETWEEN}')" if _is_plain(values) else "%s"


def _as_array(values: Sequence[Any]) -> Any:
    if _is_plain(values):
        return _BETWEEN.join(values)
    return f"{{{','.join(map(str, values))}}}" if all(type(value) is int for value in values) else list(values)


def _is_plain(values: Sequence[Any]) -> bool:
    """Whether these are texts that can be joined and taken apart again."""
    return all(isinstance(value, str) for value in values) and _BETWEEN not in "".join(values) and values != [""]


def _column(field: Any, values: list[Any]) -> list[Any]:
    """`values` of one column as the database takes them; numbers and texts are given as they are."""
    if isinstance(field, _AS_THEY_ARE):
        return values
    here = connections[connection.alias]
    return [field.get_db_prep_save(value, here) for value in values]


def insert_each(
    model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]], same: Mapping[str, Any]
) -> None:
    """Insert `rows`, each a value per column of `columns`; the columns in `same` have one value for all of them.

    Every column without a default of the database must be named, times and UUIDs too (`new_uuids`). COPY on PostgreSQL
    and one prepared statement on SQLite: four times as fast as `bulk_create`, which builds and compiles objects.
    """
    head, ready, fixed = _ready(model, columns, rows, same)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Text put together here takes a quarter of the time of `write_row`, which looks at every value of every row.
            end = "".join(f"\t{_copied(value)}" for value in fixed) + "\n"
            lines = ["\t".join(map(_copied, row)) + end for row in ready]
            with connection.wrap_database_errors, cursor.copy(f"COPY {head} FROM STDIN") as copy:
                for at in range(0, len(lines), _LINES):
                    copy.write("".join(lines[at : at + _LINES]))
        elif ready:
            full = [(*row, *fixed) for row in ready]
            cursor.executemany(f"INSERT INTO {head} VALUES {_marks(full[0])}", full)  # noqa: S608 - no data in it


def _copied(value: Any) -> str:
    """One value in the text form of COPY (PostgreSQL manual, "COPY", File Formats)."""
    if type(value) is int:  # half of all values
        return str(value)
    if value is None:
        return r"\N"
    if value is True or value is False:
        return "t" if value else "f"
    # JSON comes in a wrapper of psycopg; numbers, times and UUIDs are read as Python writes them.
    text = (value.dumps or json.dumps)(value.obj) if hasattr(value, "obj") else str(value)
    return text.translate(_ESCAPED) if _SPECIAL(text) else text


def new_uuids(number: int) -> list[str]:
    """So many new UUIDs (version 7), as 32 digits: both databases take them so.

    They begin with the time, so that an index finds the place of each beside the last one; with random ones a large
    table is slow to add to. The other 74 bits are random. A tenth of the time of `uuid4`.
    """
    now = f"{int(clock.now().timestamp() * 1000):012x}7"
    digits = os.urandom(10 * number).hex()
    # RFC 9562, 5.7: behind 48 bits of time and the version, the 17th digit is one of four, chosen by what stood there.
    return [
        f"{now}{digits[at : at + 3]}{'89ab'[int(digits[at + 3], 16) & 3]}{digits[at + 4 : at + 19]}"
        for at in range(0, 20 * number, 20)
    ]


def insert_missing(
    model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]], same: Mapping[str, Any]
) -> None:
    """As `insert_each`, leaving out rows with a unique value that is stored already. At most some thousand rows."""
    head, ready, fixed = _ready(model, columns, rows, same)
    if not ready:
        return
    full = [(*row, *fixed) for row in ready]
    marks = ", ".join([_marks(full[0])] * len(full))
    statement = f"INSERT INTO {head} VALUES {marks} ON CONFLICT DO NOTHING"  # noqa: S608 - no data in it
    with connection.cursor() as cursor:
        cursor.execute(statement, [value for row in full for value in row])


def insert_few(
    model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]], same: Mapping[str, Any]
) -> list[int]:
    """As `insert_each`, for at most a thousand rows whose ids are wanted: returns them, in the order of the rows."""
    head, ready, fixed = _ready(model, columns, rows, same)
    if not ready:
        return []
    full = [(*row, *fixed) for row in ready]
    marks = ", ".join([_marks(full[0])] * len(full))
    # In the order of the rows: both databases number them as they come, and nothing else grows with them.
    statement = f"INSERT INTO {head} VALUES {marks} RETURNING id"  # noqa: S608 - no data in it
    return sorted(pk for (pk,) in read(statement, *(value for row in full for value in row)))


def _ready(
    model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]], same: Mapping[str, Any]
) -> tuple[str, list[Sequence[Any]], list[Any]]:
    """The table with its columns, the values that differ and those that are the same, as the database stores them."""
    here = connections[connection.alias]  # itself, not its proxy: half of the time of a conversion
    by_name = {field.name: field for field in model._meta.concrete_fields}
    fixed = [by_name[name].get_db_prep_save(value, here) for name, value in same.items()]
    ready: list[Sequence[Any]] = list(rows)  # before anything is written: `rows` may itself ask the database
    # Numbers and texts are given to the database as they are; what is stored in another form there is converted.
    converted = [
        (place, by_name[name].get_db_prep_save)
        for place, name in enumerate(columns)
        if not isinstance(by_name[name], _AS_THEY_ARE)
        and not (ready and _is_uuid_digits(by_name[name], ready[0][place]))
    ]
    if converted:
        values = [list(row) for row in ready]
        for place, convert in converted:
            for row in values:
                row[place] = convert(row[place], here)
        ready = list(values)
    quote = connection.ops.quote_name
    names = ", ".join(quote(str(by_name[name].column)) for name in (*columns, *same))
    return f"{quote(model._meta.db_table)} ({names})", ready, fixed


def _is_uuid_digits(field: models.Field[Any, Any], value: object) -> bool:
    """Whether a column is given as `new_uuids` makes it, in which form both databases take it."""
    return isinstance(field, models.UUIDField) and isinstance(value, str) and len(value) == 32


def _marks(row: Sequence[Any]) -> str:
    return "(" + ", ".join(["%s"] * len(row)) + ")"


_AS_THEY_ARE = (models.IntegerField, models.BooleanField, models.CharField, models.TextField, models.ForeignKey)
_LINES = 500  # given to COPY at once
_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"})
_SPECIAL = re.compile(r"[\\\n\r\t]").search
