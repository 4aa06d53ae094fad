"""What happens to PostgreSQL: restarts, failovers, full disks, no connections, somebody's long work."""

import asyncio
import time
from collections.abc import Sequence

import asyncpg

from tests.faults.scene import Scene
from tests.parts.postgres import outside_any_loop
from tests.parts.process import standing_still

DATABASES = ("intake", "notifier")
WRITTEN = {"intake": ("alerts", "outbox"), "notifier": ("deliveries", "outbox", "obligations")}
"""Tables without which nothing goes on."""


def restarted(scene: Scene) -> None:
    for _ in range(3 if scene.is_full else 1):
        scene.house.postgres.stop()
        scene.house.postgres.start()
        scene.pause(1, 3)


def stands_still(scene: Scene) -> None:
    running = scene.house.postgres.running
    assert running
    with standing_still(running.pid):  # new connections hang; standing ones go on
        scene.pause(3, 20)


def backends_ended(scene: Scene) -> None:
    for _ in range(10 if scene.is_full else 3):
        _execute(
            scene, "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'",
        )  # fmt: skip
        time.sleep(0.5)


def connections_exhausted(scene: Scene) -> None:
    """Somebody takes every connection that is left, and those that come free."""

    async def hold() -> None:
        held: list[asyncpg.Connection] = []
        url = scene.house.postgres.url_for().replace("+asyncpg", "")
        until = time.monotonic() + scene.seconds(5, 30)
        killed = False
        while time.monotonic() < until:
            try:
                held.append(await asyncpg.connect(url, timeout=5))
            except (asyncpg.PostgresError, OSError):
                if not killed and held:
                    killed = True
                    await held[0].execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname IN ('intake', 'notifier') AND backend_type = 'client backend'"
                    )
                await asyncio.sleep(0.02)
        scene.notes.append(f"{len(held)} connections taken")
        for one in held:
            await one.close()

    outside_any_loop(hold())


def tables_locked(scene: Scene) -> None:
    """A long transaction keeps the tables that everything is written to."""

    async def hold() -> None:
        held = []
        for database, tables in WRITTEN.items():
            connection = await asyncpg.connect(scene.house.postgres.url_for(database).replace("+asyncpg", ""))
            held.append(connection)
            await connection.execute("BEGIN")
            await connection.execute(f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE")
        await asyncio.sleep(scene.seconds(6, 60))
        for connection in held:
            await connection.execute("ROLLBACK")
            await connection.close()

    outside_any_loop(hold())


def old_snapshot_held(scene: Scene) -> None:
    """A REPEATABLE READ transaction that stays open: nothing dead can be cleared away behind it."""

    async def hold() -> None:
        connection = await asyncpg.connect(scene.house.postgres.url_for("notifier").replace("+asyncpg", ""))
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await connection.fetchval("SELECT count(*) FROM deliveries")
        await asyncio.sleep(scene.seconds(5, 120))
        await connection.close()

    outside_any_loop(hold())


def statements_time_out(scene: Scene) -> None:
    _with_roles(scene, "SET statement_timeout = '3ms'", "RESET statement_timeout", 6, 30)


def read_only(scene: Scene) -> None:
    """As after a failover, while the old primary's replica does not know yet that it is the primary."""
    _with_roles(scene, "SET default_transaction_read_only = on", "RESET default_transaction_read_only", 6, 30)


def disk_full(scene: Scene) -> None:
    """Every insert fails as it does on a full disk (SQLSTATE 53100); the disk itself stays as it is."""
    for database, tables in WRITTEN.items():
        _execute(
            scene, database,
            "CREATE OR REPLACE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$"
            " BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$",
        )  # fmt: skip
        for table in tables:
            _execute(
                scene, database,
                f"CREATE TRIGGER no_space BEFORE INSERT ON {table} EXECUTE FUNCTION no_space()",
            )  # fmt: skip
    try:
        scene.pause(6, 30)
    finally:
        for database, tables in WRITTEN.items():
            for table in tables:
                _execute(scene, database, f"DROP TRIGGER no_space ON {table}")


def _with_roles(scene: Scene, begin: str, end: str, short: float, full: float) -> None:
    for role in DATABASES:
        _execute(scene, "postgres", f"ALTER ROLE {role} {begin}")
    _cut(scene, DATABASES)
    try:
        scene.pause(short, full)
    finally:
        for role in DATABASES:
            _execute(scene, "postgres", f"ALTER ROLE {role} {end}")
        _cut(scene, DATABASES)


def _cut(scene: Scene, databases: Sequence[str]) -> None:
    names = ", ".join(f"'{one}'" for one in databases)
    _execute(
        scene, "postgres",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ({names})"  # noqa: S608 - our names
        " AND backend_type = 'client backend'",
    )  # fmt: skip


def _execute(scene: Scene, database: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(
            scene.house.postgres.url_for(database).replace("+asyncpg", ""), timeout=20
        )
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    outside_any_loop(run())
