"""The migrations make the very tables that the models describe, forth and back."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from common.db import Database
from common.migrating import config_for, upgrade
from notifier.models import METADATA

FOLDER = Path(__file__).parents[3] / "services/notifier/migrations"


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, METADATA))


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_up_is_what_the_models_say_and_down_is_nothing(db_url: Callable[..., str]) -> None:
    db = Database(db_url())
    try:
        await upgrade(db, FOLDER)
        await upgrade(db, FOLDER)
        async with db.engine.connect() as connection:
            assert await connection.run_sync(differences) == []
        async with db.engine.begin() as connection:
            await connection.run_sync(lambda sync: command.downgrade(config_for(FOLDER, sync), "base"))
            assert await connection.run_sync(tables) == {"alembic_version"}
        await upgrade(db, FOLDER)
        async with db.engine.connect() as connection:
            assert await connection.run_sync(tables) == {*METADATA.tables, "alembic_version"}
    finally:
        await db.close()
