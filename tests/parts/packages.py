"""Install what is missing from Debian or Ubuntu, when we may."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.parts import postgres, rabbit
from tests.parts.process import PartFailed


def ensure_postgres() -> None:
    """Binaries of PostgreSQL: Debian's, or those of the wheel (which needs no root)."""
    if not postgres.available():
        _install("postgresql", "PostgreSQL")


def ensure_rabbit() -> None:
    if not rabbit.available():
        _install("rabbitmq-server", "RabbitMQ")


def ensure_nginx() -> None:
    """An nginx that the benchmarks start by themselves; never the system's service."""
    if shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        _install("nginx-light", "nginx")


def ensure_chromium() -> Path:
    """A Chromium for the browser tests; its path."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return Path(found)
    _install("chromium", "Chromium")
    if found := shutil.which("chromium"):
        return Path(found)
    raise PartFailed("the package chromium is installed, but no such command is on the path")


def ensure_node() -> Path:
    """A Node of version 20 or newer for the receiver of the how-to; its path.

    Raises:
        PartFailed: none, or an older one that we must not replace.
    """
    if shutil.which("node") is None:
        _install("nodejs", "Node")
    found = shutil.which("node")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True) if found else None
    if found is None or said is None or int(said.stdout.strip().lstrip("v").split(".")[0]) < 20:
        raise PartFailed("The receiver of the how-to needs Node 20 or newer on the path: https://nodejs.org")
    return Path(found)


def _install(package: str, what: str) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise PartFailed(
            f"The tests need {what} and cannot install it here. One of these helps:\n"
            f"  sudo apt-get install --no-install-recommends {package}\n"
            "  start Docker\n"
            "  name running ones: DABYL_TEST_POSTGRES=postgresql://…  DABYL_TEST_RABBITMQ=amqp://…"
        )
    with (Path(tempfile.gettempdir()) / "dabyl-apt.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        # A fresh package would start its service; a policy of 101 forbids that while we install.
        policy = Path("/usr/sbin/policy-rc.d")
        ours = not policy.exists()
        if ours:
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
        try:
            for words in (["update"], ["install", "--yes", "--no-install-recommends", package]):
                done = subprocess.run(
                    ["apt-get", "-q", *words],
                    env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if words[0] == "install" and done.returncode != 0:
                    raise PartFailed(f"apt-get could not install {package}: {done.stderr[-600:]}")
        finally:
            if ours:
                policy.unlink()
