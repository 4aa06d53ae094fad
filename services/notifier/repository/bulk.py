"""Many rows in one statement, the same way on both dialects."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CTE, Column, ColumnElement, Table, column, insert, literal, values

from common.db import Session

CHUNK = 200
"""Rows a statement: below SQLite's limit of bound values for every table here."""


async def insert_rows(session: Session, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert all rows; every row must name the same columns."""
    if rows:
        # A list of parameters: one cached statement, sent row after row without waiting.
        await session.execute(insert(table), list(rows))


def table_of(name: str, columns: Sequence[Column[Any]], rows: Sequence[Sequence[Any]]) -> CTE:
    """The rows as a common table expression; a bare VALUES cannot name its columns on SQLite.

    A missing value is bound with its column's type: a bare NULL would make PostgreSQL read the column
    as text.
    """
    typed: list[ColumnElement[Any]] = [column(each.name, each.type) for each in columns]
    data = [
        tuple(
            literal(None, each.type) if value is None else value
            for value, each in zip(row, columns, strict=True)
        )
        for row in rows
    ]
    return values(*typed, name=name).data(data).cte(name)
