"""Which of the due rows a pass takes: all, those that it is given, or all but those that it set aside."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement


@dataclass(frozen=True, slots=True)
class Among:
    """A choice of due rows.

    Attributes:
        only: none but these; ``None``: all.
        but: none of these.
    """

    only: Collection[UUID] | None = None
    but: Collection[UUID] = ()

    def of(self, column: Any) -> list[ColumnElement[bool]]:
        """The choice as conditions on the column that holds the ids."""
        conditions: list[ColumnElement[bool]] = []
        if self.only is not None:
            conditions.append(column.in_(list(self.only)))
        if self.but:
            conditions.append(column.not_in(list(self.but)))
        return conditions


ALL = Among()
