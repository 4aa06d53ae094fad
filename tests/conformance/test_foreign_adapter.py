"""The example of write-an-adapter.md, installed as a foreign package and found by its entry point."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.counterparts import raw_server

ROOT = Path(__file__).parents[2]
PAGER = ROOT / "docs" / "how-to" / "pager"

PROGRAM = """
import asyncio, json, sys
from datetime import UTC, datetime, timedelta
from uuid import UUID
from notifier.adapters.channels import load, settings_of_plugins
from notifier.domain.channel import Outfit, Parcel

async def main():
    channels = load(Outfit(settings=settings_of_plugins()))
    said = []
    for url in sys.argv[2:]:
        parcel = Parcel(UUID(sys.argv[1]), url, b"secret", (), timedelta(seconds=1), "x-pager")
        said.append((await channels.send(parcel, now=datetime.now(UTC))).outcome.value)
    await channels.close()
    print(json.dumps({"kinds": sorted(channels.kinds), "said": said}))

asyncio.run(main())
"""


def test_the_image_on_top_of_ours_gets_the_package_where_ours_looks(tmp_path: Path) -> None:
    """Every step of its Dockerfile, on an environment as our image has it: without pip, and not root's."""
    ours = instructions(ROOT / "deploy" / "Dockerfile")
    theirs = instructions(PAGER / "Dockerfile")
    assert [word for word, _ in theirs] == ["ARG", "FROM", "USER", "COPY", "RUN", "USER"]
    (_, user), (_, files), (_, install), last = theirs[2:]
    assert user == "root"  # ours is not, and nobody else may write there
    assert last == [one for one in ours if one[0] == "USER"][-1]
    assert any("pip uninstall" in rest for word, rest in ours if word == "RUN")  # so it needs another's
    shutil.copytree(PAGER, tmp_path / "source")
    wheel = [
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", "--wheel-dir", str(tmp_path), str(tmp_path / "source"),
    ]  # fmt: skip
    subprocess.run(wheel, capture_output=True, check=True)
    inside = tmp_path / "image"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", inside / "opt/venv"], check=True)
    pattern, target = files.split()
    (inside / target.strip("/")).mkdir(parents=True)
    for file in tmp_path.glob(pattern):
        shutil.copy(file, inside / target.strip("/"))
    here = install.replace("/usr/local/bin/pip", f"{sys.executable} -m pip --disable-pip-version-check")
    for place in ("/opt/venv/", "/tmp/wheels"):  # noqa: S108  # the image's, not ours
        here = here.replace(place, f"{inside}{place}")
    done = subprocess.run(["bash", "-c", here], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = (
        "import importlib.metadata as m; print([one.value for one in m.entry_points(group='dabyl.channels')])"
    )
    told = subprocess.run(
        [inside / "opt/venv/bin/python", "-I", "-c", found], capture_output=True, text=True, check=True
    )
    assert told.stdout == "['dabyl_pager:make']\n"
    assert not (inside / target.strip("/")).exists()


def instructions(file: Path) -> list[tuple[str, str]]:
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (word, rest.strip())
        for word, _, rest in (line.partition(" ") for line in joined.splitlines())
        if word
    ]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as pip puts it somewhere else."""
    folder = tmp_path_factory.mktemp("pager")
    shutil.copytree(PAGER, folder / "source")
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", "--target", str(folder / "site"), str(folder / "source"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "site"


async def run(site: Path, *addresses: str, **settings: str) -> dict[str, list[str]]:
    delivery = "6f2b8f0c-5d0c-4d0e-9d0e-0f4e1f0a7c11"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, delivery, *addresses,
        env={**os.environ, "PYTHONPATH": str(site), **settings}, stdout=subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    return dict(json.loads(out.splitlines()[-1]))


async def test_the_example_is_found_and_carries_its_kind(installed: Path) -> None:
    lines: list[bytes] = []
    answers = {b"1": b"OK\n", b"2": b"BUSY\n", b"3": b"UNKNOWN\n", b"4": b"x" * 5000, b"5": b""}

    async def terminal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(await reader.readline())
        answer = answers[lines[-1].split()[0]]
        writer.write(answer)
        await writer.drain()
        if not answer:
            await asyncio.sleep(5)

    async with raw_server(terminal) as port:
        told = await run(
            installed, *(f"pager:{number}" for number in range(1, 6)), "pager:",
            NOTIFIER_X_PAGER_HOST="127.0.0.1", NOTIFIER_X_PAGER_PORT=str(port),
        )  # fmt: skip
    assert "x-pager" in told["kinds"]
    assert told["said"] == ["accepted", "throttled", "gone", "no_answer", "no_answer", "unsendable"]
    assert lines[0] == b"1 6f2b8f0c-5d0c-4d0e-9d0e-0f4e1f0a7c11 DABYL\n"
    assert not any(b"secret" in line for line in lines)


async def test_without_its_settings_it_is_not_there(installed: Path) -> None:
    told = await run(installed, "pager:1")
    assert "x-pager" not in told["kinds"]
    assert told["said"] == ["no_adapter"]


def test_the_page_says_what_the_package_does() -> None:
    page = (ROOT / "docs" / "how-to" / "write-an-adapter.md").read_text("utf-8")
    registered = re.search(r'\[project\.entry-points\."dabyl\.channels"\]\n\s*(x-pager = "[^"]+")', page)
    assert registered
    assert registered.group(1) in (PAGER / "pyproject.toml").read_text("utf-8")
