"""Migrations: one alembic tree a service, run by ``python -m <service> migrate`` and at embedded start."""

from collections.abc import Sequence
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from common.db import Database
from common.telemetry import log


def config_for(folder: Path, connection: Connection | None = None) -> Config:
    """Alembic's configuration without an ini file; ``folder`` holds ``env.py`` and ``versions/``."""
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config


class SchemaNotOurs(Exception):
    """The database has a schema that this version cannot work with."""


async def upgrade(db: Database, folder: Path, *, is_whole: bool = False) -> None:
    """Bring the database to the schema that this version needs; does nothing when it is there.

    A service's processes may start side by side: on PostgreSQL one waits for the other.

    Args:
        is_whole: also the *post* migrations at the end, which no older process bears. An empty database
            gets them anyway.

    Raises:
        SchemaNotOurs: a newer version has taken away what this one needs, or it was never one of ours.
    """
    async with db.engine.connect() as connection:

        def run(sync: Connection) -> None:
            if sync.dialect.name == "postgresql":
                sync.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('dabyl.migrate'))")
            config = config_for(folder, sync)
            revisions = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()][::-1]
            head = MigrationContext.configure(sync).get_current_revision()
            if head is not None and head not in revisions:
                _bear(head, revisions[-1])
            elif (target := target_of(revisions, head, is_whole=is_whole)) is not None:
                command.upgrade(config, target)

        async with connection.begin():
            await connection.run_sync(run)


def target_of(revisions: Sequence[str], head: str | None, *, is_whole: bool) -> str | None:
    """The revision to go to, if any; *post* ones at the end wait until they are asked for.

    One that a later *pre* stands on belongs to a version before: its old processes are gone.

    Args:
        revisions: all of this version, oldest first.
        head: where the database is.
    """
    behind = 0 if head is None else revisions.index(head) + 1
    ahead = list(revisions[behind:])
    while ahead and head is not None and not is_whole and _kind(ahead[-1]) == "post":
        ahead.pop()
    return ahead[-1] if ahead else None


def _bear(head: str, newest: str) -> None:
    """A newer version was here: what it added, every older one bears."""
    if _number(head) <= _number(newest):
        raise SchemaNotOurs(f"{head} is not one of this version's migrations")
    if _kind(head) == "post":
        raise SchemaNotOurs(f"{head} took away what this version needs: run the newer one")
    log.warning("schema_newer", reason=head)


def _number(revision: str) -> str:
    return revision.partition("_")[0]


def _kind(revision: str) -> str:
    return revision.split("_")[1] if "_" in revision else ""


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
