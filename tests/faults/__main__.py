"""``python -m tests.faults kills --rounds 10 --kills 50 --alerts 2000``: what `make faults` runs."""

import argparse
import sys

from tests.faults.kills import Size, run_rounds
from tests.faults.planted import play_planted
from tests.faults.record import Record
from tests.faults.stories import play_all
from tests.faults.table import write_table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    verbs = parser.add_subparsers(dest="verb", required=True)
    kills = verbs.add_parser(
        "kills", help="rounds of random kills; rounds that were good are not played again"
    )
    kills.add_argument("--rounds", type=int, default=10)
    kills.add_argument("--kills", type=int, default=50, help="in each round")
    kills.add_argument("--alerts", type=int, default=2000, help="in each round")
    stories = verbs.add_parser("stories", help="every other fault, one by one in one house")
    stories.add_argument("--short", action="store_true", help="scaled time; kept beside the full form")
    stories.add_argument("--only", nargs="*", default=[], help="those whose name holds one of these words")
    verbs.add_parser("planted", help="one fault each in a house that lacks a protection: it must be noticed")
    verbs.add_parser("table", help="print what was played, and write it to docs/faults.md")
    asked = parser.parse_args()
    if asked.verb == "table":
        write_table(Record())
        return
    if asked.verb == "planted":
        if not play_planted(Record()):
            sys.exit(1)
        return
    if asked.verb == "stories":
        if not play_all(Record(), is_full=not asked.short, only=asked.only):
            sys.exit(1)
        return
    if not run_rounds(Record(), Size(asked.kills, asked.alerts), asked.rounds):
        sys.exit(1)


if __name__ == "__main__":
    main()
