"""What happens to processes and their machines: they stand still, and their clocks are wrong."""

import time
from pathlib import Path

from tests.faults.proxy import Mode, Weather
from tests.faults.scene import Scene
from tests.parts.process import standing_still, wait_until

MEDDLING = Path(__file__).parent / "meddling"
"""A folder for PYTHONPATH: its ``sitecustomize`` makes a process believe another hour."""

TOLD_BY_TIME = ("intake", "intake-worker", "notifier", "notifier-worker")


def worker_stands_still(scene: Scene) -> None:
    """Longer than a lease: the other worker takes over, and the first one wakes up fenced out."""
    for _ in range(2 if scene.is_full else 1):
        running = scene.container("notifier-worker").running
        assert running
        with standing_still(running.pid):
            time.sleep(38)


def workers_killed(scene: Scene) -> None:
    """``kill -9`` of both while agencies are slow to answer: after the bytes, before the result."""
    with scene.agencies.under(Weather(Mode.DELAY, 1.0)):
        for _ in range(5 if scene.is_full else 2):
            time.sleep(2.5)
            scene.container("notifier-worker").kill()
            scene.twin.kill()


def everything_stands_still(scene: Scene) -> None:
    """A machine that is suspended for a moment: all of ours together."""
    pids = [one.running.pid for one in scene.house.lasting if one.running]
    for pid in pids:
        with standing_still(pid):
            time.sleep(scene.seconds(0.5, 3))


def clocks_wrong(scene: Scene) -> None:
    """Each process an hour off, in turns fast and slow; while nobody stands in between, both ways at once."""
    before = {name: dict(scene.container(name).environment) for name in (*TOLD_BY_TIME, scene.twin.name)}
    try:
        for number, name in enumerate(before):
            one = scene.container(name)
            path = one.environment["PYTHONPATH"]
            if str(MEDDLING) not in path:
                path = f"{MEDDLING}:{path}"
            hour = 3600 if number % 2 else -3600
            one.environment |= {"PYTHONPATH": path, "WRONG_BY_SECONDS": str(hour)}
            _again(scene, name)
        scene.pause(8, 60)
    finally:
        for name, environment in before.items():
            one = scene.container(name)
            one.environment.clear()
            one.environment |= environment
            _again(scene, name)


def _again(scene: Scene, name: str) -> None:
    one = scene.container(name)
    starts = one.starts
    one.kill()
    wait_until(
        lambda: one.starts > starts and one.is_ready(), within=60, or_else=lambda: f"{name} did not start"
    )
