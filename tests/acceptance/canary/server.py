"""What a PostgreSQL server has on disk of some of its databases, and of its log since a moment."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from tests.acceptance.canary.scanner import Surface
from tests.parts import postgres
from tests.parts.sharing import Part

_CHUNK = 64 * 1024 * 1024


class Server:
    """Reads through SQL as a superuser, so that it does not matter where the server runs."""

    def __init__(self, part: Part) -> None:
        self._url = part.url.replace("+asyncpg", "")
        self._part = part
        self._since = str(self.ask("SELECT pg_walfile_name(pg_current_wal_lsn())"))
        self._log_from = {file: file.stat().st_size for file in self._logs()}

    def ask(self, statement: str, *values: object, database: str | None = None) -> Any:
        """The first value of the answer."""
        return postgres.outside_any_loop(self._run(statement, values, database))

    async def _run(self, statement: str, values: Sequence[object], database: str | None) -> Any:
        url = postgres.with_database(self._url, database) if database else self._url
        connection = await asyncpg.connect(url, timeout=20)
        try:
            return await connection.fetchval(statement, *values)
        finally:
            await connection.close()

    def files(self, databases: Sequence[str]) -> Iterator[Surface]:
        """Tables and indexes of these databases, and every log segment written since we look."""
        self.ask("CHECKPOINT")
        for database in databases:
            oid = self.ask("SELECT oid FROM pg_database WHERE datname = $1", database)
            yield from self._folder(f"base/{oid}")
        yield from self._folder("pg_wal", first=self._since)

    def _folder(self, folder: str, *, first: str = "") -> Iterator[Surface]:
        return iter(asyncio.run(self._read(folder, first)))

    async def _read(self, folder: str, first: str) -> list[Surface]:
        connection = await asyncpg.connect(self._url, timeout=20)
        try:
            rows = await connection.fetch(
                "SELECT name, (pg_stat_file($1 || '/' || name, true)).size AS size,"
                " (pg_stat_file($1 || '/' || name, true)).isdir AS isdir FROM pg_ls_dir($1) AS name",
                folder,
            )
            found = []
            for row in rows:
                if row["isdir"] is not False or row["name"] < first or not row["size"]:
                    continue
                path = f"{folder}/{row['name']}"
                data = await connection.fetchval("SELECT pg_read_binary_file($1, 0, $2, true)", path, _CHUNK)
                if data:
                    found.append(Surface(path, bytes(data)))
            return found
        finally:
            await connection.close()

    def logs(self) -> Iterator[Surface]:
        """What the server logged since we look; ``pg_stat_activity`` beside it."""
        for file, start in self._log_from.items():
            yield Surface(str(file), file.read_bytes()[start:])
        running = self.ask("SELECT string_agg(query, E'\\n') FROM pg_stat_activity")
        yield Surface("pg_stat_activity", str(running).encode())
        if self._part.container:
            import docker  # noqa: PLC0415  # a second, needed rarely

            client = docker.from_env()
            try:
                yield Surface("server log", client.containers.get(self._part.container).logs())
            finally:
                client.close()

    def _logs(self) -> list[Path]:
        """The log of a server that the tests started themselves."""
        if self._part.source != "packages":
            return []
        data = Path(str(self.ask("SHOW data_directory")))
        found = list(data.parent.glob("*.log"))
        assert found, f"no log beside {data}"
        return found
