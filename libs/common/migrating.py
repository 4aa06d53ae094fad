"""Migrations: one alembic tree a service, run by ``python -m <service> migrate`` and at embedded start."""

from pathlib import Path

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData

from common.db import Database


def config_for(folder: Path, connection: Connection | None = None) -> Config:
    """Alembic's configuration without an ini file; ``folder`` holds ``env.py`` and ``versions/``."""
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config


async def upgrade(db: Database, folder: Path) -> None:
    """Bring the database to the newest schema; does nothing when it is there.

    A service's processes may start side by side: on PostgreSQL one waits for the other.
    """
    async with db.engine.connect() as connection:

        def run(sync: Connection) -> None:
            if sync.dialect.name == "postgresql":
                sync.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('dabyl.migrate'))")
            command.upgrade(config_for(folder, sync), "head")

        async with connection.begin():
            await connection.run_sync(run)


def run_env(metadata: MetaData) -> None:
    """The whole of every ``env.py``: run inside the connection that ``upgrade`` (or a test) holds."""
    connection: Connection | None = context.config.attributes.get("connection")
    if connection is None:
        raise RuntimeError("migrations run through `python -m <service> migrate`")
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        compare_type=True,
        transaction_per_migration=False,
    )
    context.run_migrations()
