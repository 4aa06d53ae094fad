"""Files on a mount that is away: whoever needs them hangs alone, and does nothing once its time is over."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from common.timing import utc_now
from notifier.adapters import folder
from notifier.adapters.folder import A_FOLDER, Folder, drop
from notifier.adapters.webhook import Webhook
from notifier.domain.channel import Answer, Parcel
from notifier.domain.delivery import Outcome
from tests.conformance.counterparts import KEY, LOOPBACK
from tests.conformance.test_certificates import Strict, pair, strict

__all__ = ["strict"]  # its fixture

SHORT = timedelta(seconds=0.3)
LONG = timedelta(seconds=10)
HANGING = 10
"""More than the event loop's own pool has threads on two cores."""


@dataclass
class Mount:
    """A folder's mount: while it is away, whoever writes there hangs."""

    is_back: threading.Event = field(default_factory=threading.Event)
    ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def drop(self, place: Path, *rest: Any) -> None:
        try:
            if place.name == "away":
                assert self.is_back.wait(30)
            drop(place, *rest)
        finally:
            self.ended.release()


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mount]:
    one = Mount()
    monkeypatch.setattr(folder, "drop", one.drop)
    yield one
    one.is_back.set()


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Folder]:
    root = tmp_path / "drop"
    root.mkdir()
    channel = Folder(root)
    yield channel
    await channel.close()


def to(channel: Folder, name: str, timeout: timedelta) -> Any:
    return channel.send(Parcel(uuid4(), f"folder:{name}", b"{}", (), timeout, "file"), now=utc_now())


async def test_a_mount_that_is_away_holds_up_neither_another_folder_nor_a_certificate(
    mount: Mount, files: Folder, strict: Strict, tmp_path: Path
) -> None:
    hanging = [asyncio.create_task(to(files, "away", LONG)) for _ in range(HANGING)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert (await to(files, "police-kz-75", LONG)).outcome is Outcome.ACCEPTED
        assert (await strict.send(pair(tmp_path))).outcome is Outcome.ACCEPTED
    assert not any(task.done() for task in hanging)
    mount.is_back.set()
    assert {answer.outcome for answer in await asyncio.gather(*hanging)} == {Outcome.ACCEPTED}


async def test_nothing_is_written_once_the_time_is_over(mount: Mount, files: Folder, tmp_path: Path) -> None:
    answers: list[Answer] = await asyncio.gather(*(to(files, "away", SHORT) for _ in range(HANGING)))
    outcomes = [answer.outcome for answer in answers]
    # As many as may began; the others waited for a thread, so that surely nothing of them was written.
    assert outcomes.count(Outcome.NO_ANSWER) == A_FOLDER
    assert outcomes.count(Outcome.UNREACHABLE) == HANGING - A_FOLDER
    async with asyncio.timeout(1):  # all its threads are stuck: said at once
        assert (await to(files, "away", LONG)).outcome is Outcome.UNREACHABLE
    mount.is_back.set()
    for _ in range(A_FOLDER):
        assert await asyncio.to_thread(mount.ended.acquire, timeout=5)
    assert not (tmp_path / "drop" / "away").exists()
    async with asyncio.timeout(5):  # and its threads are free again
        while (await to(files, "away", LONG)).outcome is not Outcome.ACCEPTED:
            await asyncio.sleep(0)
    assert len(list((tmp_path / "drop" / "away").iterdir())) == 1


def test_two_attempts_at_one_notice_never_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first still writes when the next begins; each puts its own bytes there, whole."""
    goes_on = {name: threading.Event() for name in ("first", "next")}
    writing = {name: threading.Event() for name in goes_on}
    sync = os.fsync

    def slow(descriptor: int) -> None:
        name = threading.current_thread().name
        if name in goes_on:
            writing[name].set()
            assert goes_on[name].wait(30)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    place = tmp_path / "police-kz-75"
    threads = {}
    for name in goes_on:
        rest = (place, "notice.json", name.encode(), threading.Event())
        threads[name] = threading.Thread(target=drop, args=rest, name=name)
        threads[name].start()
        assert writing[name].wait(30)
    for name, thread in threads.items():
        goes_on[name].set()
        thread.join(30)
        assert (place / "notice.json").read_bytes() == name.encode()
    assert [file.name for file in place.iterdir()] == ["notice.json"]


def test_what_was_left_aside_long_ago_goes(tmp_path: Path) -> None:
    place = tmp_path / "police-kz-75"
    place.mkdir()
    old, young = place / ".other.json.1.part", place / ".other.json.2.part"
    for left in (old, young):
        left.write_bytes(b"half")
    os.utime(old, (1, 1))
    drop(place, "notice.json", b"{}", threading.Event())
    assert sorted(file.name for file in place.iterdir()) == [young.name, "notice.json"]


async def test_a_certificate_that_cannot_be_read_ends_its_attempt_and_no_other(
    strict: Strict, tmp_path: Path
) -> None:
    chain = tmp_path / "ours.pem"
    kept = chain.read_bytes()
    chain.unlink()
    os.mkfifo(chain)  # whoever reads it waits for somebody to write
    channel = Webhook(allowed=LOOPBACK, certificate=pair(tmp_path), trust=strict.trust)
    url = f"https+mtls://127.0.0.1:{strict.port}/door"

    async def certified(within: timedelta) -> Answer:
        return await channel.send(Parcel(uuid4(), url, b"{}", (KEY,), within), now=utc_now())

    async with asyncio.timeout(8):
        answers = await asyncio.gather(*(certified(SHORT) for _ in range(HANGING)))
        assert {answer.outcome for answer in answers} == {Outcome.NO_CERTIFICATE}
        assert (await strict.send_by(channel, "https")).outcome is Outcome.ACCEPTED
        assert strict.shown == ["nobody"]
        with chain.open("wb") as stream:
            stream.write(kept)
        chain.unlink()
        chain.write_bytes(kept)
        while (await certified(LONG)).outcome is not Outcome.ACCEPTED:
            await asyncio.sleep(0)
    await channel.close()
    # Those whose time was over were not sent when it could be read again.
    assert strict.shown == ["nobody", "ours"]
