"""Notices as files in a folder: for bodies without a system. What carries them further is not ours.

SFTP is not spoken here: its Python clients are not under permissive licences. A folder can be served or
mounted over SFTP by the operating system.
"""

import asyncio
import contextlib
import os
import re
import secrets
import threading
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

from common.waiting import on_a_thread
from notifier.domain.channel import Answer, Outfit, Parcel
from notifier.domain.delivery import Outcome

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,78}[a-z0-9])?", re.ASCII)
AT_ONCE = 256
"""Threads that may write; a mount that is away holds its threads, and nothing can end that."""
A_FOLDER = 4
"""Threads that may write to one folder."""
STALE_SECONDS = 3600
"""So old, what was left aside belongs to no attempt."""
LOOKED_AT = 1000
"""Entries of a folder that are looked through for what was left aside."""


@dataclass(slots=True)
class Place:
    """One folder's threads.

    Attributes:
        stuck: threads whose attempt has ended without them.
    """

    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(A_FOLDER))
    stuck: int = 0


class Folder:
    """The channel ``file``.

    Args:
        root: folder of this installation; each endpoint has one below it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._places: dict[str, Place] = {}
        self._free = asyncio.Semaphore(AT_ONCE)
        self._writing: set[asyncio.Task[None]] = set()

    async def send(self, parcel: Parcel, *, now: datetime) -> Answer:  # noqa: ARG002  # the port's signature
        """Put the notice there, whole and on disk, or not at all."""
        kind, _, name = parcel.url.partition(":")
        if kind != "folder" or not NAME.fullmatch(name):
            return Answer(Outcome.UNSENDABLE)
        place = self._places.setdefault(name, Place())
        if place.stuck >= A_FOLDER:
            return Answer(Outcome.UNREACHABLE)  # none of its threads has come back: nobody can write there
        given_up = threading.Event()
        writing: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(parcel.timeout.total_seconds()):
                await place.free.acquire()
                try:
                    await self._free.acquire()
                except BaseException:
                    place.free.release()
                    raise
                writing = self._write(place, name, parcel, given_up)
                await asyncio.shield(writing)
        except TimeoutError:
            return Answer(Outcome.UNREACHABLE if writing is None else Outcome.NO_ANSWER)
        except OSError:
            return Answer(Outcome.FAILED)
        finally:
            if writing is not None and not writing.done():
                given_up.set()
                place.stuck += 1
                writing.add_done_callback(lambda _: self._came_back(place))
        return Answer(Outcome.ACCEPTED)

    async def close(self) -> None:
        """Nothing is kept open; what hangs is left to its thread."""

    def _write(
        self, place: Place, name: str, parcel: Parcel, given_up: threading.Event
    ) -> asyncio.Task[None]:
        """Begin it. Its places are taken until its thread has come back, however its attempt ends."""

        def end(task: asyncio.Task[None]) -> None:
            self._writing.discard(task)
            self._free.release()
            place.free.release()
            if not task.cancelled():
                task.exception()  # after the attempt has ended nobody asks

        writing = asyncio.create_task(
            on_a_thread(drop, self._root / name, f"{parcel.delivery_id}.json", parcel.body, given_up)
        )
        self._writing.add(writing)
        writing.add_done_callback(end)
        return writing

    def _came_back(self, place: Place) -> None:
        place.stuck -= 1


def make(outfit: Outfit) -> Folder | None:
    """The plug-in ``file``; without a folder there is none."""
    root = outfit.settings.get("drop_folder")
    return Folder(Path(root)) if root else None


def drop(folder: Path, name: str, body: bytes, given_up: threading.Event) -> None:
    """Write aside, to disk, then rename: a reader sees the whole file or none, also after a crash.

    Args:
        given_up: the attempt has ended; what is not there yet must not come any more.

    Raises:
        OSError: no such place, no room, or something else stands where the folder should be.
    """
    _unless(given_up)
    folder.mkdir(mode=0o700, exist_ok=True)
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        # A name of its own: an attempt that was given up may still be writing.
        aside = f".{name}.{secrets.token_hex(8)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(aside, flags, 0o600, dir_fd=place)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(body)
                stream.flush()
                os.fsync(stream.fileno())
                written_at = os.fstat(stream.fileno()).st_mtime
            _unless(given_up)
            os.rename(aside, name, src_dir_fd=place, dst_dir_fd=place)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(aside, dir_fd=place)
            raise
        os.fsync(place)
        with contextlib.suppress(OSError):
            _tidy(place, name, until=written_at)
    finally:
        os.close(place)


def _unless(given_up: threading.Event) -> None:
    if given_up.is_set():
        raise TimeoutError


def _tidy(place: int, name: str, *, until: float) -> None:
    """Take away what dead attempts left aside: of this notice whatever is older, of others what is old."""
    with os.scandir(place) as entries:
        for entry in islice(entries, LOOKED_AT):
            if not (entry.name.startswith(".") and entry.name.endswith(".part")):
                continue
            age = until - entry.stat(follow_symlinks=False).st_mtime
            if age >= (0 if entry.name.startswith(f".{name}.") else STALE_SECONDS):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(entry.name, dir_fd=place)
