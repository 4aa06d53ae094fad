"""`make secrets` may be run again and again: it completes, and never puts another key in place of one."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.keys import HOLDERS, SERVICES
from tests.parts.process import reachable_folder

ROOT = Path(__file__).parents[2]
NOBODY = 65534
# Whoever may not write to closed files may not read a root's Python either: all of it is loaded before.
AS_OWNER = """
import locale, os, sys, tempfile
from pathlib import Path
from deploy import make_secrets
owner = int(sys.argv.pop(1))
if owner != os.geteuid():
    with tempfile.TemporaryDirectory() as another:
        make_secrets.make(Path(another))
    os.setgroups([])
    os.setgid(owner)
    os.setuid(owner)
make_secrets._main()
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def secrets_in(folder: Path) -> dict[str, bytes]:
    """Every file below, without what is made anew each time (the broker's salted hashes)."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != "rabbitmq.json"]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.fixture(params=["as we are", "without privileges"])
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """An empty folder, once of the user of the tests, and once of one who may not write to closed files."""
    made = reachable_folder("secrets")
    if request.param == "without privileges" and os.geteuid() == 0:
        os.chown(made, NOBODY, NOBODY)
    yield made / "secrets"
    shutil.rmtree(made)


@pytest.fixture
def run(folder: Path) -> Run:
    """The script as the owner of the folder."""

    def one(*more: str) -> "subprocess.CompletedProcess[str]":
        owner = str(folder.parent.stat().st_uid)
        return subprocess.run(
            [sys.executable, "-c", AS_OWNER, owner, str(folder), *more],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        )

    return one


def test_every_holder_gets_its_own_keys_closed_and_no_others(folder: Path, run: Run) -> None:
    assert run().returncode == 0
    for service in SERVICES:
        held = list((folder / service).iterdir())
        assert {file.name for file in held} == {key for key, holders in HOLDERS.items() if service in holders}
        assert {stat.S_IMODE(file.stat().st_mode) for file in held} == {0o400}
    assert {file.name for file in (folder / "ring").iterdir()} == set(HOLDERS)


def test_the_second_run_changes_nothing(folder: Path, run: Run) -> None:
    assert run().returncode == 0
    before = secrets_in(folder)
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert secrets_in(folder) == before


def test_a_key_that_a_later_version_needs_comes_and_the_others_stay(folder: Path, run: Run) -> None:
    run()
    new = ("ring/denial.sealing.key", "ring/denial.sealing.pub", "intake/denial.sealing.key")
    for name in (*new, *(f"{service}/denial.sealing.pub" for service in SERVICES)):
        (folder / name).unlink()
    before = secrets_in(folder)
    assert run().returncode == 0
    after = secrets_in(folder)
    assert {name: after[name] for name in before} == before
    assert after["intake/denial.sealing.key"] == after["ring/denial.sealing.key"]
    assert {name for name in after if name not in before} >= set(new)


def test_without_the_ring_nothing_is_made_or_replaced(folder: Path, run: Run) -> None:
    run()
    (folder / "ring").rename(folder / "in a safe")
    before = secrets_in(folder)
    done = run()
    assert done.returncode == 1
    assert "bring the ring back" in done.stderr
    assert secrets_in(folder) == before
    (folder / "in a safe").rename(folder / "ring")
    assert run().returncode == 0


def test_another_ring_is_refused(folder: Path, run: Run) -> None:
    run()
    (folder / "ring" / "grant.secret").write_bytes(b"c29tZXRoaW5nIGVsc2U=")
    before = secrets_in(folder)
    done = run()
    assert done.returncode == 1
    assert "bring the right ring back" in done.stderr
    assert secrets_in(folder) == before


def test_lines_of_an_operator_in_compose_env_stay(folder: Path, run: Run) -> None:
    run()
    file = folder / "compose.env"
    own = ["# our front", "", 'DABYL_TRUSTED_PROXIES=["10.0.0.0/8"]', "# DABYL_UID=1"]
    kept = file.read_text().splitlines()
    file.write_text("\n".join([*own, *kept]) + "\n")
    assert run("--public-url", "https://dabyl.example/").returncode == 0
    assert file.read_text().splitlines() == [*own, *kept, "DABYL_PUBLIC_URL=https://dabyl.example"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("url", ["dabyl.example", "ftp://dabyl.example", "https://dabyl.example/a?b"])
def test_an_address_that_is_none_is_refused(folder: Path, run: Run, url: str) -> None:
    assert run("--public-url", url).returncode == 2
    assert not folder.exists()
