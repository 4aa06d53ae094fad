"""Core tables of the models, for statements over many rows."""

from sqlalchemy import Table
from sqlmodel import SQLModel


def table_of(model: type[SQLModel]) -> Table:
    """The table of a model."""
    table: Table = getattr(model, "__table__")  # noqa: B009  # SQLModel does not declare it
    return table
