"""``python -m tests.parts up|down|status``: real parts that stay between test runs.

``eval "$(python -m tests.parts up)"`` also names them in this shell; the tests find them without it.
"""

import sys

from tests.parts import sharing
from tests.parts.process import PartFailed


def main(words: list[str]) -> int:
    match words:
        case ["up"]:
            parts = sharing.keep_up()
            print(f"export DABYL_TEST_POSTGRES={parts['postgres'].url}")
            print(f"export DABYL_TEST_RABBITMQ={parts['rabbit'].url}")
            if parts["rabbit"].api:
                print(f"export DABYL_TEST_RABBITMQ_API={parts['rabbit'].api}")
        case ["down"]:
            for name, used in sharing.take_down().items():
                print(f"{name}: {'still used by a test run; ends with it' if used else 'down'}")
        case ["status"]:
            for name, part in sharing.standing().items():
                print(f"{name}: {f'up, from {part.source}' if part and part.alive() else 'down'}")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PartFailed as failed:
        print(failed, file=sys.stderr)
        sys.exit(1)
