"""``python -m benchmarks [--quick] [--only PART …]``: everything in one run; writes README.md, results.json, chart.svg.

Listens on loopback only, ends by itself within a quarter of an hour, and ends only what it started. A part
that fails is named in the results; the others go on. With ``--only`` nothing but results.json's parts are
shown, and no file is written.
"""

import json
import signal
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.run import Run

HERE = Path(__file__).parent


def main(words: list[str]) -> int:
    """Run and write."""
    # Asked to end, it ends what it started: an exception runs the `finally` below.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    only = words[words.index("--only") + 1 :] if "--only" in words else []
    run = Run(quick="--quick" in words)
    try:
        found = run.all(only)
    finally:
        run.end()
    if only:
        print(json.dumps(found, indent=1, sort_keys=True))
    else:
        (HERE / "results.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        report.write(found, HERE)
        print((HERE / "README.md").read_text().partition("<!-- figures -->")[2])
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
