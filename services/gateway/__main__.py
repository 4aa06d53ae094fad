"""``python -m gateway api|worker|migrate``."""

from pathlib import Path

from common.runtime import main
from gateway.app import build
from gateway.settings import Settings

if __name__ == "__main__":
    main("gateway", Settings, build, Path(__file__).parent / "migrations")
