"""`.env.example` is complete and true: every setting of every service, its default, and why it is there."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from deploy import env_example
from tests.parts.compose import SERVICES

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / ".env.example").read_text()
SETTINGS = re.compile(r"^# (?P<why>.+)\n#(?P<name>[A-Z0-9_]+)=(?P<default>.*)$", re.M)


def test_it_is_what_the_code_says() -> None:
    assert env_example.render() == EXAMPLE, "python deploy/env_example.py > .env.example"


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_stands_there_with_its_reason(service: str) -> None:
    settings = import_module(f"{service}.settings").Settings
    told = {match["name"]: match["why"] for match in SETTINGS.finditer(EXAMPLE)}
    assert settings.model_config["env_prefix"] == f"{service.upper()}_"
    for name, field in settings.model_fields.items():
        assert field.description, f"{service}: {name} has no reason"
        assert "\n" not in field.description
        assert told[f"{service}_{name}".upper()] == field.description


def test_every_variable_that_is_read_stands_there() -> None:
    told = {match["name"] for match in SETTINGS.finditer(EXAMPLE)}
    read = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    for path in [*(ROOT / "dabyl").rglob("*.py"), *(ROOT / "tests/parts").rglob("*.py")]:
        read |= set(re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"", path.read_text()))
    assert read - told - {"PATH", "DOCKER_HOST", "TESTCONTAINERS_RYUK_DISABLED"} == set()


def test_every_line_has_its_reason_and_none_is_set() -> None:
    lines = [line for line in EXAMPLE.splitlines() if re.match(r"#?[A-Z0-9_]+=", line)]
    assert len(lines) == len(SETTINGS.findall(EXAMPLE))
    assert all(line.startswith("#") for line in lines)
