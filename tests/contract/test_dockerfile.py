"""The Dockerfile by rules: pinned, small, without root, one service and libs and nothing else of ours."""

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy/Dockerfile").read_text()


def _instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in TEXT.splitlines() if not line.startswith("#")))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]  # type: ignore[misc]  # two words each


def _all(name: str) -> list[str]:
    return [rest for word, rest in _instructions() if word == name]


def test_only_known_instructions_are_used() -> None:
    known = {
        "FROM",
        "ARG",
        "RUN",
        "COPY",
        "ENV",
        "LABEL",
        "WORKDIR",
        "USER",
        "EXPOSE",
        "HEALTHCHECK",
        "CMD",
        "STOPSIGNAL",
    }
    assert {word for word, _ in _instructions()} <= known  # no ADD, no VOLUME, no ONBUILD


def test_both_stages_stand_on_one_pinned_base() -> None:
    bases = {rest.split()[0] for rest in _all("FROM")}
    assert len(_all("FROM")) == 2
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+", bases.pop())


def test_packages_come_from_the_lock_with_hashes_and_as_wheels() -> None:
    [install] = [run for run in _all("RUN") if "pip install" in run]
    for word in (
        "--require-hashes",
        "--no-deps",
        "--only-binary=:all:",
        "--no-cache-dir",
        "requirements.lock",
    ):
        assert word in install
    assert not re.search(
        r"curl|wget|apt-get|sudo|https?://|--(extra-)?index.url|--trusted-host", "".join(_all("RUN"))
    )


def test_it_copies_one_service_and_the_libraries() -> None:
    copied = [rest.split()[-2] for rest in _all("COPY")]
    assert copied == ["requirements.lock", "/opt/venv", "libs", "services/${SERVICE}"]


def test_it_runs_without_root_and_stays_so() -> None:
    assert _all("USER") == ["10001:10001"]
    after = [word for word, _ in _instructions()]
    assert "RUN" not in after[after.index("USER") :]


def test_it_is_labelled_and_asks_for_its_health_by_itself() -> None:
    labels = " ".join(_all("LABEL"))
    for name in ("title", "description", "version", "revision", "licenses", "base.name"):
        assert f"org.opencontainers.image.{name}=" in labels
    assert _all("FROM")[1] in labels
    [health] = _all("HEALTHCHECK")
    assert '"python", "-c"' in health
    assert "curl" not in health


def test_no_secret_can_become_part_of_an_image() -> None:
    assert not [rest for rest in _all("ARG") + _all("ENV") if re.search(r"PASS|SECRET|TOKEN|KEY", rest)]


def test_the_context_is_what_the_dockerfile_copies(tmp_path: Path) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == {"requirements.lock", "libs", "services"}


def test_the_shell_scripts_are_well_formed() -> None:
    bash = shutil.which("bash")
    assert bash
    for script in (ROOT / "deploy/postgres/init.sh", ROOT / ".ci/run"):
        subprocess.run([bash, "-n", script], check=True)
        text = script.read_text()
        assert "set -euo pipefail" in text
        assert script.stat().st_mode & 0o111
