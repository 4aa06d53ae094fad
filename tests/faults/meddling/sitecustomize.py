"""Loaded by Python before anything else when this folder is on its path: a process not as it was built.

``WRONG_BY_SECONDS``: it believes another hour. ``PLANTED``: it lacks one of the protections, so that a fault
must be noticed; a suite that stays green then proves nothing.
"""

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import common.timing

_BY = float(os.environ.get("WRONG_BY_SECONDS", "0"))
_SECONDS, _NANOSECONDS = time.time, time.time_ns

if _BY:
    time.time = lambda: _SECONDS() + _BY
    time.time_ns = lambda: _NANOSECONDS() + int(_BY * 1e9)
    common.timing.utc_now = lambda: datetime.now(UTC) + timedelta(seconds=_BY)


def _replace(where: Any, name: str, by: object) -> None:
    setattr(where, name, by)


def _own_clock() -> None:
    _replace(common.timing.StoreClock, "__call__", lambda _: datetime.now(UTC) + timedelta(seconds=_BY))


def _no_doors() -> None:
    from common.outbox import Relay  # noqa: PLC0415  # only where it is planted

    async def stay(_self: Relay, _rows: Any, _bodies: Any, confirmed: list[bool]) -> list[bool]:
        return confirmed

    _replace(Relay, "_through_doors", stay)


def _no_scan() -> None:
    from notifier.service.dispatch import Dispatcher  # noqa: PLC0415  # only where it is planted

    async def nothing(_self: Dispatcher) -> int:
        return 0

    _replace(Dispatcher, "find_due", nothing)


def _no_reaping() -> None:
    from notifier.service import overdue  # noqa: PLC0415  # only where it is planted

    async def leave(_session: Any, _rows: Any, *, now: datetime) -> None:
        return

    _replace(overdue, "_reap", leave)


def _any_receipt() -> None:
    from notifier.service import receipts  # noqa: PLC0415  # only where it is planted

    _replace(receipts, "find_flaw", lambda *_, **__: None)


def _no_reconciler() -> None:
    from common.reconciling import Reconciler  # noqa: PLC0415  # only where it is planted

    async def nothing(_self: Reconciler) -> int:
        return 0

    _replace(Reconciler, "pass_once", nothing)


def _sends_twice() -> None:
    from notifier.adapters.webhook import Webhook  # noqa: PLC0415  # only where it is planted

    once = Webhook.send

    async def twice(self: Webhook, parcel: Any, *, now: datetime) -> Any:
        await once(self, parcel, now=now)
        return await once(self, parcel, now=now)

    _replace(Webhook, "send", twice)


SEALED_PASSES = 3


def _no_sealing() -> None:
    """It seals at first, and then stops: rows that stay without a seal, beside seals that are right."""
    from notifier.jobs import Sealing  # noqa: PLC0415  # only where it is planted

    seal, passes = Sealing.run, iter(range(SEALED_PASSES))

    async def at_first(self: Sealing) -> None:
        if next(passes, None) is not None:
            await seal(self)

    _replace(Sealing, "run", at_first)


PLANTS = {
    "own clock": ("", _own_clock),
    "no doors": ("", _no_doors),
    "no reconciler": ("", _no_reconciler),
    "no scan": ("notifier", _no_scan),
    "no reaping": ("notifier", _no_reaping),
    "any receipt": ("notifier", _any_receipt),
    "sends once": ("notifier", _sends_twice),
    "no sealing": ("notifier", _no_sealing),
}
"""By name: the only service that has it, if it is not common to all, and how it is taken away."""

if _name := os.environ.get("PLANTED"):
    _service, _plant = PLANTS[_name]
    if not _service or _service in sys.orig_argv:
        _plant()
