"""Who stands around the house while it is killed: the reporting school, the agencies, the checker."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dabyl.calls import Calls
from dabyl.casting import cast
from dabyl.casting import start as start_street
from dabyl.onboarding import find_agency
from dabyl.simulators.journal import MARK_KEY
from tests.acceptance.kill.checker import Verdict, check, read_agency_log, read_client_log
from tests.acceptance.kill.client import KEY, Credentials, Kind, Reporter
from tests.acceptance.kill.law import KINDS, WORLD

ROOT = Path(__file__).parents[3]
SCHOOL = "education-org-kz-75"
IN_HAND = 400
"""Receipts that may be due before the reporter waits: some hundred alerts."""


class Answers:
    """How many receipts came to the agencies' log since this was made; reads what is new only."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = log.stat().st_size if log.exists() else 0
        self._found = 0

    def count(self) -> int:
        if self._log.exists():
            with self._log.open("rb") as lines:
                lines.seek(self._read)
                new = lines.read()
            new = new[: new.rfind(b"\n") + 1]
            self._read += len(new)
            self._found += new.count(b'"receipt_accepted"')
        return self._found


class Stage:
    """The world outside of one house; none of it is killed.

    Args:
        url: the gateway.
        home: where ``bootstrap.json`` lies; roster and logs are written there, too.
    """

    def __init__(self, url: str, home: Path) -> None:
        self.url = url
        self.home = home
        self.client_log = home / "client.jsonl"
        self.agency_log = home / "simulators.jsonl"
        self._street: subprocess.Popen[bytes] | None = None
        self._credentials = Credentials("", "")

    def set_up(self, through: Callable[[int], int] = lambda port: port) -> None:
        """Connect the agencies and the school."""
        calls = Calls(self.url, self.home)
        cast(calls, self.home, through)
        paths = os.pathsep.join([str(ROOT / "libs"), str(ROOT / "services"), str(ROOT)])
        self._street = start_street(self.home, {**os.environ, "PYTHONPATH": paths, MARK_KEY: KEY})
        school = find_agency(calls, SCHOOL)
        assert school
        client = calls.post("/v1/clients", {"agency": school["id"]}, token=calls.registrar())
        self._credentials = Credentials(client["client_id"], client["client_secret"])
        calls.close()

    def reporter(self, *, count: int, every: float = 0.0, kinds: Sequence[Kind] = KINDS) -> Reporter:
        """The school's system, ready to start.

        It posts so many alerts as fast as the house bears: never more than ``IN_HAND`` receipts are due.
        """
        answers = Answers(self.agency_log)

        def enough_in_hand() -> bool:
            return reporter.receipts_due - answers.count() > IN_HAND

        reporter = Reporter(
            self.url,
            self._credentials,
            list(kinds),
            self.client_log,
            count=count,
            every=every,
            receipts={kind: len(named & WORLD.answering) for kind, named in WORLD.named.items()},
            brake=enough_in_hand,
        )
        return reporter

    def verdict(self) -> Verdict:
        """What the two logs say now."""
        return check(read_client_log(self.client_log), read_agency_log(self.agency_log), WORLD)

    def settled(self, *, within: float) -> Verdict:
        """Wait until everything that is due has come and been answered; at most so many seconds."""
        give_up = time.monotonic() + within
        while True:
            verdict = self.verdict()
            waiting = {"lost", "unanswered"}
            if not waiting & set(verdict.findings) or time.monotonic() > give_up:
                return verdict
            time.sleep(2)

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        """End the agencies' process."""
        if self._street:
            self._street.terminate()
            try:
                self._street.wait(15)
            except subprocess.TimeoutExpired:
                self._street.kill()
                self._street.wait()
