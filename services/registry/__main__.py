"""``python -m registry api|worker|migrate``."""

from pathlib import Path

from common.runtime import main
from registry.app import build
from registry.settings import Settings

if __name__ == "__main__":
    main("registry", Settings, build, Path(__file__).parent / "migrations")
