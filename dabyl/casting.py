"""Puts the simulated agencies on stage: connects each to the house, then starts their process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from common.runtime import listen
from dabyl.calls import Calls
from dabyl.onboarding import connect, find_agency, list_ways
from dabyl.simulators.roster import CAST, Member, Roster

NOBODY = "http://127.0.0.1:9"
"""The discard port: nothing listens there, so a dead agency refuses every connection."""


def cast(calls: Calls, home: Path, through: Callable[[int], int] = lambda port: port) -> Roster:
    """Connect every simulated agency, or take the roster of an earlier start while its port is free.

    One that moved with the port replaces its first way: nothing is left to be sent where nobody is.

    Args:
        through: the port that the house is told, for the one where the agencies listen.
    """
    file = home / "simulators.json"
    if file.exists():
        roster = Roster.read(file)
        if roster.gateway == calls.url and _is_free(roster.port):
            return roster
    listening = listen("127.0.0.1", 0)
    port = int(listening.getsockname()[1])
    listening.close()
    members = []
    for code, behaviour in CAST.items():
        agency = find_agency(calls, code)
        if agency is None:
            raise LookupError(code)
        host = NOBODY if behaviour == "dead" else f"http://127.0.0.1:{through(port)}"
        url = None if behaviour == "pull" else f"{host}/{code}"
        before = (
            None if url is None else next((way for way in list_ways(calls, agency) if way["rung"] == 0), None)
        )
        given = connect(calls, agency, url, send_test=False, replaces=before)
        members.append(
            Member(
                code=code,
                behaviour=behaviour,
                agency_id=given.agency_id,
                client_id=given.client_id,
                client_secret=given.client_secret,
                endpoint_id=given.endpoint_id or "",
                secret=given.webhook_secret or "",
                receipt_key=json.dumps(given.receipt_key) if given.receipt_key else "",
            )
        )
    roster = Roster(gateway=calls.url, port=port, members=tuple(members))
    roster.write(file)
    return roster


def start(home: Path, environment: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
    """Start the simulators' own process; it ends with SIGTERM."""
    command = [
        sys.executable, "-m", "dabyl", "simulate", "--roster", str(home / "simulators.json"),
        "--journal", str(home / "simulators.jsonl"),
    ]  # fmt: skip
    street = subprocess.Popen(command, env=environment or os.environ.copy())  # noqa: S603  # our own interpreter and module
    port = Roster.read(home / "simulators.json").port
    # The first notice must find the agencies at home.
    while street.poll() is None and _is_free(port):
        time.sleep(0.02)
    return street


def _is_free(port: int) -> bool:
    try:
        listen("127.0.0.1", port).close()
    except OSError:
        return False
    return True
