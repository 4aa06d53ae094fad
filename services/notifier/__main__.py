"""``python -m notifier api|worker|migrate``."""

from pathlib import Path

from common.runtime import main
from notifier.app import build
from notifier.settings import Settings

if __name__ == "__main__":
    main("notifier", Settings, build, Path(__file__).parent / "migrations")
