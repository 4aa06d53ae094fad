"""Each service runs with what its image holds: its own folder, libs/ and the packages."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.compose import SERVICES, Container, make_secrets
from tests.parts.process import free_ports, tail, wait_until

ROOT = Path(__file__).parents[2]

# A development install puts every service on the path by a finder of its own: an image has none.
ALONE = """
import runpy, sys
sys.meta_path[:] = [one for one in sys.meta_path if "__editable__" not in getattr(one, "__module__", "")]
for other in {others}:
    try:
        __import__(other)
    except ModuleNotFoundError:
        continue
    sys.exit(other + " is on the path")
sys.argv = ["-m", *sys.argv[1:]]
runpy.run_module("{service}", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    make_secrets(folder)
    return folder


@pytest.fixture
def image(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[str, Path]:
    """What deploy/Dockerfile copies for one service."""
    service = str(request.param)
    leave = shutil.ignore_patterns("__pycache__", "node_modules")
    shutil.copytree(ROOT / "libs", tmp_path / "app/libs", ignore=leave)
    shutil.copytree(ROOT / "services" / service, tmp_path / "app/services" / service, ignore=leave)
    return service, tmp_path


@pytest.fixture
def containers(image: tuple[str, Path], secrets: Path) -> Iterator[dict[str, Container]]:
    service, folder = image
    prefix = service.upper()
    app = folder / "app"
    code = ALONE.format(
        service=service, others=[one for one in (*SERVICES, "dabyl", "tests") if one != service]
    )
    made = {}
    for role in ("migrate", "api", "worker"):
        [port] = free_ports(1)
        made[role] = Container(
            name=f"{service}-{role}",
            service=service,
            role=role,
            command=[sys.executable, "-P", "-c", code, role],
            environment={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{app / 'libs'}{os.pathsep}{app / 'services'}",
                f"{prefix}_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'service.db'}",
                f"{prefix}_KEYS_DIR": str(secrets / service),
                f"{prefix}_PORT": str(port),
            },
            log=folder / f"{role}.log",
            port=port,
        )
    yield made
    for one in made.values():
        one.stop()


@pytest.mark.parametrize("image", SERVICES, indirect=True)
def test_a_service_starts_with_nothing_else_on_its_path(containers: dict[str, Container]) -> None:
    containers["migrate"].run()
    lasting = [containers["api"], containers["worker"]]
    for one in lasting:
        one.start()
    for one in lasting:
        _wait_for(one)
    for one in lasting:
        one.stop()
        assert '"event": "stopped"' in one.log.read_text(), "SIGTERM did not drain it"


def _wait_for(one: Container) -> None:
    # The gateway is ready when the others are; alone it lives.
    page = "livez" if one.service == "gateway" else "readyz"

    def answers() -> bool:
        return one.answers(page)

    wait_until(answers, within=60, or_else=lambda: tail(one.log, 40))


@pytest.mark.parametrize("service", SERVICES)
def test_an_unknown_role_is_refused_with_the_known_ones(service: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", service, "serve"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'libs'}{os.pathsep}{ROOT / 'services'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "api|worker|migrate" in done.stderr
