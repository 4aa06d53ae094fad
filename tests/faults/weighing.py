"""The house judged by its own rows once it came to rest: its laws, what agencies heard, its chain."""

import time
from pathlib import Path

from dabyl.auditing import verify
from dabyl.calls import CallRefused, Calls, HouseAway
from tests.acceptance.kill.chain import judge_chain
from tests.acceptance.kill.checker import Verdict, read_agency_log, read_client_log
from tests.acceptance.kill.ledger import compare, read_known, read_ledger
from tests.acceptance.kill.stage import Stage
from tests.parts.postgres import outside_any_loop

LEDGER_SECONDS = 90.0
SEALED_SECONDS = 30.0
"""Every row is sealed within a second, when the machine has time for it."""
AFTER_KILLS_SECONDS = 300.0
"""Thousands of alerts whose dead and lying bodies never answer: their operators are called in the end."""


def weigh(url: str, folder: Path, *, within: float = LEDGER_SECONDS) -> list[str]:
    """The laws of the house's own ledger that do not hold.

    What no log outside shows: no row forgotten or asleep (I1), each notice planned on record.

    Args:
        url: the gateway.
        folder: where ``bootstrap.json`` lies.
        within: seconds in which they must hold, all at once.
    """
    calls = Calls(url, folder)
    give_up = time.monotonic() + within
    try:
        while True:
            try:
                balance = calls.get("/v1/conservation", token=calls.token(role="operator"), scope="whole")
                broken = [f"{one['law']}: {one['count']}" for one in balance["imbalances"]]
            except (HouseAway, CallRefused) as error:
                broken = [f"the ledger cannot be weighed: {error!r}"]
            if not broken or time.monotonic() > give_up:
                return broken
            time.sleep(2)
    finally:
        calls.close()


def verify_record(home: Path) -> list[str]:
    """What `dabyl audit verify` finds wrong in an embedded house, or that nothing was sealed at all (I6)."""
    report = outside_any_loop(verify(f"sqlite+aiosqlite:///{home / 'notifier.db'}", home / "keys"))
    if report.finding is not None:
        return [f"chain: {report.finding.words}"]
    return [] if report.sealed else ["chain: nothing is sealed"]


def compare_rows(
    stage: Stage, database: str, keys: Path, verdict: Verdict, *, within: float = LEDGER_SECONDS
) -> None:
    """Add where the rows do not agree with what agencies heard (I1, I2, I4, I7), or with their chain (I6).

    Args:
        database: notifier's, as SQLAlchemy names it.
        keys: folder of notifier's keys.
        within: seconds in which every accepted alert must be in the rows, whoever was told of it already.
    """
    accepted = {alert for one in read_client_log(stage.client_log) for _, alert in one.answers}
    give_up = time.monotonic() + within
    while (forgotten := accepted - read_known(database)) and time.monotonic() < give_up:
        time.sleep(2)
    for alert in sorted(forgotten):
        verdict.found("forgotten", f"alert {alert} was accepted and is in no row")
    compare(read_agency_log(stage.agency_log), read_ledger(database), verdict)
    judge_chain(database, keys, verdict, within=SEALED_SECONDS)
