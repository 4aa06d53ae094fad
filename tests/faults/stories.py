"""Plays faults one by one in one house and judges each from the logs outside of it."""

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.kill.checker import Verdict
from tests.faults.catalogue import FAULTS, Fault
from tests.faults.kills import figures
from tests.faults.record import Record
from tests.faults.scene import Scene, scene_in
from tests.faults.weighing import compare_rows, weigh

EVERY = 0.3


@dataclass
class Story:
    """What one fault came to."""

    fault: Fault
    verdict: Verdict
    accepted: int
    failed_tries: int
    seconds: float
    latency: float
    notes: list[str]
    failure: str = ""
    broken: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not set(self.verdict.findings) - self.fault.allowed and not self.failure and not self.broken

    def __str__(self) -> str:
        told = f"{self.fault.name}: {self.seconds:.0f} s, {self.accepted} accepted, {self.failed_tries} tries"
        found = f"{self.verdict} {self.failure} {self.broken or ''}"
        return f"{told} failed, at most {self.latency:.1f} s to the police; {found}"

    def figures(self) -> dict[str, Any]:
        return {
            **figures(self.verdict),
            "good": self.good,
            "accepted": self.accepted,
            "failed_tries": self.failed_tries,
            "seconds": round(self.seconds, 1),
            "latency": round(self.latency, 1),
            "notes": self.notes,
            "failure": self.failure,
            "broken": self.broken,
        }


def play(scene: Scene, fault: Fault, *, within: float | None = None) -> Story:
    """Report while the fault is made, and on until it is over and everything has come."""
    began = time.monotonic()
    scene.notes.clear()
    since = scene.client_lines()
    count, every = fault.full if scene.is_full else (fault.alerts, EVERY)
    reporter = scene.stage.reporter(count=count, every=every)
    reporter.start()
    time.sleep(0.5)
    failure = ""
    try:
        fault.act(scene)
    except Exception as error:  # noqa: BLE001 - the others are to be played, too
        failure = repr(error)
    reporter.join(300)
    reporter.give_up.set()
    verdict = scene.stage.settled(within=fault.settle if within is None else within)
    latency = scene.worst_latency(since)
    broken = []
    if reporter.accepted < count:
        broken.append(f"only {reporter.accepted} of {count} accepted")
    if fault.within is not None and latency > fault.within:
        broken.append(f"the police waited {latency:.1f} s")
    broken += weigh(scene.house.url, scene.folder)
    compare_rows(
        scene.stage,
        scene.house.postgres.url_for("notifier"),
        scene.house.keys("notifier"),
        verdict,
        within=fault.settle if within is None else within,
    )
    return Story(
        fault, verdict, reporter.accepted, reporter.failed_tries, time.monotonic() - began, latency,
        list(scene.notes), failure, broken,
    )  # fmt: skip


def play_all(
    record: Record, *, is_full: bool, only: Sequence[str] = (), faults: Sequence[Fault] = FAULTS
) -> bool:
    """Play the faults that the record does not hold as good in this form; whether all are good."""
    form = int(is_full)
    chosen = [one for one in faults if not only or any(word in one.name for word in only)]
    todo = [one for one in chosen if not (record.find(one.name, form) or {}).get("good")]
    if todo:
        folder: Path = record.folder / "scene"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with scene_in(folder, is_full=is_full) as scene:
            for fault in todo:
                story = play(scene, fault)
                record.append(
                    fault.name, form, numbers=fault.numbers, how=fault.how, full=is_full, **story.figures()
                )
                sys.stdout.write(f"{'good' if story.good else 'NOT GOOD'}: {story}\n")
                sys.stdout.flush()
    return all((record.find(one.name, form) or {}).get("good") for one in chosen)
