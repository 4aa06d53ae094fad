"""``python -m casework api|worker|migrate``."""

from pathlib import Path

from casework.app import build
from casework.settings import Settings
from common.runtime import main

if __name__ == "__main__":
    main("casework", Settings, build, Path(__file__).parent / "migrations")
