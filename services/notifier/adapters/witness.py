"""A witness that is a file: heads, one a line, on a disk that the database's owner cannot write to."""

import json
import os
from pathlib import Path

from notifier.domain.sealed import Head

TAIL = 65_536


class WitnessFile:
    """Heads of seals in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def append(self, head: Head) -> None:
        """Add a line; it is on the disk when this returns.

        Raises:
            OSError: it could not be.
        """
        line = json.dumps(head.values()) + "\n"
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            # In one piece: several workers may share the file.
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def newest(self) -> list[str]:
        """The last lines; none where there is no file yet.

        Raises:
            OSError: it could not be read.
        """
        try:
            with self._file.open("rb") as stream:
                stream.seek(0, os.SEEK_END)
                stream.seek(max(0, stream.tell() - TAIL))
                return stream.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            return []
