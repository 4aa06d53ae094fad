"""Notices as files in a folder: for bodies without a system. What carries them further is not ours.

SFTP is not spoken here: its Python clients are not under permissive licences. A folder can be served or
mounted over SFTP by the operating system.
"""

import asyncio
import contextlib
import os
import re
from datetime import datetime
from pathlib import Path

from notifier.domain.channel import Answer, Outfit, Parcel
from notifier.domain.delivery import Outcome

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,78}[a-z0-9])?", re.ASCII)


class Folder:
    """The channel ``file``.

    Args:
        root: folder of this installation; each endpoint has one below it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def send(self, parcel: Parcel, *, now: datetime) -> Answer:  # noqa: ARG002  # the port's signature
        """Put the notice there, whole and on disk, or not at all."""
        kind, _, name = parcel.url.partition(":")
        if kind != "folder" or not NAME.fullmatch(name):
            return Answer(Outcome.UNSENDABLE)
        try:
            async with asyncio.timeout(parcel.timeout.total_seconds()):
                await asyncio.to_thread(drop, self._root / name, f"{parcel.delivery_id}.json", parcel.body)
        except TimeoutError:
            return Answer(Outcome.NO_ANSWER)
        except OSError:
            return Answer(Outcome.FAILED)
        return Answer(Outcome.ACCEPTED)

    async def close(self) -> None:
        """Nothing is kept open."""


def make(outfit: Outfit) -> Folder | None:
    """The plug-in ``file``; without a folder there is none."""
    root = outfit.settings.get("drop_folder")
    return Folder(Path(root)) if root else None


def drop(folder: Path, name: str, body: bytes) -> None:
    """Write aside, to disk, then rename: a reader sees the whole file or none, also after a crash.

    Raises:
        OSError: no such place, no room, or something else stands where the folder should be.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        aside = f".{name}.part"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside, dir_fd=place)  # of an attempt that died
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(aside, flags, 0o600, dir_fd=place)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(body)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(aside, name, src_dir_fd=place, dst_dir_fd=place)
        os.fsync(place)
    finally:
        os.close(place)
