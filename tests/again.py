"""``python -m tests.again …``: pytest with these options, and the few tests that fail once more, alone.

The tests use real brokers, databases and browsers and run two at a time: on a busy machine a wait may end
too early. What fails for a reason fails again when nothing else runs. What passes then is named, so that it
can be mended; more than ``MOST`` failures are no accident and are not tried again.
"""

import json
import subprocess
import sys
from pathlib import Path

MOST = 3
FAILED = Path(".pytest_cache/v/cache/lastfailed")
TESTS_FAILED = 1
"""Exit code of pytest (its documentation, *Exit codes*) for a run that came to its end."""


def main(options: list[str]) -> int:
    """Run, and run again; pytest's exit code of the run that counts."""
    FAILED.unlink(missing_ok=True)
    code = _pytest(options)
    if code != TESTS_FAILED or not FAILED.exists():
        return code
    failed = sorted(json.loads(FAILED.read_text()))
    if not 0 < len(failed) <= MOST:
        return code
    _say("failed, once more alone", failed)
    code = _pytest([*options, "--last-failed", "--last-failed-no-failures=none", "-n", "0", "--dist", "no"])
    if code == 0:
        _say("PASSED ONLY WHEN RUN ALONE, to be mended", failed)
    return code


def _pytest(options: list[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *options], check=False).returncode


def _say(what: str, tests: list[str]) -> None:
    sys.stdout.write("".join(f"{what}: {test}\n" for test in tests))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
