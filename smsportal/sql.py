"""The one statement the ORM lacks: many rows changed to different values at once, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, models


def update_each(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]], where: str = ""
) -> int:
    """Set `columns` of many rows; each of `rows` is the primary key, then a value per column. Returns rows changed.

    `where` is a further SQL condition on the table (fixed text of ours, never data). Django's `bulk_update` takes
    some fifty milliseconds for a hundred rows, this one well under one.
    """
    if not rows:
        return 0
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    by_name = {field.name: field for field in model._meta.concrete_fields}
    fields = [by_name[name] for name in columns]
    casts = [f"::{field.db_type(connection)}" if connection.vendor == "postgresql" else "" for field in fields]
    sets = ", ".join(
        f"{quote(str(field.column))} = new.c{n}{cast}"
        for n, (field, cast) in enumerate(zip(fields, casts, strict=True))
    )
    names = ", ".join(["k", *(f"c{n}" for n in range(len(fields)))])
    row = "(" + ", ".join(["%s"] * (len(fields) + 1)) + ")"
    key = quote(str(by_name["id"].column))
    prepared = [
        value
        for each in rows
        for value in (
            each[0],
            *(field.get_db_prep_save(given, connection) for field, given in zip(fields, each[1:], strict=True)),
        )
    ]
    statement = (
        f"WITH new ({names}) AS (VALUES {', '.join([row] * len(rows))}) "  # noqa: S608 - no data in it
        f"UPDATE {table} SET {sets} FROM new WHERE {table}.{key} = new.k{f' AND {where}' if where else ''}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, prepared)
        return int(cursor.rowcount)
