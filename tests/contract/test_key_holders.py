"""No service runs, or says that it is ready, without every key that it holds."""

import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import httpx
import pytest

from common.keys import HOLDERS, SERVICES, KeyRing
from common.parts import Parts
from common.runtime import worker_health
from common.testing import parts_for_test

ROOT = Path(__file__).parents[2]
LOST = [
    ("intake", "denial.sealing.key"),
    ("intake", "content.sealing.key"),
    ("intake", "grant.secret"),
    ("notifier", "routing.sealing.key"),
    ("notifier", "denial.sealing.pub"),
    ("casework", "assignee.sealing.key"),
    ("casework", "person.secret"),
    ("registry", "registry.signing.key"),
    ("gateway", "issuer.signing.key"),
]


@pytest.fixture
def own_keys(keys: KeyRing, tmp_path: Path) -> Path:
    """A folder of this test's own with a whole ring."""
    return Path(shutil.copytree(keys.folder, tmp_path / "keys"))


def parts_of(service: str, keys: Path, folder: Path) -> Parts:
    return parts_for_test(service, f"sqlite+aiosqlite:///{folder}/x.db", KeyRing(keys))


async def readiness(app: object) -> tuple[int, str]:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # any ASGI app
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.get("/readyz")
    return answer.status_code, answer.json()["parts"]["keys"]


@pytest.mark.parametrize(("service", "lost"), LOST)
async def test_a_service_that_lacks_a_key_is_not_ready_until_it_comes(
    service: str, lost: str, own_keys: Path, tmp_path: Path
) -> None:
    (own_keys / lost).rename(tmp_path / lost)
    parts = parts_of(service, own_keys, tmp_path)
    built = import_module(f"{service}.app").build(import_module(f"{service}.settings").Settings(), parts)
    assert await readiness(built.app) == (503, "away")
    assert await readiness(worker_health(parts)) == (503, "away")
    (tmp_path / lost).rename(own_keys / lost)
    assert (await readiness(built.app))[1] == "ok"
    assert await readiness(worker_health(parts)) == (200, "ok")
    for close in built.close:
        await close()
    await parts.close()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_lacks_a_key_says_which_and_does_not_start(
    service: str, own_keys: Path, tmp_path: Path
) -> None:
    lost = next(name for name, holders in HOLDERS.items() if holders == (service,))
    (own_keys / lost).unlink()
    done = subprocess.run(
        [sys.executable, "-m", service, "migrate"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT / 'libs'}{os.pathsep}{ROOT / 'services'}",
            f"{service.upper()}_KEYS_DIR": str(own_keys),
            f"{service.upper()}_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/x.db",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{service}: " in done.stderr
    assert lost in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x.db").exists()  # nothing was touched: the old version goes on
