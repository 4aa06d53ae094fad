"""Locks: hashes for everything, the direct requirements in them, and no host named anywhere."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements", "requirements-dev", "requirements-build", "benchmarks/requirements")


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash_and_no_line_names_a_host(name: str) -> None:
    text = (ROOT / f"{name}.lock").read_text()
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert pins
    assert all(re.fullmatch(r"[a-z0-9\-]+(?:\[[a-z0-9,\-]+\])?==\S+(?: ; .*)? \\", pin) for pin in pins)
    assert text.count("--hash=sha256:") >= len(pins)
    assert not re.search(r"https?:|//|\bindex\b.*=|find-links|trusted-host|@ ", text)


@pytest.mark.parametrize("name", LOCKS)
def test_every_direct_requirement_is_locked(name: str) -> None:
    locked = dict(
        re.findall(r"^([a-z0-9\-]+)(?:\[[^\]]+\])?==(\S+)", (ROOT / f"{name}.lock").read_text(), re.M)
    )
    for line in (ROOT / f"{name}.in").read_text().splitlines():
        if asked := re.match(r"([A-Za-z0-9_.\-]+)(?:\[[^\]]+\])?(?:==(\S+))?", line.partition("#")[0]):
            if line.startswith("-r"):
                continue
            package = re.sub(r"[_.]", "-", asked[1]).lower()
            assert package in locked, f"{package}: `make lock`"
            assert asked[2] in (None, locked[package]), f"{package}: `make lock`"


def test_the_runtime_is_the_same_with_the_tools() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9\-]+==\S+)", (ROOT / f"{name}.lock").read_text(), re.M))

    assert pins("requirements") <= pins("requirements-dev")


def test_no_lock_that_records_hosts_is_kept() -> None:
    kept = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert not [path for path in kept if Path(path).name in {"uv.lock", "package-lock.json", ".npmrc"}]
