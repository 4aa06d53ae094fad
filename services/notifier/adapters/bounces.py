"""Bounces from the folder that the return path is delivered to: a Maildir, as every mail system can fill.

No door of ours is open for them. Only mail to a return path that we made counts; the rest is put aside.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from email import message_from_binary_file
from email.message import Message
from email.utils import getaddresses
from pathlib import Path
from uuid import UUID

from notifier.adapters.smtp import delivery_of
from notifier.domain.bounce import Returned, read_bounce

LARGEST = 256 * 1024
AT_ONCE = 100
_TO = ("Delivered-To", "X-Original-To", "Envelope-To", "To")


class Maildir:
    """The Maildir; calls block, so they belong in a thread."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._key = key

    def list_returned(self) -> Sequence[Returned]:
        """The oldest that nobody has dealt with.

        Raises:
            OSError: no such folder.
        """
        names = sorted(entry.name for entry in os.scandir(self._folder / "new") if entry.is_file())
        return [self._read(name) for name in names[:AT_ONCE]]

    def put_aside(self, returned: Returned) -> None:
        """Dealt with; kept as read, for whoever looks after the mailbox."""
        with contextlib.suppress(FileNotFoundError):
            (self._folder / "cur").mkdir(mode=0o700, exist_ok=True)
            file = self._folder / "new" / returned.name
            file.rename(self._folder / "cur" / f"{returned.name}:2,S")

    def _read(self, name: str) -> Returned:
        file = self._folder / "new" / name
        try:
            if file.stat().st_size > LARGEST:
                return Returned(name)
            with file.open("rb") as stream:
                mail = message_from_binary_file(stream)
            delivery_id = next(self._deliveries(mail), None)
            return Returned(name, delivery_id, read_bounce(mail) if delivery_id else None)
        except Exception:  # noqa: BLE001  # anybody can write to this mailbox; what cannot be read is put aside
            return Returned(name)

    def _deliveries(self, mail: Message) -> Iterator[UUID]:
        given = [str(value) for name in _TO for value in mail.get_all(name, [])]
        for _, address in getaddresses(given):
            delivery_id = delivery_of(address, self._key)
            if delivery_id is not None:
                yield delivery_id
