"""``python -m intake api|worker|migrate``."""

from pathlib import Path

from common.runtime import main
from intake.app import build
from intake.settings import Settings

if __name__ == "__main__":
    main("intake", Settings, build, Path(__file__).parent / "migrations")
