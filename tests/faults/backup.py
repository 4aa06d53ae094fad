"""A service's database is put back to an older state, as after a disaster."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from tests.faults.scene import Scene
from tests.parts.postgres import outside_any_loop

SETTLED_SECONDS = 125
"""An event must be two minutes old before its readers are asked about it."""


def restored(scene: Scene) -> None:
    """Back up, let alerts come, restore, restart: the publishers ask what is missing and send it again."""
    with _nobody_connects(scene):
        _execute(scene, "CREATE DATABASE notifier_old TEMPLATE notifier OWNER notifier")
    scene.pause(10, 20)
    with _nobody_connects(scene):
        _execute(scene, "ALTER DATABASE notifier RENAME TO notifier_lost")
        _execute(scene, "ALTER DATABASE notifier_old RENAME TO notifier")
    time.sleep(SETTLED_SECONDS)
    # What an operator does after a restore. Each publisher's first look goes a day back.
    for one in (*scene.house.lasting, scene.twin):
        if one.name != "gateway":
            one.kill()
            time.sleep(0.5)


@contextmanager
def _nobody_connects(scene: Scene) -> Iterator[None]:
    _execute(scene, "ALTER ROLE notifier CONNECTION LIMIT 0")
    try:
        _execute(
            scene,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = 'notifier' AND backend_type = 'client backend'",
        )
        time.sleep(1)
        yield
    finally:
        _execute(scene, "ALTER ROLE notifier CONNECTION LIMIT -1")


def _execute(scene: Scene, statement: str) -> None:
    async def run() -> None:
        url = scene.house.postgres.url_for().replace("+asyncpg", "")
        connection = await asyncpg.connect(url, timeout=20)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    outside_any_loop(run())
