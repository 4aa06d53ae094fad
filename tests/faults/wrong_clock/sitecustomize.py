"""Loaded by Python before anything else when this folder is on its path: another hour for one process."""

import os
import time
from datetime import UTC, datetime, timedelta

_BY = float(os.environ.get("WRONG_BY_SECONDS", "0"))
_SECONDS, _NANOSECONDS = time.time, time.time_ns

time.time = lambda: _SECONDS() + _BY
time.time_ns = lambda: _NANOSECONDS() + int(_BY * 1e9)

import common.timing  # noqa: E402  # after the clocks are wrong

if os.environ.get("OWN_CLOCK"):
    # The planted fault: each process goes by the clock of its own machine again.
    common.timing.StoreClock.__call__ = lambda _: datetime.now(UTC) + timedelta(seconds=_BY)  # type: ignore[method-assign,assignment]
common.timing.utc_now = lambda: datetime.now(UTC) + timedelta(seconds=_BY)
