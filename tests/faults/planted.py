"""The faults again, in a house that lacks one protection each: a story that stays good then is no proof."""

import shutil
import sys

from tests.faults.catalogue import FAULTS
from tests.faults.record import Record
from tests.faults.scene import scene_in
from tests.faults.stories import play

PLANTED = {
    "own clock": "clocks an hour wrong",
    "no doors": "broker away",
    "no scan": "queues deleted",
    "no reaping": "workers killed while they send",
    "any receipt": "agencies that lie",
    "no reconciler": "database restored from an older backup",
    "sends once": "backends ended",
    "no sealing": "connections closed",
}
"""By protection: the fault that must be noticed without it."""

SETTLE_SECONDS = 45.0


def play_planted(record: Record) -> bool:
    """Play each that the record does not hold as found; whether all are found."""
    by_name = {one.name: one for one in FAULTS}
    for protection, name in PLANTED.items():
        if (record.find(f"planted: {protection}", 0) or {}).get("good"):
            continue
        folder = record.folder / "planted"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with scene_in(folder, is_full=False, planted=protection) as scene:
            story = play(scene, by_name[name], within=SETTLE_SECONDS)
        figures = story.figures() | {"good": not story.good}
        record.append(f"planted: {protection}", 0, numbers=by_name[name].numbers, how=name, **figures)
        sys.stdout.write(f"{'NOT FOUND' if story.good else 'found'}: {protection}: {story}\n")
        sys.stdout.flush()
    return all((record.find(f"planted: {one}", 0) or {}).get("good") for one in PLANTED)
