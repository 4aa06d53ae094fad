"""Bring an empty database of a service to the newest schema, the way the service itself does."""

from pathlib import Path

from common.db import Database
from common.migrating import upgrade
from tests.parts.postgres import outside_any_loop

SERVICES = Path(__file__).parents[2] / "services"


def migrate(service: str, url: str) -> None:
    """Run the migrations of ``service``; its seed data are not loaded."""
    outside_any_loop(_migrate(service, url))


async def _migrate(service: str, url: str) -> None:
    database = Database(url)
    try:
        await upgrade(database, SERVICES / service / "migrations")
        if database.is_sqlite:
            # The template is copied as one file: nothing may wait in the write-ahead log beside it.
            async with database.engine.connect() as connection:
                await connection.exec_driver_sql("COMMIT")
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        await database.close()
