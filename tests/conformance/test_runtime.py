"""Roles of a process: it says when it is ready, drains on SIGTERM, and exits."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from common.keys import KeyRing
from common.parts import Job, Service
from common.runtime import EndedTooSoon, run_worker
from common.testing import parts_for_test

LIBS = str(Path(__file__).parents[2] / "libs")
TINY = """
import asyncio
from pathlib import Path
from common.http import create_app
from common.parts import Job, Parts, Service
from common.runtime import main
from common.settings import ServiceSettings
from datetime import timedelta
from fastapi import APIRouter
from pydantic_settings import SettingsConfigDict

class TinySettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="TINY_", frozen=True, extra="ignore")

router = APIRouter()

@router.get("/slow")
async def slow() -> str:
    await asyncio.sleep(1)
    return "finished"

def build(settings: TinySettings, parts: Parts) -> Service:
    async def tick() -> None:
        print('{"event": "tick"}', flush=True)
        await asyncio.sleep(0.5)
        print('{"event": "tock"}', flush=True)
    async def closed() -> None:
        print('{"event": "closed"}', flush=True)
    app = create_app(parts, title="tiny", routers=[router])
    return Service("intake", app, jobs=[Job("tick", timedelta(seconds=60), tick)], close=[closed])

if __name__ == "__main__":
    main("intake", TinySettings, build, Path(__file__).parent / "migrations")
"""
ENV = """
from common.migrating import run_env
from common import outbox
from sqlalchemy import MetaData
metadata = MetaData()
outbox.add_tables(metadata)
run_env(metadata)
"""
VERSION = """
from alembic import op
from sqlalchemy import MetaData
from common import outbox
revision = "0001_pre_initial"
down_revision = None
def upgrade():
    metadata = MetaData()
    outbox.add_tables(metadata)
    metadata.create_all(op.get_bind())
"""


class Tiny:
    """A service in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "migrations" / "versions").mkdir(parents=True)
        (folder / "tiny.py").write_text(TINY)
        (folder / "migrations" / "env.py").write_text(ENV)
        (folder / "migrations" / "versions" / "0001_pre_initial.py").write_text(VERSION)
        KeyRing.create(folder / "keys")
        self.process: asyncio.subprocess.Process | None = None
        self.lines: list[dict[str, Any]] = []

    async def start(self, role: str) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, str(self.folder / "tiny.py"), role,
            stdout=asyncio.subprocess.PIPE,
            env={
                "PYTHONPATH": LIBS, "TINY_PORT": "0", "TINY_KEYS_DIR": str(self.folder / "keys"),
                "TINY_DATABASE_URL": f"sqlite+aiosqlite:///{self.folder}/tiny.db", "PATH": os.environ["PATH"],
            },
        )  # fmt: skip

    async def until(self, event: str) -> dict[str, Any]:
        assert self.process
        assert self.process.stdout
        async with asyncio.timeout(20):
            while line := await self.process.stdout.readline():
                self.lines.append(json.loads(line))
                if self.lines[-1]["event"] == event:
                    return self.lines[-1]
        raise AssertionError(f"{event} was never said: {self.lines}")

    async def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process
        self.process.send_signal(number)
        async with asyncio.timeout(15):
            rest, _ = await self.process.communicate()
        self.lines += [json.loads(line) for line in rest.splitlines()]
        return await self.process.wait()

    def said(self) -> list[str]:
        return [line["event"] for line in self.lines]


@pytest.fixture
async def tiny(tmp_path: Path) -> AsyncIterator[Tiny]:
    """Migrated by its own command."""
    made = Tiny(tmp_path)
    await made.start("migrate")
    await made.until("stopped")
    assert made.process
    assert await made.process.wait() == 0
    made.lines.clear()
    yield made
    with suppress(ProcessLookupError):
        made.process.kill()


async def test_an_api_finishes_what_is_in_hand_and_takes_no_more(tiny: Tiny) -> None:
    await tiny.start("api")
    port = (await tiny.until("started"))["port"]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        async with asyncio.timeout(10):
            while True:
                with suppress(httpx.ConnectError):
                    if (await client.get("/readyz")).status_code == 200:
                        break
                await asyncio.sleep(0.02)
        slow = asyncio.create_task(client.get("/slow"))
        await asyncio.sleep(0.3)
        ending = asyncio.create_task(tiny.end())
        answer = await slow
        assert (answer.status_code, answer.json()) == (200, "finished")
        assert await ending == 0
        with pytest.raises(httpx.ConnectError):
            await client.get("/livez")
    assert tiny.said()[-2:] == ["closed", "stopped"]


async def test_a_worker_finishes_its_job_and_answers_for_its_health(tiny: Tiny) -> None:
    await tiny.start("worker")
    port = (await tiny.until("started"))["port"]
    await tiny.until("tick")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert (await client.get("/livez")).status_code == 200
    assert await tiny.end(signal.SIGINT) == 0
    assert [one for one in tiny.said() if one in ("tock", "closed", "stopped")] == [
        "tock",
        "closed",
        "stopped",
    ]


async def test_another_role_is_explained(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Tiny(tmp_path).folder / "tiny.py"), "serve", stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": LIBS},
    )  # fmt: skip
    _, error = await process.communicate()
    assert process.returncode == 1
    assert b"api|worker|migrate" in error


@pytest.mark.parametrize("failure", [RuntimeError, asyncio.CancelledError])
async def test_a_job_that_fails_is_run_again_and_stops_nobody(
    tmp_path: Path, keys: KeyRing, failure: type[BaseException]
) -> None:
    """Cancelled because a connection went, and not because somebody asked it to end, it failed."""
    parts = parts_for_test("intake", f"sqlite+aiosqlite:///{tmp_path}/a.db", keys)
    runs, others = 0, 0
    stop = asyncio.Event()

    async def fail() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            stop.set()
        raise failure

    async def background(stopping: asyncio.Event) -> None:
        nonlocal others
        await stopping.wait()
        others += 1

    app = FastAPI()
    app.state.inbox = type("NoInbox", (), {"forget_old": staticmethod(fail)})()
    service = Service(
        "intake", app, jobs=[Job("fail", timedelta(milliseconds=10), fail)], background=[background]
    )
    async with asyncio.timeout(10):
        await run_worker(service, parts, stop)
    assert runs >= 3
    assert others == 1
    await parts.close()


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_part_that_ends_though_nobody_asked_it_to_is_a_failure_of_the_process(
    tmp_path: Path, keys: KeyRing, is_cancelled: bool
) -> None:
    """With exit code 0 it would look as if somebody had stopped it."""
    parts = parts_for_test("intake", f"sqlite+aiosqlite:///{tmp_path}/a.db", keys)

    async def ends(_stop: asyncio.Event) -> None:
        if is_cancelled:
            raise asyncio.CancelledError

    async def nothing() -> None:
        pass

    app = FastAPI()
    app.state.inbox = type("NoInbox", (), {"forget_old": staticmethod(nothing)})()
    service = Service("intake", app, background=[ends])
    async with asyncio.timeout(10):
        with pytest.raises(EndedTooSoon):
            await run_worker(service, parts, asyncio.Event())
    await parts.close()
