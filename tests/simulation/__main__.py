"""``python -m tests.simulation --seeds 10000`` · ``--from 4711 --seeds 1`` repeats one · ``--bug 404``."""

import argparse
import sys
import time

from tests.simulation.bugs import BUGS, Bug
from tests.simulation.store import Violation
from tests.simulation.world import play


def main() -> int:
    reader = argparse.ArgumentParser(prog="python -m tests.simulation")
    reader.add_argument("--from", dest="first", type=int, default=0, help="first seed")
    reader.add_argument("--seeds", type=int, default=10_000, help="how many")
    reader.add_argument("--bug", default="", help="plant this bug; a part of its name is enough")
    asked = reader.parse_args()
    bug = Bug()
    if asked.bug:
        [name] = [each for each in BUGS if asked.bug in each] or [""]
        bug = BUGS[name]
    began, steps, found = time.monotonic(), 0, 0
    for seed in range(asked.first, asked.first + asked.seeds):
        try:
            world = play(seed, bug.rules, bug.store)
            steps += world.engine.steps
        except Violation as violation:
            found += 1
            sys.stdout.write(f"seed {seed}: {violation}\n  repeat: {repeat(seed)}\n")
            if asked.bug:
                break
    seconds = time.monotonic() - began
    sys.stdout.write(
        f"{asked.seeds} seeds, {steps} steps, {seconds:.0f} s, {found} with a violation"
        + (f"; the last hash: {world.engine.hash}\n" if asked.seeds == 1 and not found else "\n")
    )
    return 1 if found else 0


def repeat(seed: int) -> str:
    """The line that plays this seed again."""
    return f".venv/bin/python -m tests.simulation --from {seed} --seeds 1"


if __name__ == "__main__":
    sys.exit(main())
