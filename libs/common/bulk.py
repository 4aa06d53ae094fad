"""Many rows in one statement that stays the same however many there are, on both dialects.

A statement that spells its rows out is compiled anew by us, and parsed and planned anew by PostgreSQL,
for every count of rows (measured: a third of a planning worker's time). Here the rows travel beside the
statement: as arrays on PostgreSQL, as one JSON text on SQLite.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    Executable,
    FromClause,
    Table,
    bindparam,
    column,
    func,
    insert,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session as SyncSession

from common.db import Session, put_off

_SQLITE: Any = sqlite.dialect()

Build = Callable[[str], Executable]
"""Makes a statement for a dialect; cached, so that it is made once."""


class Rows:
    """A table that is handed in with each execution.

    Args:
        name: of the table inside the statement.
        columns: it has the names and types of these.
    """

    def __init__(self, name: str, *columns: Column[Any]) -> None:
        self.name = name
        self.columns = columns
        self._writers: list[Callable[[Any], Any] | None] | None = None

    @cache  # noqa: B019  # made once a module, they live as long as the process
    def table(self, dialect: str) -> FromClause:
        """The table, to be joined and selected from in a statement for this dialect."""
        if dialect == "postgresql":
            arrays = [
                # One dimension: a JSON list in a row is a value, not a further dimension.
                bindparam(f"{self.name}_{place}", type_=ARRAY(each.type, dimensions=1))
                for place, each in enumerate(self.columns)
            ]
            named: Any = [column(each.name, each.type) for each in self.columns]
            return func.unnest(*arrays).table_valued(*named, name=self.name).render_derived()
        each_row = func.json_each(bindparam(f"{self.name}_0")).table_valued("value", name=f"{self.name}_rows")
        picked = [
            type_coerce(func.json_extract(each_row.c.value, f"$[{place}]"), each.type).label(each.name)
            for place, each in enumerate(self.columns)
        ]
        return select(*picked).cte(self.name)

    def bound(self, dialect: str, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """The rows as parameters."""
        if dialect == "postgresql":
            by_column = zip(*rows, strict=True) if rows else [()] * len(self.columns)
            return {f"{self.name}_{place}": list(values) for place, values in enumerate(by_column)}
        if self._writers is None:
            self._writers = [each.type.dialect_impl(_SQLITE).bind_processor(_SQLITE) for each in self.columns]
        writers = self._writers
        plain = [
            [
                value if value is None or write is None else write(value)
                for value, write in zip(row, writers, strict=True)
            ]
            for row in rows
        ]
        return {f"{self.name}_0": json.dumps(plain)}

    async def execute(
        self, session: Session, build: Build, rows: Sequence[Sequence[Any]], **more: Any
    ) -> Any:
        """Execute ``build`` with these rows; ``more`` are its other parameters."""
        dialect = session.get_bind().dialect.name
        return await session.execute(build(dialect), {**self.bound(dialect, rows), **more})


async def insert_rows(session: Session, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert all rows; every row must name the same columns."""
    if not rows:
        return
    if session.get_bind().dialect.name != "postgresql" or len(rows) == 1:
        # SQLite takes row after row within the process: nothing is waited for.
        await session.execute(_insert(table), list(rows))
        return
    names = tuple(rows[0])
    given = _rows_of(table, names)
    values = [[row[name] for name in names] for row in rows]
    await session.execute(_insert_given(table, names), given.bound("postgresql", values))


@cache
def _insert(table: Table) -> Executable:
    return insert(table)


@cache
def _rows_of(table: Table, names: tuple[str, ...], place: int | None = None) -> Rows:
    name = f"new_{table.name}" if place is None else f"new_{place}_{table.name}"
    return Rows(name, *(table.c[name] for name in names))


@cache
def _insert_given(table: Table, names: tuple[str, ...]) -> Executable:
    given = _rows_of(table, names).table("postgresql")
    chosen = select(*(given.c[name] for name in names))
    return insert(table).from_select(list(names), chosen, include_defaults=False)


_WAITING = "insert_later"
Kind = tuple[Table, tuple[str, ...], tuple[str, ...]]
"""A table, the columns that are named, and the index that says which rows are there already."""


def insert_later(
    session: Session, table: Table, rows: Sequence[Mapping[str, Any]], *, new_by: Sequence[str] = ()
) -> None:
    """Insert all rows before this session's next statement or its commit, in one statement with others.

    One round trip on PostgreSQL, however many tables. A row that may not be there raises there and then,
    not here.

    Args:
        rows: every one names the same columns.
        new_by: insert only those whose values of this unique index are not there yet.
    """
    if not rows:
        return
    waiting: dict[Kind, list[Mapping[str, Any]]] = session.info.setdefault(_WAITING, {})
    waiting.setdefault((table, tuple(rows[0]), tuple(new_by)), []).extend(rows)
    put_off(session, _insert_waiting)


def _insert_waiting(session: SyncSession) -> None:
    kinds: dict[Kind, list[Mapping[str, Any]]] = session.info.pop(_WAITING)
    dialect = session.get_bind().dialect.name
    if dialect != "postgresql":
        for (table, _, new_by), rows in kinds.items():
            session.execute(_insert_ignore(table, dialect, new_by) if new_by else _insert(table), rows)
        return
    bound: dict[str, Any] = {}
    for place, ((table, names, _), rows) in enumerate(kinds.items()):
        given = _rows_of(table, names, place)
        bound |= given.bound(dialect, [[row[name] for name in names] for row in rows])
    session.execute(_insert_all(tuple(kinds)), bound)


@cache
def _insert_all(kinds: tuple[Kind, ...]) -> Executable:
    """All inserts as one statement: references between them are checked at its end."""
    parts = []
    for place, (table, names, new_by) in enumerate(kinds):
        given = _rows_of(table, names, place).table("postgresql")
        part = postgresql.insert(table).from_select(
            list(names), select(*(given.c[name] for name in names)), include_defaults=False
        )
        parts.append(part.on_conflict_do_nothing(index_elements=list(new_by)) if new_by else part)
    *before, last = parts
    return last.add_cte(*(part.cte(f"part_{place}") for place, part in enumerate(before)))


async def insert_new(
    session: Session, table: Table, rows: Sequence[Mapping[str, Any]], index_elements: Sequence[str]
) -> list[Any]:
    """Insert the rows whose ``index_elements`` are not there yet; the unique index decides.

    Returns:
        ``index_elements`` of those that were inserted.
    """
    if not rows:
        return []
    dialect = session.get_bind().dialect.name
    names = tuple(rows[0])
    if dialect == "postgresql" and len(rows) > 1:
        given = _rows_of(table, names)
        values = [[row[name] for name in names] for row in rows]
        statement = _insert_new(table, names, tuple(index_elements))
        result = await session.execute(statement, given.bound(dialect, values))
    else:
        # The rows go beside the statement: inside it, it would be compiled anew each time.
        one_by_one = _insert_ignore(table, dialect, tuple(index_elements))
        result = await session.execute(one_by_one, rows[0] if len(rows) == 1 else list(rows))
    return list(result.all())


@cache
def _insert_new(table: Table, names: tuple[str, ...], index_elements: tuple[str, ...]) -> Executable:
    given = _rows_of(table, names).table("postgresql")
    return (
        postgresql.insert(table)
        .from_select(list(names), select(*(given.c[name] for name in names)), include_defaults=False)
        .on_conflict_do_nothing(index_elements=list(index_elements))
        .returning(*(table.c[name] for name in index_elements))
    )


@cache
def _insert_ignore(table: Table, dialect: str, index_elements: tuple[str, ...]) -> Executable:
    made = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    return made.on_conflict_do_nothing(index_elements=list(index_elements)).returning(
        *(table.c[name] for name in index_elements)
    )
