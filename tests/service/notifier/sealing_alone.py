"""A worker of its own process that only seals: ``python -m tests.service.notifier.sealing_alone URL KEYS``.

It says a line, beside its log, when it has sealed for the first time, and goes on until it is killed or
whoever started it is gone.
"""

import asyncio
import os
import sys
from pathlib import Path

from common.db import Database
from common.keys import KeyRing
from common.telemetry import configure_logging
from common.timing import utc_now
from notifier.jobs import Sealing
from notifier.service.sealing import signing_with


async def _main(url: str, keys: Path) -> None:
    configure_logging()
    sealing = Sealing(Database(url), signing_with(KeyRing(keys)), utc_now, None)
    is_new, parent = True, os.getppid()
    while os.getppid() == parent:
        await sealing.run()
        if is_new:
            sys.stdout.write("sealing\n")
            sys.stdout.flush()
            is_new = False


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2])))
