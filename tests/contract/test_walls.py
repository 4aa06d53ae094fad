"""The import contracts hold, and each kind of violation, planted in a copy of the tree, is caught."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("libs", "services", "dabyl")

PLANTS = {
    "a service imports another": ("services/intake/service", "import notifier.domain", "intake.service"),
    "a library imports a service": ("libs/common/timing.py", "import registry.domain", "common.timing"),
    "a service imports the command": ("services/gateway/app.py", "import dabyl", "gateway.app"),
    "access imports a service": ("libs/access/decision.py", "import casework.domain", "access.decision"),
    "the room sees a door": ("services/intake/service", "import intake.router", "intake.service"),
    "the room sees wire shapes": ("services/registry/service", "import registry.schemas", "registry.service"),
    "the room sees an adapter": ("services/notifier/service", "import notifier.adapters", "notifier.service"),
    "a door sees another door": (
        "services/notifier/consumers",
        "import notifier.router",
        "notifier.consumers",
    ),
    "a door sees settings": ("services/casework/router", "import casework.settings", "casework.router"),
    "the cellar sees the room": ("services/intake/repository", "import intake.service", "intake.repository"),
    "the domain sees the tables": ("services/notifier/domain", "import notifier.models", "notifier.domain"),
    "the domain sees the mechanism": ("services/notifier/domain", "import common.db", "notifier.domain"),
    "the domain sees a framework": ("services/casework/domain", "import pydantic", "casework.domain"),
    "the law sees the tables": (
        "services/notifier/lawbook",
        "import notifier.repository",
        "notifier.lawbook",
    ),
    "HTTP in the room": ("services/intake/service", "import fastapi", "intake.service"),
    "HTTP at a consumer": ("services/casework/consumers", "import starlette", "casework.consumers"),
    "SQL at the door": ("services/registry/router", "import sqlmodel", "registry.router"),
    "SQL in the room": ("services/notifier/service", "import sqlalchemy", "notifier.service"),
    "the broker in a service": ("services/notifier/adapters", "import aio_pika", "notifier.adapters"),
    "test parts in a service": ("services/gateway/app.py", "import common.testing", "gateway.app"),
    "a contract imports mechanism": (
        "libs/common/contracts/intake.py",
        "import common.ids",
        "common.contracts",
    ),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("tree")
    for room in ROOMS:
        shutil.copytree(
            ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__", "node_modules")
        )
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def _lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=tree,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "libs:services:.", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_walls_stand(tree: Path) -> None:
    report = _lint(tree)
    assert report.returncode == 0, report.stdout + report.stderr


@pytest.mark.parametrize("what", PLANTS)
def test_a_planted_violation_is_caught(tree: Path, what: str) -> None:
    place, line, reported = PLANTS[what]
    module = tree / place
    if not module.suffix:
        module = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
    before = module.read_text()
    module.write_text(f"{before}\n{line}\n")
    try:
        report = _lint(tree)
    finally:
        module.write_text(before)
    assert report.returncode != 0, what
    assert reported in report.stdout.partition("Broken contracts")[2], report.stdout


@pytest.mark.parametrize("service", ["intake", "notifier", "casework", "registry", "gateway"])
def test_a_file_name_that_nobody_admitted_is_caught(tree: Path, service: str) -> None:
    stranger = tree / "services" / service / "rules.py"
    stranger.write_text('"""Somewhere to put things."""\n')
    try:
        report = _lint(tree)
    finally:
        stranger.unlink()
    assert report.returncode != 0
    assert f"{service}.rules" in report.stdout + report.stderr


def test_every_module_of_common_is_closed_to_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [data] = [one for one in contracts if one["name"].startswith("Contracts are data")]
    here = {
        f"common.{path.stem}" for path in (ROOT / "libs/common").iterdir() if not path.name.startswith("_")
    }
    here -= {"common.contracts", "common.py"}
    assert here <= set(data["forbidden_modules"])
